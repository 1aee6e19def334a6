using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;
using QwenProxy.Credentials;

namespace QwenProxy.Ledger;

/// <summary>
/// The ledger's SQLite file: one row per settled request. Times are milliseconds since 1970 in UTC. Write-ahead logging lets <c>usage</c> read while
/// the proxy writes, and two proxies share one file.
/// </summary>
internal static class LedgerFile
{
    public const string Name = "ledger.db";

    /// <summary>Rows older than this are dropped when the file is opened for writing, so that it does not grow for ever.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromDays(400);

    private const string Schema = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS requests (
            time INTEGER NOT NULL, id TEXT NOT NULL, dialect TEXT NOT NULL, client TEXT, asked TEXT NOT NULL, served TEXT, account TEXT,
            input INTEGER, output INTEGER, cached INTEGER, cache_written INTEGER, reasoning INTEGER,
            attempts INTEGER NOT NULL, resumes INTEGER NOT NULL, status INTEGER NOT NULL, ending TEXT NOT NULL, duration_ms REAL NOT NULL, ttfb_ms REAL);
        CREATE INDEX IF NOT EXISTS requests_time ON requests (time);
        """;

    private const string Insert = """
        INSERT INTO requests VALUES ($time, $id, $dialect, $client, $asked, $served, $account, $input, $output, $cached, $written, $reasoning,
            $attempts, $resumes, $status, $ending, $duration, $ttfb)
        """;

    /// <summary>Opens for writing; creates folder, file and table where they are missing.</summary>
    public static SqliteConnection OpenForWriting(string path, DateTimeOffset now)
    {
        DurableFiles disk = new();
        disk.EnsureFolder(Path.GetDirectoryName(path)!, ours: true);
        // SQLite would create the file readable to all; its own side files take over the mode of this one.
        if (disk.Stamp(path) is null) disk.WriteNew(path, default);
        SqliteConnection connection = Open(path, SqliteOpenMode.ReadWrite);
        try
        {
            Execute(connection, Schema);
            using SqliteCommand prune = connection.CreateCommand();
            prune.CommandText = "DELETE FROM requests WHERE time < $before";
            prune.Parameters.AddWithValue("$before", (now - Kept).ToUnixTimeMilliseconds());
            prune.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Writes a batch whole or not at all.</summary>
    public static void Write(SqliteConnection connection, IReadOnlyList<LedgerEntry> entries)
    {
        using SqliteTransaction transaction = connection.BeginTransaction();
        using SqliteCommand insert = connection.CreateCommand();
        insert.Transaction = transaction;
        insert.CommandText = Insert;
        foreach (LedgerEntry entry in entries)
        {
            insert.Parameters.Clear();
            Bind(insert.Parameters, entry);
            insert.ExecuteNonQuery();
        }

        transaction.Commit();
    }

    /// <summary>The rows since a moment, one by one, oldest first.</summary>
    public static IEnumerable<LedgerEntry> Read(string path, DateTimeOffset? since)
    {
        using SqliteConnection connection = Open(path, SqliteOpenMode.ReadWrite);
        using SqliteCommand query = connection.CreateCommand();
        query.CommandText = "SELECT * FROM requests WHERE time >= $since ORDER BY time";
        query.Parameters.AddWithValue("$since", since?.ToUnixTimeMilliseconds() ?? long.MinValue);
        using SqliteDataReader row = query.ExecuteReader();
        while (row.Read()) yield return EntryOf(row);
    }

    private static SqliteConnection Open(string path, SqliteOpenMode mode)
    {
        SqliteConnectionStringBuilder settings = new() { DataSource = path, Mode = mode, Pooling = false, DefaultTimeout = 5 };
        SqliteConnection connection = new(settings.ConnectionString);
        connection.Open();
        return connection;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
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
    }

    private static LedgerEntry EntryOf(SqliteDataReader row) => new()
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
    };

    private static string? Text(SqliteDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static object Of<T>(T? value) => value is null ? DBNull.Value : value;
}
