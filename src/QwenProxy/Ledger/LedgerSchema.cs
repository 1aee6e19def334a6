using System.Globalization;
using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>A ledger that a newer version of the program has written: what its columns mean is not known here.</summary>
internal sealed class NewerLedgerException(string path, long version) : Exception(
    $"The ledger {path} was written by a newer version of this program (its schema is {version}, this program knows {LedgerSchema.Version}). "
    + "Use the newer version, or set storage.dataFolder to another folder.");

/// <summary>
/// The ledger's tables and their history. SQLite's <c>user_version</c> says how far a file has come; each opening brings an older one forward, step by
/// step and whole or not at all. A step that a release has made is never changed again.
/// </summary>
internal static class LedgerSchema
{
    public const int Version = 2;

    /// <summary>
    /// What rows come to, by what goes before it in a list; a <c>WHERE</c> and a <c>GROUP BY</c> go behind it. Hours and days are those of the clock on the
    /// wall of the machine that wrote a row: an hour is the moment it began, a day is counted from 1970.
    /// </summary>
    public const string Counted = """
        COALESCE(served, asked) AS model, COALESCE(account, '') AS account, COALESCE(client, '') AS client, dialect,
            COUNT(*) AS requests, SUM(ending <> 'complete') AS failed, SUM(ending = 'complete' AND repaired > 0) AS repaired,
            SUM(ending = 'complete' AND resumes > 0) AS resumed, SUM(ending = 'complete' AND resumes = 0 AND tried IS NOT NULL) AS retried, COALESCE(SUM(input), 0) AS input, COALESCE(SUM(output), 0) AS output,
            COALESCE(SUM(cached), 0) AS cached, COALESCE(SUM(cache_written), 0) AS cache_written, COALESCE(SUM(reasoning), 0) AS reasoning, SUM(cost_nano) AS cost_nano
        FROM requests
        """;

    public const string Hour = "time - (time + offset_minutes * 60000) % 3600000";
    public const string Day = "(time + offset_minutes * 60000) / 86400000";

    public const string SelectHours = $"SELECT {Hour} AS hour, {Day} AS day, {Counted}";
    public const string GroupByHour = "GROUP BY 1, 2, 3, 4, 5, 6";
    public const string SelectDays = $"SELECT {Day} AS day, {Counted}";
    public const string GroupByDay = "GROUP BY 1, 2, 3, 4, 5";

    /// <summary>
    /// How many answers that ended complete lie in each step of <see cref="LatencyScale"/>: milliseconds to their first byte and in all, and tokens per second
    /// of those that streamed for long enough to tell.
    /// </summary>
    private const string Latencies = """
        COALESCE(served, asked) AS model, measure,
            step_of(CASE WHEN ending <> 'complete' THEN NULL WHEN measure = 'first' THEN ttfb_ms WHEN measure = 'whole' THEN duration_ms
                WHEN output > 0 AND duration_ms - ttfb_ms >= 200 THEN output * 1000.0 / (duration_ms - ttfb_ms) END) AS step, COUNT(*) AS count
        FROM requests CROSS JOIN (SELECT 'first' AS measure UNION ALL SELECT 'whole' UNION ALL SELECT 'speed')
        """;

    public const string SelectHourLatencies = $"SELECT {Hour} AS hour, {Day} AS day, {Latencies}";
    public const string GroupByHourLatency = "GROUP BY 1, 2, 3, 4, 5 HAVING step IS NOT NULL";
    public const string SelectDayLatencies = $"SELECT {Day} AS day, {Latencies}";
    public const string GroupByDayLatency = "GROUP BY 1, 2, 3, 4 HAVING step IS NOT NULL";

    private const string SumColumns = """
        model TEXT NOT NULL, account TEXT NOT NULL, client TEXT NOT NULL, dialect TEXT NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL,
            repaired INTEGER NOT NULL, resumed INTEGER NOT NULL, retried INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
            cached INTEGER NOT NULL, cache_written INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost_nano INTEGER
        """;

    private const string LatencyColumns = "model TEXT NOT NULL, measure TEXT NOT NULL, step INTEGER NOT NULL, count INTEGER NOT NULL";

    /// <summary>The table as 0.1 made it, without a version of its own.</summary>
    private const string First = """
        CREATE TABLE IF NOT EXISTS requests (
            time INTEGER NOT NULL, id TEXT NOT NULL, dialect TEXT NOT NULL, client TEXT, asked TEXT NOT NULL, served TEXT, account TEXT,
            input INTEGER, output INTEGER, cached INTEGER, cache_written INTEGER, reasoning INTEGER,
            attempts INTEGER NOT NULL, resumes INTEGER NOT NULL, status INTEGER NOT NULL, ending TEXT NOT NULL, duration_ms REAL NOT NULL, ttfb_ms REAL);
        CREATE INDEX IF NOT EXISTS requests_time ON requests (time);
        """;

    /// <summary>Why requests failed and what they cost. The sums that came with it are made anew in the next step.</summary>
    private const string Reasons = """
        ALTER TABLE requests ADD COLUMN source TEXT;
        ALTER TABLE requests ADD COLUMN code TEXT;
        ALTER TABLE requests ADD COLUMN tried TEXT;
        ALTER TABLE requests ADD COLUMN cost_nano INTEGER;
        ALTER TABLE requests ADD COLUMN offset_minutes INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX requests_failed ON requests (time) WHERE ending <> 'complete';
        UPDATE requests SET offset_minutes = (CAST(strftime('%s', time / 1000, 'unixepoch', 'localtime') AS INTEGER) - time / 1000) / 60,
            cost_nano = price_nano(served, input, output, cached, cache_written);
        """;

    /// <summary>What happened on a request's way, and sums that a page can ask for every few seconds.</summary>
    private const string StepsAndSums = $"""
        ALTER TABLE requests ADD COLUMN fix TEXT;
        ALTER TABLE requests ADD COLUMN steps TEXT;
        ALTER TABLE requests ADD COLUMN repairs TEXT;
        ALTER TABLE requests ADD COLUMN repaired INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX requests_id ON requests (id);
        CREATE INDEX requests_repaired ON requests (time) WHERE repaired > 0;
        CREATE INDEX requests_resumed ON requests (time) WHERE resumes > 0;
        DROP TABLE IF EXISTS hours;
        DROP TABLE IF EXISTS days;
        CREATE TABLE hours (hour INTEGER NOT NULL, day INTEGER NOT NULL, {SumColumns}, PRIMARY KEY (hour, day, model, account, client, dialect)) WITHOUT ROWID;
        CREATE TABLE days (day INTEGER NOT NULL, {SumColumns}, PRIMARY KEY (day, model, account, client, dialect)) WITHOUT ROWID;
        CREATE TABLE hour_latencies (hour INTEGER NOT NULL, day INTEGER NOT NULL, {LatencyColumns}, PRIMARY KEY (hour, day, model, measure, step)) WITHOUT ROWID;
        CREATE TABLE day_latencies (day INTEGER NOT NULL, {LatencyColumns}, PRIMARY KEY (day, model, measure, step)) WITHOUT ROWID;
        INSERT INTO hours {SelectHours} {GroupByHour};
        INSERT INTO days {SelectDays} {GroupByDay};
        INSERT INTO hour_latencies {SelectHourLatencies} {GroupByHourLatency};
        INSERT INTO day_latencies {SelectDayLatencies} {GroupByDayLatency};
        """;

    private static readonly string[] s_steps = [First + Reasons, StepsAndSums];

    /// <summary>What the statements here count by and SQLite does not know.</summary>
    public static void DefineFunctions(SqliteConnection connection)
    {
        connection.CreateFunction("step_of", (double? value) => value is { } known ? LatencyScale.StepOf(known) : (long?)null, isDeterministic: true);
        connection.CreateFunction("price_nano", (string? model, long? input, long? output, long? cached, long? written) =>
            Nano(UsageTable.CostOf(model, input is null ? null : new TokenCounts(input.Value, output ?? 0, cached ?? 0, written ?? 0))), isDeterministic: true);
    }

    /// <summary>Brings the file to <see cref="Version"/>; throws <see cref="NewerLedgerException"/> when it is beyond.</summary>
    public static void BringForward(SqliteConnection connection)
    {
        if (Check(connection) == Version) return;
        // Nothing stands in a new file yet, and this must be its first word.
        Execute(connection, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");
        using SqliteTransaction transaction = connection.BeginTransaction();
        // Another process may have done it while this one waited for the lock.
        for (long version = Check(connection); version < Version; version++) Execute(connection, s_steps[version], transaction);
        Execute(connection, $"PRAGMA user_version = {Version}", transaction);
        transaction.Commit();
    }

    public static long? Nano(decimal? dollars) => dollars is { } cost ? (long)decimal.Round(cost * 1_000_000_000m) : null;

    public static decimal? Dollars(long? nano) => nano / 1_000_000_000m;

    public static void Execute(SqliteConnection connection, string sql, SqliteTransaction? transaction = null)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = transaction;
        command.ExecuteNonQuery();
    }

    public static long Number(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt64(command.ExecuteScalar(), CultureInfo.InvariantCulture);
    }

    private static long Check(SqliteConnection connection)
    {
        long version = Number(connection, "PRAGMA user_version");
        return version <= Version ? version : throw new NewerLedgerException(connection.DataSource, version);
    }
}
