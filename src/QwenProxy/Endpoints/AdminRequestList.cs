using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>GET /admin/requests?failed=true&amp;model=…&amp;client=…&amp;since=…&amp;id=…&amp;limit=…</c>: requests that ended, newest first, from the ledger, so
/// also those from before a restart. Of those that are still in memory it also tells the reason in words and the fix; a proxy without a ledger has
/// only these.
/// </summary>
internal sealed class AdminRequestList(RequestBook requests, ILedger? ledger, TimeProvider time)
{
    private static readonly string[] s_keys = ["failed", "model", "client", "since", "id", "limit"];

    /// <summary>What to write, or why there is nothing.</summary>
    public (Action<Utf8JsonWriter>? Write, ProxyError? Error) Read(IQueryCollection query)
    {
        if (!TryReadFilter(query, out LedgerFilter filter, out ProxyError? fault)) return (null, fault);
        Dictionary<string, SettledRequest> recent = [];
        foreach (SettledRequest one in requests.Recent()) recent.TryAdd(one.Entry.RequestId, one);
        ImmutableArray<LedgerEntry> kept = [];
        try
        {
            if (ledger is not null) kept = ledger.Find(filter);
        }
        catch (Exception damaged) when (Ledgers.IsFault(damaged))
        {
            return (null, OwnErrors.Internal() with { Message = $"The ledger cannot be read: {damaged.Message}" });
        }

        // The ledger is written behind the requests: the last ones may be in memory only.
        LedgerEntry[] entries =
        [
            .. kept.Concat(recent.Values.Select(r => r.Entry).Where(filter.Fits)).DistinctBy(e => e.RequestId).OrderByDescending(e => e.Time).Take(filter.Limit),
        ];
        string source = ledger is null ? "recent" : "ledger";
        return (json => Write(json, entries, recent, source), null);
    }

    private static void Write(Utf8JsonWriter json, LedgerEntry[] entries, Dictionary<string, SettledRequest> recent, string source)
    {
        json.WriteStartObject();
        json.WriteString("source", source);
        json.WriteStartArray("requests");
        foreach (LedgerEntry entry in entries)
        {
            json.WriteStartObject();
            LedgerJson.WriteMembers(json, entry);
            if (recent.TryGetValue(entry.RequestId, out SettledRequest? settled))
            {
                if (settled.Reason is { } reason) json.WriteString("reason", reason);
                json.WriteString("path", settled.Path);
                json.WriteBoolean("stream", settled.Stream);
                json.WriteBoolean("native", settled.Native);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private bool TryReadFilter(IQueryCollection query, out LedgerFilter filter, out ProxyError? fault)
    {
        filter = new LedgerFilter { Model = query["model"], Client = query["client"], RequestId = query["id"] };
        fault = null;
        if (query.Keys.FirstOrDefault(k => !s_keys.Contains(k)) is { } unknown)
        {
            fault = OwnErrors.InvalidRequest($"There is no filter '{PrintableText.Of(unknown)}'; there are {string.Join(", ", s_keys)}.");
            return false;
        }

        switch ((string?)query["failed"])
        {
            case null or "false" or "0": break;
            case "true" or "1" or "": filter = filter with { Failed = true }; break;
            default: fault = OwnErrors.InvalidRequest("failed must be true or false.", "failed"); break;
        }

        if ((string?)query["since"] is { } text)
        {
            if (SinceText.TryRead(text, time.GetUtcNow(), time.LocalTimeZone, out DateTimeOffset since)) filter = filter with { Since = since };
            else fault = OwnErrors.InvalidRequest($"since must be {SinceText.Allowed}.", "since");
        }

        if ((string?)query["limit"] is { } number)
        {
            if (int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit is >= 1 and <= LedgerFilter.MaxLimit) filter = filter with { Limit = limit };
            else fault = OwnErrors.InvalidRequest($"limit must be a whole number from 1 to {LedgerFilter.MaxLimit}.", "limit");
        }

        return fault is null;
    }
}
