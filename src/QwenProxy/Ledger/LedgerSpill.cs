using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

internal readonly record struct SpilledEntry(long Row, LedgerEntry Entry);

/// <summary>
/// Requests that wait for a database, in a ledger file of their own: it survives a crash, and replicas that share a folder share it. What it sums up is
/// nobody's to read.
/// </summary>
internal sealed class LedgerSpill(string dataFolder) : IDisposable
{
    public const string Name = "ledger-spill.db";

    private readonly Lock _gate = new();
    private SqliteConnection? _connection;
    private long _count;

    public string Place => Path.Combine(dataFolder, Name);

    /// <summary>How many wait, as far as this replica knows.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>Looks what an earlier run left. No file is made.</summary>
    public long Open() => File.Exists(Place) ? OnFile(Counted) : 0;

    public void Add(IReadOnlyList<LedgerEntry> batch, TimeZoneInfo zone)
    {
        if (batch.Count == 0) return;
        OnFile(connection =>
        {
            LedgerFile.Write(connection, batch, zone);
            return Counted(connection);
        });
    }

    public IReadOnlyList<SpilledEntry> Oldest(int count) => OnFile(connection =>
    {
        List<SpilledEntry> oldest = [];
        using SqliteCommand query = connection.CreateCommand();
        query.CommandText = $"SELECT {LedgerQueries.Columns}, rowid FROM requests ORDER BY rowid LIMIT $count";
        query.Parameters.AddWithValue("$count", count);
        using SqliteDataReader row = query.ExecuteReader();
        while (row.Read()) oldest.Add(new SpilledEntry(row.GetInt64(row.FieldCount - 1), LedgerQueries.EntryOf(row)));
        return oldest;
    });

    public void Remove(IReadOnlyList<SpilledEntry> delivered) => OnFile(connection =>
    {
        using SqliteTransaction transaction = connection.BeginTransaction();
        using SqliteCommand remove = connection.CreateCommand();
        remove.Transaction = transaction;
        // The id too: another replica may have removed the row and taken its number for a new one.
        remove.CommandText = "DELETE FROM requests WHERE rowid = $row AND id = $id";
        SqliteParameter row = remove.Parameters.Add("$row", SqliteType.Integer);
        SqliteParameter id = remove.Parameters.Add("$id", SqliteType.Text);
        foreach (SpilledEntry one in delivered)
        {
            (row.Value, id.Value) = (one.Row, one.Entry.RequestId);
            remove.ExecuteNonQuery();
        }

        transaction.Commit();
        return Counted(connection);
    });

    public void Dispose()
    {
        lock (_gate) _connection?.Dispose();
    }

    private long Counted(SqliteConnection connection) => _count = LedgerSchema.Number(connection, "SELECT COUNT(*) FROM requests");

    private T OnFile<T>(Func<SqliteConnection, T> work)
    {
        lock (_gate)
        {
            try
            {
                return work(_connection ??= LedgerFile.OpenForWriting(Place));
            }
            catch
            {
                _connection?.Dispose();
                _connection = null;
                throw;
            }
        }
    }
}
