using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;
using QwenProxy.Credentials;

namespace QwenProxy.Ledger;

/// <summary>
/// The ledger's SQLite file: one row per settled request, and their sums by hour and by day. Times are milliseconds since 1970 in UTC, costs are
/// billionths of a dollar. Write-ahead logging lets others read while the proxy writes, and two proxies share one file.
/// </summary>
internal static class LedgerFile
{
    public const string Name = "ledger.db";

    private const string Insert = """
        INSERT INTO requests (time, id, dialect, client, asked, served, account, input, output, cached, cache_written, reasoning,
            attempts, resumes, status, ending, duration_ms, ttfb_ms, source, code, tried, cost_nano, offset_minutes, fix, steps, repairs, repaired)
        VALUES ($time, $id, $dialect, $client, $asked, $served, $account, $input, $output, $cached, $written, $reasoning,
            $attempts, $resumes, $status, $ending, $duration, $ttfb, $source, $code, $tried, $cost, $offset, $fix, $steps, $repairs, $repaired)
        """;

    private const string Adding = """
        DO UPDATE SET
            requests = requests + excluded.requests, failed = failed + excluded.failed, repaired = repaired + excluded.repaired,
            resumed = resumed + excluded.resumed, retried = retried + excluded.retried, input = input + excluded.input, output = output + excluded.output,
            cached = cached + excluded.cached, cache_written = cache_written + excluded.cache_written, reasoning = reasoning + excluded.reasoning,
            cost_nano = COALESCE(cost_nano + excluded.cost_nano, cost_nano, excluded.cost_nano);
        """;

    private const string AddToSums = $"""
        INSERT INTO hours {LedgerSchema.SelectHours} WHERE rowid >= $first {LedgerSchema.GroupByHour} ON CONFLICT (hour, day, model, account, client, dialect) {Adding}
        INSERT INTO days {LedgerSchema.SelectDays} WHERE rowid >= $first {LedgerSchema.GroupByDay} ON CONFLICT (day, model, account, client, dialect) {Adding}
        INSERT INTO hour_latencies {LedgerSchema.SelectHourLatencies} WHERE rowid >= $first {LedgerSchema.GroupByHourLatency} ON CONFLICT DO UPDATE SET count = count + excluded.count;
        INSERT INTO day_latencies {LedgerSchema.SelectDayLatencies} WHERE rowid >= $first {LedgerSchema.GroupByDayLatency} ON CONFLICT DO UPDATE SET count = count + excluded.count;
        """;

    /// <summary>Opens for writing; creates folder, file and tables where they are missing, and brings those of an older version forward.</summary>
    public static SqliteConnection OpenForWriting(string path)
    {
        DurableFiles disk = new();
        disk.EnsureFolder(Path.GetDirectoryName(path)!, ours: true);
        // SQLite would create the file readable to all; its own side files take over the mode of this one.
        if (disk.Stamp(path) is null) disk.WriteNew(path, default);
        SqliteConnection connection = Open(path);
        try
        {
            LedgerSchema.Execute(connection, "PRAGMA synchronous = NORMAL");
            LedgerPruning.PrepareToShrink(connection);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Opens a file that exists, for a command or a page. It is brought forward first, since old and new rows are read alike.</summary>
    public static SqliteConnection Open(string path)
    {
        SqliteConnectionStringBuilder settings = new() { DataSource = path, Mode = SqliteOpenMode.ReadWrite, Pooling = false, DefaultTimeout = 5 };
        SqliteConnection connection = new(settings.ConnectionString);
        try
        {
            connection.Open();
            LedgerSchema.DefineFunctions(connection);
            LedgerSchema.BringForward(connection);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Writes a batch and its sums, whole or not at all. Days and hours are those of <paramref name="zone"/>.</summary>
    public static void Write(SqliteConnection connection, IReadOnlyList<LedgerEntry> entries, TimeZoneInfo zone)
    {
        using SqliteTransaction transaction = connection.BeginTransaction();
        using SqliteCommand insert = connection.CreateCommand();
        insert.Transaction = transaction;
        insert.CommandText = Insert;
        long? first = null;
        foreach (LedgerEntry entry in entries)
        {
            insert.Parameters.Clear();
            Bind(insert.Parameters, entry);
            insert.Parameters.AddWithValue("$offset", (long)zone.GetUtcOffset(entry.Time).TotalMinutes);
            insert.ExecuteNonQuery();
            first ??= LedgerSchema.Number(connection, "SELECT last_insert_rowid()");
        }

        using SqliteCommand sum = connection.CreateCommand();
        sum.Transaction = transaction;
        sum.CommandText = AddToSums;
        sum.Parameters.AddWithValue("$first", first ?? long.MaxValue);
        sum.ExecuteNonQuery();
        transaction.Commit();
    }

    private static void Bind(SqliteParameterCollection to, LedgerEntry entry)
    {
        to.AddWithValue("$time", entry.Time.ToUnixTimeMilliseconds());
        to.AddWithValue("$id", entry.RequestId);
        to.AddWithValue("$dialect", entry.Dialect);
        to.AddWithValue("$client", Of(entry.Client));
        to.AddWithValue("$asked", entry.AskedModel);
        to.AddWithValue("$served", Of(entry.ServedModel));
        to.AddWithValue("$account", Of(entry.Account));
        to.AddWithValue("$input", Of(entry.Tokens?.Input));
        to.AddWithValue("$output", Of(entry.Tokens?.Output));
        to.AddWithValue("$cached", Of(entry.Tokens?.Cached));
        to.AddWithValue("$written", Of(entry.Tokens?.CacheWritten));
        to.AddWithValue("$reasoning", Of(entry.Tokens?.Reasoning));
        to.AddWithValue("$attempts", entry.Attempts);
        to.AddWithValue("$resumes", entry.Resumes);
        to.AddWithValue("$status", entry.Status);
        to.AddWithValue("$ending", entry.End);
        to.AddWithValue("$duration", entry.Duration.TotalMilliseconds);
        to.AddWithValue("$ttfb", Of(entry.FirstByte?.TotalMilliseconds));
        to.AddWithValue("$source", Of(entry.Source));
        to.AddWithValue("$code", Of(entry.Code));
        to.AddWithValue("$tried", Of(entry.Tried));
        to.AddWithValue("$fix", Of(entry.Fix));
        to.AddWithValue("$steps", Of(entry.Steps));
        to.AddWithValue("$repairs", Of(entry.Repairs));
        to.AddWithValue("$repaired", entry.Repaired);
        to.AddWithValue("$cost", Of(LedgerSchema.Nano(entry.Cost)));
    }

    private static object Of<T>(T? value) => value is null ? DBNull.Value : value;
}
