using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>GET /admin/usage?since=24h&amp;by=hour</c>: the sums of the <c>usage</c> command, with <c>format=csv</c> as a file; and <c>GET /admin/latency?since=24h&amp;by=hour&amp;model=…</c>:
/// percentiles over time. A proxy that keeps no ledger counts the recent requests it has in memory; <c>source</c> says which of the two it was.
/// </summary>
internal sealed class AdminUsage(RequestBook requests, ILedger? ledger, TimeProvider time)
{
    private const string DefaultSince = "24h";
    private const string DefaultBy = "hour";

    private static readonly string[] s_measures = ["first", "whole", "speed"];

    private string Source => ledger is null ? "recent" : "ledger";

    public AdminAnswer Usage(IQueryCollection query)
    {
        if (ReadSince(query, out DateTimeOffset since) is { } fault) return fault;
        ImmutableArray<string> by = UsageTable.SplitKeys((string?)query["by"] ?? DefaultBy);
        if (by.IsEmpty || by.Any(k => !UsageTable.AllKeys.Contains(k))) return OwnErrors.InvalidRequest($"by must be some of {string.Join(", ", UsageTable.AllKeys)}, with commas between them.", "by");
        if ((string?)query["format"] is not (null or "json" or "csv")) return OwnErrors.InvalidRequest("format must be json or csv.", "format");
        UsageTable table = new(by, time.LocalTimeZone);
        return Asked(() =>
        {
            foreach (UsageSum sum in Sums(since, by)) table.Add(sum);
            return query["format"] == "csv"
                ? AdminAnswer.Csv(UsageCsv.Write(table, by), $"usage-by-{string.Join('-', by)}.csv")
                : AdminAnswer.Json(json => UsageJson.Write(json, table, by, since, Source));
        });
    }

    public AdminAnswer Latency(IQueryCollection query)
    {
        if (ReadSince(query, out DateTimeOffset since) is { } fault) return fault;
        string by = (string?)query["by"] ?? DefaultBy;
        if (by is not ("hour" or "day")) return OwnErrors.InvalidRequest("by must be hour or day.", "by");
        string? model = query["model"];
        return Asked(() =>
        {
            LatencyCount[] counts = [.. Latencies(since, by == "day", model)];
            return AdminAnswer.Json(json => WriteLatency(json, counts, since, by));
        });
    }

    private ProxyError? ReadSince(IQueryCollection query, out DateTimeOffset since) =>
        SinceText.TryRead((string?)query["since"] ?? DefaultSince, time.GetUtcNow(), time.LocalTimeZone, out since) ? null : OwnErrors.InvalidRequest($"since must be {SinceText.Allowed}.", "since");

    private static AdminAnswer Asked(Func<AdminAnswer> read)
    {
        try
        {
            return read();
        }
        catch (Exception damaged) when (Ledgers.IsFault(damaged))
        {
            return OwnErrors.Internal() with { Message = $"The ledger cannot be read: {damaged.Message}" };
        }
    }

    private IEnumerable<UsageSum> Sums(DateTimeOffset since, ImmutableArray<string> by)
    {
        if (ledger is null) return requests.Recent().Select(r => r.Entry).Where(e => e.Time >= since).Select(UsageSum.Of);
        return ledger.Sums(since, by, time.LocalTimeZone);
    }

    private IEnumerable<LatencyCount> Latencies(DateTimeOffset since, bool byDay, string? model)
    {
        if (ledger is not null) return ledger.Latencies(since, byDay, model, time.LocalTimeZone);
        return requests.Recent().Select(r => r.Entry).Where(e => e.Time >= since && (model is null || model == (e.ServedModel ?? e.AskedModel))).SelectMany(LatencyCount.Of);
    }

    private void WriteLatency(Utf8JsonWriter json, LatencyCount[] counts, DateTimeOffset since, string by)
    {
        string format = by == "day" ? "yyyy-MM-dd" : "yyyy-MM-dd HH:00";
        json.WriteStartObject();
        json.WriteString("since", since);
        json.WriteString("source", Source);
        json.WriteStartArray("latency");
        foreach (var moment in counts.GroupBy(c => TimeZoneInfo.ConvertTime(c.Time, time.LocalTimeZone).ToString(format, CultureInfo.InvariantCulture)).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            json.WriteString(by, moment.Key);
            foreach (string measure in s_measures) WriteMeasure(json, measure, moment.Where(c => c.Measure == measure));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteMeasure(Utf8JsonWriter json, string measure, IEnumerable<LatencyCount> counts)
    {
        Dictionary<long, long> steps = counts.GroupBy(c => c.Step).ToDictionary(g => g.Key, g => g.Sum(c => c.Count));
        if (steps.Count == 0) return;
        json.WriteStartObject(measure);
        json.WriteNumber("count", steps.Values.Sum());
        // Of a speed the low end is the bad one.
        foreach (int percent in measure == "speed" ? (int[])[50, 5] : [50, 95, 99]) json.WriteNumber($"p{percent}", Math.Round(LatencyScale.Percentile(steps, percent)!.Value));
        json.WriteEndObject();
    }
}
