using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Ledger;
using QwenProxy.Storage;

namespace QwenProxy.Console;

/// <summary>A command's way to the ledger that the configuration means, with a connection of its own where that is a database.</summary>
internal sealed class LedgerAccess : IAsyncDisposable
{
    private readonly FleetDatabase? _database;

    public LedgerAccess(StorageSnapshot storage, TimeProvider time)
    {
        _database = storage.Database is { } address ? new FleetDatabase(address, time, NullLogger.Instance) : null;
        Ledger = Ledgers.Of(storage, _database);
    }

    public ILedger Ledger { get; }

    public ValueTask DisposeAsync() => _database?.DisposeAsync() ?? default;

    /// <summary>Runs a command on the ledger; one that cannot be read is told.</summary>
    public static async Task<int> RunAsync(Terminal terminal, StorageSnapshot storage, TimeProvider time, Func<ILedger, int> run)
    {
        await using LedgerAccess access = new(storage, time);
        try
        {
            return run(access.Ledger);
        }
        catch (Exception fault) when (Ledgers.IsFault(fault))
        {
            terminal.Error.WriteLine(fault is NewerLedgerException or NewerDatabaseException ? fault.Message : $"The ledger {access.Ledger.Place} cannot be read: {fault.Message}");
            return ExitCodes.Failed;
        }
    }
}
