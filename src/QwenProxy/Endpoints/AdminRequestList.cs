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
/// <c>GET /admin/requests?failed=true&amp;model=…</c>: requests that ended, newest first, from the ledger, so also those from before a restart. Of those
/// that are still in memory it also tells the reason in words, the path and who asked; a proxy without a ledger has only these.
/// </summary>
internal sealed class AdminRequestList(RequestBook requests, ILedger? ledger, TimeProvider time)
{
    private static readonly string[] s_keys = ["failed", "repaired", "resumed", "slow", "model", "account", "client", "dialect", "since", "until", "id", "limit"];

    public AdminAnswer Read(IQueryCollection query)
    {
        if (!TryReadFilter(query, out LedgerFilter filter, out ProxyError? fault)) return fault!;
        Dictionary<string, SettledRequest> recent = [];
        foreach (SettledRequest one in requests.Recent()) recent.TryAdd(one.Entry.RequestId, one);
        ImmutableArray<LedgerEntry> kept = [];
        try
        {
            if (ledger is not null) kept = ledger.Find(filter);
        }
        catch (Exception damaged) when (Ledgers.IsFault(damaged))
        {
            return OwnErrors.Internal() with { Message = $"The ledger cannot be read: {damaged.Message}" };
        }

        // The ledger is written behind the requests: the last ones may be in memory only.
        LedgerEntry[] entries =
        [
            .. kept.Concat(recent.Values.Select(r => r.Entry).Where(filter.Fits)).DistinctBy(e => e.RequestId).OrderByDescending(e => e.Time).Take(filter.Limit),
        ];
        string source = ledger is null ? "recent" : "ledger";
        return AdminAnswer.Json(json => Write(json, entries, recent, source));
    }

    private static void Write(Utf8JsonWriter json, LedgerEntry[] entries, Dictionary<string, SettledRequest> recent, string source)
    {
        json.WriteStartObject();
        json.WriteString("source", source);
        json.WriteStartArray("requests");
        foreach (LedgerEntry entry in entries)
        {
            WriteRow(json, entry, recent.GetValueOrDefault(entry.RequestId));
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>One request as an object; <paramref name="settled"/> is null when it is known from the ledger only.</summary>
    public static void WriteRow(Utf8JsonWriter json, LedgerEntry entry, SettledRequest? settled)
    {
        json.WriteStartObject();
        LedgerJson.WriteMembers(json, entry);
        if (settled is not null)
        {
            if (settled.Reason is { } reason) json.WriteString("reason", reason);
            json.WriteString("path", settled.Path);
            json.WriteString("address", settled.Address);
            json.WriteString("agent", settled.Agent);
            json.WriteBoolean("stream", settled.Stream);
            json.WriteBoolean("native", settled.Native);
            json.WriteNumber("requestBytes", settled.RequestBytes);
            json.WriteNumber("responseBytes", settled.ResponseBytes);
        }

        json.WriteEndObject();
    }

    private bool TryReadFilter(IQueryCollection query, out LedgerFilter filter, out ProxyError? fault)
    {
        filter = new LedgerFilter { Model = query["model"], Account = query["account"], Client = query["client"], Dialect = query["dialect"], RequestId = query["id"] };
        fault = query.Keys.FirstOrDefault(k => !s_keys.Contains(k)) is { } unknown
            ? OwnErrors.InvalidRequest($"There is no filter '{PrintableText.Of(unknown)}'; there are {string.Join(", ", s_keys)}.")
            : null;
        filter = filter with { Failed = Flag("failed", ref fault), Repaired = Flag("repaired", ref fault), Resumed = Flag("resumed", ref fault) };
        filter = filter with { Since = Moment("since", ref fault), Until = Moment("until", ref fault) };
        if ((string?)query["slow"] is { } slow)
        {
            if (double.TryParse(slow, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds is > 0 and < 1e6) filter = filter with { Slow = TimeSpan.FromSeconds(seconds) };
            else fault = OwnErrors.InvalidRequest("slow must be a number of seconds.", "slow");
        }

        if ((string?)query["limit"] is { } number)
        {
            if (int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit is >= 1 and <= LedgerFilter.MaxLimit) filter = filter with { Limit = limit };
            else fault = OwnErrors.InvalidRequest($"limit must be a whole number from 1 to {LedgerFilter.MaxLimit}.", "limit");
        }

        return fault is null;

        bool Flag(string name, ref ProxyError? wrong)
        {
            string? value = query[name];
            if (value is "true" or "1" or "") return true;
            if (value is not (null or "false" or "0")) wrong = OwnErrors.InvalidRequest($"{name} must be true or false.", name);
            return false;
        }

        DateTimeOffset? Moment(string name, ref ProxyError? wrong)
        {
            if ((string?)query[name] is not { } text) return null;
            if (SinceText.TryRead(text, time.GetUtcNow(), time.LocalTimeZone, out DateTimeOffset moment)) return moment;
            wrong = OwnErrors.InvalidRequest($"{name} must be {SinceText.Allowed}.", name);
            return null;
        }
    }
}
