using System.Collections.Immutable;
using System.Data.Common;
using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>What is asked of a ledger; of one that does not exist yet, nothing comes back.</summary>
internal static class LedgerQueries
{
    public const string Columns = """
        time, id, dialect, client, asked, served, account, input, output, cached, cache_written, reasoning,
        attempts, resumes, status, ending, duration_ms, ttfb_ms, source, code, tried, cost_nano, fix, steps, repairs, repaired
        """;

    /// <summary>All rows since a moment, one by one, oldest first.</summary>
    public static IEnumerable<LedgerEntry> Read(string path, DateTimeOffset? since)
    {
        if (!File.Exists(path)) yield break;
        using SqliteConnection connection = LedgerFile.Open(path);
        using SqliteCommand query = connection.CreateCommand();
        query.CommandText = $"SELECT {Columns} FROM requests WHERE time >= $since ORDER BY time";
        query.Parameters.AddWithValue("$since", since?.ToUnixTimeMilliseconds() ?? long.MinValue);
        using SqliteDataReader row = query.ExecuteReader();
        while (row.Read()) yield return EntryOf(row);
    }

    /// <summary>The newest rows that fit, newest first.</summary>
    public static ImmutableArray<LedgerEntry> Find(string path, LedgerFilter filter)
    {
        if (!File.Exists(path)) return [];
        using SqliteConnection connection = LedgerFile.Open(path);
        using SqliteCommand query = connection.CreateCommand();
        List<string> conditions = ["time >= $since"];
        query.Parameters.AddWithValue("$since", filter.Since?.ToUnixTimeMilliseconds() ?? long.MinValue);
        Add(filter.Until?.ToUnixTimeMilliseconds(), "time < $until", "$until");
        if (filter.Failed) conditions.Add("ending <> 'complete'");
        if (filter.Repaired) conditions.Add("repaired > 0");
        if (filter.Resumed) conditions.Add("resumes > 0");
        Add(filter.Slow?.TotalMilliseconds, "COALESCE(ttfb_ms, duration_ms) >= $slow", "$slow");
        Add(filter.Model, "(asked = $model OR served = $model)", "$model");
        Add(filter.Account, "account = $account", "$account");
        Add(filter.Client, "client = $client", "$client");
        Add(filter.Dialect, "dialect = $dialect", "$dialect");
        Add(filter.RequestId, "id = $id", "$id");
        query.Parameters.AddWithValue("$limit", filter.Limit);
        query.CommandText = $"SELECT {Columns} FROM requests WHERE {string.Join(" AND ", conditions)} ORDER BY time DESC LIMIT $limit";
        using SqliteDataReader row = query.ExecuteReader();
        ImmutableArray<LedgerEntry>.Builder found = ImmutableArray.CreateBuilder<LedgerEntry>();
        while (row.Read()) found.Add(EntryOf(row));
        return found.DrainToImmutable();

        void Add(object? value, string condition, string name)
        {
            if (value is null) return;
            conditions.Add(condition);
            query.Parameters.AddWithValue(name, value);
        }
    }

    /// <summary>
    /// Sums since a moment, by what <paramref name="by"/> asks for and no finer. The hour in which that moment lies is summed from its rows, the hours up to
    /// the end of that day and the days behind it are kept as sums.
    /// </summary>
    public static IEnumerable<UsageSum> Sums(string path, DateTimeOffset? since, ImmutableArray<string> by, TimeZoneInfo zone)
    {
        if (!File.Exists(path)) yield break;
        const long hour = 3_600_000;
        using SqliteConnection connection = LedgerFile.Open(path);
        using SqliteCommand query = connection.CreateCommand();
        bool byHour = by.Contains("hour");
        bool byDay = by.Contains("day") && !byHour;
        string moment = byHour ? "hour" : byDay ? "day" : "0";
        string keys = string.Join(", ", ((string[])["model", "account", "client", "dialect"]).Select(k => by.Contains(k) ? k : "''"));
        string hours = $"""
            SELECT * FROM hours WHERE hour >= $next AND day <= $lastDay
            UNION ALL SELECT * FROM ({LedgerSchema.SelectHours} WHERE time >= $since AND time < $next + 3600000 AND {LedgerSchema.Hour} < $next {LedgerSchema.GroupByHour})
            """;
        string days = byHour ? "" : "UNION ALL SELECT 0 AS hour, * FROM days WHERE day > $lastDay";
        query.CommandText = $"""
            SELECT {moment}, {keys}, SUM(requests), SUM(failed), SUM(repaired), SUM(resumed), SUM(retried), SUM(input), SUM(output), SUM(cached), SUM(cache_written), SUM(reasoning), SUM(cost_nano)
            FROM ({hours} {days}) GROUP BY 1, 2, 3, 4, 5
            """;
        long from = since?.ToUnixTimeMilliseconds() ?? 0;
        query.Parameters.AddWithValue("$since", from);
        query.Parameters.AddWithValue("$next", (from + hour - 1) / hour * hour);
        // The latest day that it may be anywhere on earth at that moment: what is of a later day is of a later moment.
        query.Parameters.AddWithValue("$lastDay", since is null && !byHour ? -1 : byHour ? long.MaxValue : (from + (14 * hour)) / (24 * hour));
        using SqliteDataReader row = query.ExecuteReader();
        while (row.Read()) yield return SumOf(row, byDay ? NoonOf(row.GetInt64(0), zone) : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(0)));
    }

    /// <summary>
    /// How many answers lie in each step of <see cref="LatencyScale"/>, by whole hours or whole days of this machine's clock, the one of <paramref name="since"/> included.
    /// </summary>
    public static IEnumerable<LatencyCount> Latencies(string path, DateTimeOffset since, bool byDay, string? model, TimeZoneInfo zone)
    {
        if (!File.Exists(path)) yield break;
        using SqliteConnection connection = LedgerFile.Open(path);
        using SqliteCommand query = connection.CreateCommand();
        string moment = byDay ? "day" : "hour";
        string ofModel = model is null ? "" : "AND model = $model";
        query.CommandText = $"SELECT {moment}, measure, step, SUM(count) FROM {moment}_latencies WHERE {moment} >= $from {ofModel} GROUP BY 1, 2, 3";
        DateTime local = TimeZoneInfo.ConvertTime(since, zone).DateTime;
        query.Parameters.AddWithValue("$from", byDay ? (long)(local.Date - DateTime.UnixEpoch).TotalDays : since.AddHours(-1).ToUnixTimeMilliseconds() + 1);
        if (model is not null) query.Parameters.AddWithValue("$model", model);
        using SqliteDataReader row = query.ExecuteReader();
        while (row.Read())
        {
            DateTimeOffset time = byDay ? NoonOf(row.GetInt64(0), zone) : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(0));
            yield return new LatencyCount(time, row.GetString(1), row.GetInt64(2), row.GetInt64(3));
        }
    }

    public static DateTimeOffset NoonOf(long day, TimeZoneInfo zone)
    {
        DateTime noon = DateTime.UnixEpoch.AddDays(day).AddHours(12);
        return new DateTimeOffset(DateTime.SpecifyKind(noon, DateTimeKind.Unspecified), zone.GetUtcOffset(DateTime.SpecifyKind(noon, DateTimeKind.Unspecified)));
    }

    public static UsageSum SumOf(DbDataReader row, DateTimeOffset time) =>
        new(time, row.GetString(1), row.GetString(2), row.GetString(3), row.GetString(4))
        {
            Requests = row.GetInt64(5),
            Failed = row.GetInt64(6),
            Saved = new SavedAnswers(row.GetInt64(7), row.GetInt64(8), row.GetInt64(9)),
            Tokens = new TokenCounts(row.GetInt64(10), row.GetInt64(11), row.GetInt64(12), row.GetInt64(13), row.GetInt64(14)),
            Cost = LedgerSchema.Dollars(Whole(row, 15)),
        };

    public static LedgerEntry EntryOf(DbDataReader row) => new()
    {
        Time = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(0)),
        RequestId = row.GetString(1),
        Dialect = row.GetString(2),
        Client = Text(row, 3),
        AskedModel = row.GetString(4),
        ServedModel = Text(row, 5),
        Account = Text(row, 6),
        Tokens = row.IsDBNull(7) ? null : new TokenCounts(row.GetInt64(7), row.GetInt64(8), row.GetInt64(9), row.GetInt64(10), row.GetInt64(11)),
        Attempts = row.GetInt32(12),
        Resumes = row.GetInt32(13),
        Status = row.GetInt32(14),
        End = row.GetString(15),
        Duration = TimeSpan.FromMilliseconds(row.GetDouble(16)),
        FirstByte = row.IsDBNull(17) ? null : TimeSpan.FromMilliseconds(row.GetDouble(17)),
        Source = Text(row, 18),
        Code = Text(row, 19),
        Tried = Text(row, 20),
        Cost = LedgerSchema.Dollars(Whole(row, 21)),
        Fix = Text(row, 22),
        Steps = Text(row, 23),
        Repairs = Text(row, 24),
        Repaired = row.GetInt32(25),
    };

    private static string? Text(DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static long? Whole(DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt64(column);
}
