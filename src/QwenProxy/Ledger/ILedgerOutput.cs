using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>Where the writer's batches go. Used by one task at a time.</summary>
internal interface ILedgerOutput : IAsyncDisposable
{
    /// <summary>Where, in words for a person.</summary>
    string Place { get; }

    /// <summary>Requests that are written down on this machine only and are still to be delivered.</summary>
    long Undelivered { get; }

    /// <summary>How long a batch waits for more to come along: what a batch costs by itself is shared by its entries.</summary>
    TimeSpan Gathers { get; }

    /// <summary>Begins before the first batch.</summary>
    Task OpenAsync();

    /// <summary>Writes a batch, whole or not at all. Throws what <see cref="Ledgers.IsFault"/> knows, or a fault of the disk.</summary>
    Task WriteAsync(IReadOnlyList<LedgerEntry> batch);

    /// <summary>Drops what is older, or begins to: it is done when the output is disposed of.</summary>
    Task PruneAsync(DateTimeOffset before);
}

/// <summary>The ledger's file.</summary>
internal sealed class FileLedgerOutput(string path, TimeProvider time) : ILedgerOutput
{
    private SqliteConnection? _connection;
    private LedgerInserts? _inserts;

    public string Place => path;

    public long Undelivered => 0;

    /// <summary>A transaction costs as much as fifty rows.</summary>
    public TimeSpan Gathers => TimeSpan.FromMilliseconds(100);

    public Task OpenAsync() => OnFile(static _ => { });

    public Task WriteAsync(IReadOnlyList<LedgerEntry> batch) => OnFile(connection => (_inserts ??= new LedgerInserts(connection)).Write(batch, time.LocalTimeZone));

    public Task PruneAsync(DateTimeOffset before) => OnFile(connection => LedgerPruning.Prune(connection, before));

    public ValueTask DisposeAsync()
    {
        Close();
        return default;
    }

    private Task OnFile(Action<SqliteConnection> work)
    {
        try
        {
            work(_connection ??= LedgerFile.OpenForWriting(path));
            return Task.CompletedTask;
        }
        catch
        {
            // The next batch opens the file anew: somebody may have moved it away or made room.
            Close();
            throw;
        }
    }

    private void Close()
    {
        _inserts?.Dispose();
        _connection?.Dispose();
        (_inserts, _connection) = (null, null);
    }
}
