using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;
using SQLitePCL;

namespace QwenProxy.Ledger;

/// <summary>The statements that a writer of the ledger runs again and again, on its open file.</summary>
internal sealed class LedgerInserts : IDisposable
{
    private const string Insert = """
        INSERT INTO requests (time, id, dialect, client, asked, served, account, input, output, cached, cache_written, reasoning,
            attempts, resumes, status, ending, duration_ms, ttfb_ms, source, code, tried, fix, steps, repairs, repaired, cost_nano, offset_minutes)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """;

    private const string Adding = """
        DO UPDATE SET
            requests = requests + excluded.requests, failed = failed + excluded.failed, repaired = repaired + excluded.repaired,
            resumed = resumed + excluded.resumed, retried = retried + excluded.retried, input = input + excluded.input, output = output + excluded.output,
            cached = cached + excluded.cached, cache_written = cache_written + excluded.cache_written, reasoning = reasoning + excluded.reasoning,
            cost_nano = COALESCE(cost_nano + excluded.cost_nano, cost_nano, excluded.cost_nano)
        """;

    /// <summary>Each adds what rows from a first one on come to.</summary>
    private static readonly string[] s_sums =
    [
        $"INSERT INTO hours {LedgerSchema.SelectHours} WHERE rowid >= ? {LedgerSchema.GroupByHour} ON CONFLICT (hour, day, model, account, client, dialect) {Adding}",
        $"INSERT INTO days {LedgerSchema.SelectDays} WHERE rowid >= ? {LedgerSchema.GroupByDay} ON CONFLICT (day, model, account, client, dialect) {Adding}",
        $"INSERT INTO hour_latencies {LedgerSchema.SelectHourLatencies} WHERE rowid >= ? {LedgerSchema.GroupByHourLatency} ON CONFLICT DO UPDATE SET count = count + excluded.count",
        $"INSERT INTO day_latencies {LedgerSchema.SelectDayLatencies} WHERE rowid >= ? {LedgerSchema.GroupByDayLatency} ON CONFLICT DO UPDATE SET count = count + excluded.count",
    ];

    private readonly sqlite3 _database;
    private readonly PreparedStatement _begin;
    private readonly PreparedStatement _commit;
    private readonly PreparedStatement _rollback;
    private readonly PreparedStatement _insert;
    private readonly PreparedStatement[] _sums;

    public LedgerInserts(SqliteConnection connection)
    {
        _database = connection.Handle!;
        raw.sqlite3_busy_timeout(_database, connection.DefaultTimeout * 1000);
        _begin = new PreparedStatement(connection, "BEGIN IMMEDIATE");
        _commit = new PreparedStatement(connection, "COMMIT");
        _rollback = new PreparedStatement(connection, "ROLLBACK");
        _insert = new PreparedStatement(connection, Insert);
        _sums = [.. s_sums.Select(sql => new PreparedStatement(connection, sql))];
    }

    /// <summary>Writes a batch and its sums, whole or not at all. Days and hours are those of <paramref name="zone"/>.</summary>
    public void Write(IReadOnlyList<LedgerEntry> entries, TimeZoneInfo zone)
    {
        if (entries.Count == 0) return;
        _begin.Run();
        try
        {
            long first = 0;
            foreach (LedgerEntry entry in entries)
            {
                Add(entry).Add((long)zone.GetUtcOffset(entry.Time).TotalMinutes).Run();
                if (first == 0) first = raw.sqlite3_last_insert_rowid(_database);
            }

            foreach (PreparedStatement sum in _sums) sum.Add(first).Run();
            _commit.Run();
        }
        catch
        {
            // A full disk ends the transaction by itself.
            if (raw.sqlite3_get_autocommit(_database) == 0) _rollback.Run();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (PreparedStatement statement in (PreparedStatement[])[_begin, _commit, _rollback, _insert, .. _sums]) statement.Dispose();
    }

    private PreparedStatement Add(LedgerEntry entry) => _insert
        .Add(entry.Time.ToUnixTimeMilliseconds())
        .Add(entry.RequestId)
        .Add(entry.Dialect)
        .Add(entry.Client)
        .Add(entry.AskedModel)
        .Add(entry.ServedModel)
        .Add(entry.Account)
        .Add(entry.Tokens?.Input)
        .Add(entry.Tokens?.Output)
        .Add(entry.Tokens?.Cached)
        .Add(entry.Tokens?.CacheWritten)
        .Add(entry.Tokens?.Reasoning)
        .Add(entry.Attempts)
        .Add(entry.Resumes)
        .Add(entry.Status)
        .Add(entry.End)
        .Add(entry.Duration.TotalMilliseconds)
        .Add(entry.FirstByte?.TotalMilliseconds)
        .Add(entry.Source)
        .Add(entry.Code)
        .Add(entry.Tried)
        .Add(entry.Fix)
        .Add(entry.Steps)
        .Add(entry.Repairs)
        .Add(entry.Repaired)
        .Add(LedgerSchema.Nano(entry.Cost));
}
