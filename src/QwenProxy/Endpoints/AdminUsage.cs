using System.Collections.Immutable;
using System.Text.Json;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>GET /admin/usage?since=24h&amp;by=hour</c>: the sums of the <c>usage</c> command. A proxy that keeps no ledger sums up the recent requests it
/// has in memory; <c>source</c> says which of the two it was.
/// </summary>
internal sealed class AdminUsage(RequestBook requests, ILedger? ledger, TimeProvider time)
{
    private const string DefaultSince = "24h";
    private const string DefaultBy = "hour";

    /// <summary>What to write, or why there is nothing.</summary>
    public (Action<Utf8JsonWriter>? Write, ProxyError? Error) Read(string? sinceText, string? byText)
    {
        TimeZoneInfo zone = time.LocalTimeZone;
        if (!SinceText.TryRead(sinceText ?? DefaultSince, time.GetUtcNow(), zone, out DateTimeOffset since))
        {
            return (null, OwnErrors.InvalidRequest($"since must be {SinceText.Allowed}.", "since"));
        }

        ImmutableArray<string> by = UsageTable.SplitKeys(byText ?? DefaultBy);
        if (by.IsEmpty || by.Any(k => !UsageTable.AllKeys.Contains(k)))
        {
            return (null, OwnErrors.InvalidRequest($"by must be some of {string.Join(", ", UsageTable.AllKeys)}, with commas between them.", "by"));
        }

        UsageTable table = new(by, zone);
        try
        {
            foreach (UsageSum sum in Sums(since, by)) table.Add(sum);
        }
        catch (Exception damaged) when (Ledgers.IsFault(damaged))
        {
            return (null, OwnErrors.Internal() with { Message = $"The ledger cannot be read: {damaged.Message}" });
        }

        return (json => UsageJson.Write(json, table, by, since, ledger is null ? "recent" : "ledger"), null);
    }

    private IEnumerable<UsageSum> Sums(DateTimeOffset since, ImmutableArray<string> by)
    {
        if (ledger is null) return requests.Recent().Select(r => r.Entry).Where(e => e.Time >= since).Select(UsageSum.Of);
        return ledger.Sums(since, by, time.LocalTimeZone);
    }
}
