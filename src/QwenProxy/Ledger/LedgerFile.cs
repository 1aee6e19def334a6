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

    /// <summary>Writes one batch and its sums; who writes again and again keeps a <see cref="LedgerInserts"/>.</summary>
    public static void Write(SqliteConnection connection, IReadOnlyList<LedgerEntry> entries, TimeZoneInfo zone)
    {
        using LedgerInserts inserts = new(connection);
        inserts.Write(entries, zone);
    }
}
