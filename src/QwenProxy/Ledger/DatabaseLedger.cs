using System.Collections.Immutable;
using Npgsql;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Ledger;
using QwenProxy.Storage;

namespace QwenProxy.Ledger;

/// <summary>
/// The ledger of a fleet. Sums are made when they are asked for: kept ones, as a file has, would be rows that all replicas change at once. Hours and
/// days are those of the clock on the wall of the replica that wrote a row.
/// </summary>
internal sealed class DatabaseLedger(FleetDatabase database) : ILedger
{
    private const int RowsAtOnce = 2000;
    private const long HourLength = 3_600_000;

    /// <summary>No clock is further from UTC: what an index can find of a day's rows.</summary>
    private const long FarthestClock = 14 * HourLength;

    private const string Model = "COALESCE(served, asked)";

    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(60);

    public string Place => $"the database {database.Name}";

    public bool Exists => true;

    /// <summary>In steps, each of which goes on behind the last row of the one before: a year of a fleet does not fit into memory.</summary>
    public IEnumerable<LedgerEntry> Read(DateTimeOffset? since)
    {
        (long Time, string Id) last = (since?.ToUnixTimeMilliseconds() - 1 ?? long.MinValue, "\uFFFF");
        LedgerEntry[] step;
        do
        {
            (long time, string id) = last;
            step = Rows($"WHERE (time, id) > ($1, $2 COLLATE \"C\") ORDER BY time, id COLLATE \"C\" LIMIT {RowsAtOnce}", LedgerQueries.EntryOf, LedgerRows.Columns, time, id);
            foreach (LedgerEntry entry in step) yield return entry;
            if (step.Length > 0) last = (step[^1].Time.ToUnixTimeMilliseconds(), step[^1].RequestId);
        }
        while (step.Length == RowsAtOnce);
    }

    public ImmutableArray<LedgerEntry> Find(LedgerFilter filter)
    {
        List<string> conditions = ["time >= $1"];
        List<object> values = [filter.Since?.ToUnixTimeMilliseconds() ?? long.MinValue];
        Add(filter.Until?.ToUnixTimeMilliseconds(), "time < {0}");
        if (filter.Failed) conditions.Add("ending <> 'complete'");
        if (filter.Repaired) conditions.Add("repaired > 0");
        if (filter.Resumed) conditions.Add("resumes > 0");
        Add(filter.Slow?.TotalMilliseconds, "COALESCE(ttfb_ms, duration_ms) >= {0}");
        Add(filter.Model, "(asked = {0} OR served = {0})");
        Add(filter.Account, "account = {0}");
        Add(filter.Client, "client = {0}");
        Add(filter.Dialect, "dialect = {0}");
        Add(filter.RequestId, "id = {0}");
        return [.. Rows($"WHERE {string.Join(" AND ", conditions)} ORDER BY time DESC LIMIT {filter.Limit}", LedgerQueries.EntryOf, LedgerRows.Columns, [.. values])];

        void Add(object? value, string condition)
        {
            if (value is null) return;
            values.Add(value);
            conditions.Add(condition.Replace("{0}", $"${values.Count}", StringComparison.Ordinal));
        }
    }

    public IEnumerable<UsageSum> Sums(DateTimeOffset? since, ImmutableArray<string> by, TimeZoneInfo zone)
    {
        bool byDay = by.Contains("day") && !by.Contains("hour");
        string moment = by.Contains("hour") ? LedgerSchema.Hour : byDay ? LedgerSchema.Day : "0::bigint";
        string keys = string.Join(", ", Key("model", Model), Key("account", "COALESCE(account, '')"), Key("client", "COALESCE(client, '')"), Key("dialect", "dialect"));
        string sums = $"""
            {moment}, {keys}, COUNT(*), COUNT(*) FILTER (WHERE ending <> 'complete'), COUNT(*) FILTER (WHERE ending = 'complete' AND repaired > 0),
            COUNT(*) FILTER (WHERE ending = 'complete' AND resumes > 0), COUNT(*) FILTER (WHERE ending = 'complete' AND resumes = 0 AND tried IS NOT NULL),
            {Sum("input")}, {Sum("output")}, {Sum("cached")}, {Sum("cache_written")}, {Sum("reasoning")}, SUM(cost_nano)::bigint
            """;
        return Rows("WHERE time >= $1 GROUP BY 1, 2, 3, 4, 5", row => LedgerQueries.SumOf(row, TimeOf(row.GetInt64(0), byDay, zone)), sums, since?.ToUnixTimeMilliseconds() ?? long.MinValue);

        string Key(string name, string column) => by.Contains(name) ? column : "''";

        static string Sum(string column) => $"COALESCE(SUM({column}), 0)::bigint";
    }

    public IEnumerable<LatencyCount> Latencies(DateTimeOffset since, bool byDay, string? model, TimeZoneInfo zone)
    {
        string moment = byDay ? LedgerSchema.Day : LedgerSchema.Hour;
        DateTime local = TimeZoneInfo.ConvertTime(since, zone).DateTime;
        long from = byDay ? (long)(local.Date - DateTime.UnixEpoch).TotalDays : since.AddHours(-1).ToUnixTimeMilliseconds() + 1;
        long earliest = byDay ? (from * 24 * HourLength) - FarthestClock : from;
        List<object> values = [earliest, from];
        if (model is not null) values.Add(model);
        return Rows($"""
            CROSS JOIN LATERAL (VALUES ('first', first_step), ('whole', whole_step), ('speed', speed_step)) AS m (measure, step)
            WHERE time >= $1 AND {moment} >= $2 AND step IS NOT NULL {(model is null ? "" : $"AND {Model} = $3")} GROUP BY 1, 2, 3
            """, row => new LatencyCount(TimeOf(row.GetInt64(0), byDay, zone), row.GetString(1), row.GetInt64(2), row.GetInt64(3)), $"{moment}, measure, step::bigint, COUNT(*)", [.. values]);
    }

    public IReadOnlyDictionary<string, ClientTake> Taken(DateTime firstDay)
    {
        long day = (long)(firstDay.Date - DateTime.UnixEpoch).TotalDays;
        return Rows($"WHERE time >= $1 AND {LedgerSchema.Day} >= $2 AND client <> '' GROUP BY client",
            row => (Client: row.GetString(0), Take: new ClientTake(row.GetInt64(1), LedgerSchema.Dollars(row.IsDBNull(2) ? null : row.GetInt64(2)) ?? 0)),
            "client, COALESCE(SUM(input + output), 0)::bigint, SUM(cost_nano)::bigint", (day * 24 * HourLength) - FarthestClock, day)
            .ToDictionary(r => r.Client, r => r.Take, StringComparer.Ordinal);
    }

    public IReadOnlyDictionary<string, DateTimeOffset> LastSeen() =>
        Rows("WHERE client <> '' GROUP BY client", row => (Client: row.GetString(0), Time: DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1))), "client, MAX(time)")
            .ToDictionary(r => r.Client, r => r.Time, StringComparer.Ordinal);

    private static DateTimeOffset TimeOf(long moment, bool byDay, TimeZoneInfo zone) => byDay ? LedgerQueries.NoonOf(moment, zone) : DateTimeOffset.FromUnixTimeMilliseconds(moment);

    private T[] Rows<T>(string rest, Func<NpgsqlDataReader, T> read, string columns, params object[] values) => database.RunAsync(async (connection, stop) =>
    {
        List<T> rows = [];
        await using NpgsqlCommand query = new($"SELECT {columns} FROM qwen_proxy.requests {rest}", connection) { CommandTimeout = (int)s_bound.TotalSeconds };
        foreach (object value in values)
        {
            query.Parameters.Add(value switch
            {
                long number => new NpgsqlParameter<long> { TypedValue = number },
                double number => new NpgsqlParameter<double> { TypedValue = number },
                _ => new NpgsqlParameter<string> { TypedValue = LedgerRows.Storable((string)value) },
            });
        }

        await using NpgsqlDataReader row = await query.ExecuteReaderAsync(stop);
        while (await row.ReadAsync(stop)) rows.Add(read(row));
        return rows.ToArray();
    }, CancellationToken.None, s_bound).GetAwaiter().GetResult();
}
