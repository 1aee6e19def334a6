using Microsoft.Extensions.Logging;
using Npgsql;
using QwenProxy.Core.Ledger;
using QwenProxy.Storage;

namespace QwenProxy.Ledger;

/// <summary>
/// The ledger of a fleet. A batch that the database does not take within a moment is spilled to a file of this machine, and so are all after it until what
/// was spilled is delivered; a batch of which nobody knows whether it arrived may be delivered twice, and is there once.
/// </summary>
internal sealed partial class DatabaseLedgerOutput(FleetDatabase database, LedgerSpill spill, TimeProvider time, ILogger logger) : ILedgerOutput
{
    private const int DeliveredAtOnce = 1000;

    /// <summary>A replica that is killed loses what was not written yet: no longer than this does a batch hang on the network.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>Nobody waits for a delivery, and a slow database must get through with one.</summary>
    private static readonly TimeSpan s_deliveryBound = TimeSpan.FromSeconds(60);

    /// <summary>The disk may go with the replica, as a container's does.</summary>
    private static readonly TimeSpan s_patienceAtStop = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private bool _isSpilling;
    private Task _delivering = Task.CompletedTask;
    private Task _pruning = Task.CompletedTask;

    public string Place => $"the database {database.Name}";

    public long Undelivered => spill.Count;

    /// <summary>With the patience above less than the three seconds that a replica which is killed may lose.</summary>
    public TimeSpan Gathers => TimeSpan.FromSeconds(0.5);

    /// <summary>What an earlier run left is delivered first.</summary>
    public async Task OpenAsync()
    {
        await _gate.WaitAsync();
        try
        {
            if (spill.Open() > 0) Spill([]);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task WriteAsync(IReadOnlyList<LedgerEntry> batch)
    {
        await _gate.WaitAsync();
        try
        {
            if (_isSpilling) Spill(batch);
            else await WriteOrSpillAsync(batch);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Begins it: batches do not wait behind a lock on the table or a slow database.</summary>
    public Task PruneAsync(DateTimeOffset before)
    {
        if (_pruning.IsCompleted) _pruning = Task.Run(() => DropAsync(before));
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        Task ending = Task.WhenAll(_delivering, _pruning);
        await Task.WhenAny(ending, Task.Delay(s_patienceAtStop, TimeProvider.System, CancellationToken.None));
        await _stop.CancelAsync();
        await ending;
        spill.Dispose();
        _gate.Dispose();
        _stop.Dispose();
    }

    private async Task DropAsync(DateTimeOffset before)
    {
        try
        {
            await LedgerRows.DropPartsAsync(database, before, _stop.Token);
            // The next month's part is there before its first row is waited for.
            await LedgerRows.MakePartsAsync(database, [time.GetUtcNow(), time.GetUtcNow().AddDays(3)], _stop.Token);
        }
        catch (Exception failure) when (failure is DatabaseAwayException or NewerDatabaseException or PostgresException)
        {
            LogNotPruned(logger, Place, failure.Message);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The replica stops; the next hour, or another replica, does it.
        }
    }

    private async Task WriteOrSpillAsync(IReadOnlyList<LedgerEntry> batch)
    {
        try
        {
            await LedgerRows.WriteAsync(database, batch, time.LocalTimeZone, s_patience, CancellationToken.None);
        }
        catch (Exception failure) when (failure is DatabaseAwayException or NewerDatabaseException or PostgresException)
        {
            // What the database refuses is sorted out by the delivery, row by row.
            Spill(batch);
        }
    }

    private void Spill(IReadOnlyList<LedgerEntry> batch)
    {
        spill.Add(batch, time.LocalTimeZone);
        if (_isSpilling) return;
        _isSpilling = true;
        LogSpilling(logger, spill.Place, Place);
        _delivering = DeliverAsync();
    }

    private async Task DeliverAsync()
    {
        // Not on the task of the batch that was spilled.
        await Task.Yield();
        long delivered = 0;
        try
        {
            while (true)
            {
                long step = await TryDeliverAsync();
                delivered += step;
                if (step == 0 && await IsDoneAsync()) break;
                if (step == 0) await Task.Delay(s_pause, TimeProvider.System, _stop.Token);
            }

            LogDelivered(logger, delivered, Place);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The next run delivers the rest.
        }
        catch (Exception failure)
        {
            LogStuck(logger, spill.Place, failure.Message);
            _isSpilling = false;
        }
    }

    /// <summary>Zero when the database did not take any, or nothing is left.</summary>
    private async Task<long> TryDeliverAsync()
    {
        IReadOnlyList<SpilledEntry> step = spill.Oldest(DeliveredAtOnce);
        if (step.Count == 0) return 0;
        try
        {
            await LedgerRows.WriteAsync(database, [.. step.Select(s => s.Entry)], time.LocalTimeZone, s_deliveryBound, _stop.Token);
        }
        catch (Exception away) when (away is DatabaseAwayException or NewerDatabaseException)
        {
            return 0;
        }
        catch (PostgresException) when (step.Count > 1)
        {
            foreach (SpilledEntry one in step) await DeliverOneAsync(one);
            return step.Count;
        }

        spill.Remove(step);
        return step.Count;
    }

    /// <summary>A row that the database refuses by itself would stop all behind it; it is told and left out.</summary>
    private async Task DeliverOneAsync(SpilledEntry one)
    {
        try
        {
            await LedgerRows.WriteAsync(database, [one.Entry], time.LocalTimeZone, s_deliveryBound, _stop.Token);
        }
        catch (PostgresException refused)
        {
            LogRefused(logger, one.Entry.RequestId, Place, refused.MessageText);
        }

        spill.Remove([one]);
    }

    private async Task<bool> IsDoneAsync()
    {
        await _gate.WaitAsync(_stop.Token);
        try
        {
            _isSpilling = spill.Count > 0;
            return !_isSpilling;
        }
        finally
        {
            _gate.Release();
        }
    }

    [LoggerMessage(EventId = 4021, Level = LogLevel.Warning, Message = "Requests are written down in {File} until {Database} takes them")]
    private static partial void LogSpilling(ILogger logger, string file, string database);

    [LoggerMessage(EventId = 4022, Level = LogLevel.Information, Message = "{Count} requests that had waited are in {Database} now")]
    private static partial void LogDelivered(ILogger logger, long count, string database);

    [LoggerMessage(EventId = 4023, Level = LogLevel.Error, Message = "What waits in {File} cannot be delivered before the next batch is spilled: {Problem}")]
    private static partial void LogStuck(ILogger logger, string file, string problem);

    [LoggerMessage(EventId = 4020, Level = LogLevel.Warning, Message = "Old requests in {Database} could not be dropped; it is tried again in an hour: {Problem}")]
    private static partial void LogNotPruned(ILogger logger, string database, string problem);

    [LoggerMessage(EventId = 4024, Level = LogLevel.Error, Message = "Request {Id} is not in the ledger: {Database} refuses it: {Problem}")]
    private static partial void LogRefused(ILogger logger, string id, string database, string problem);
}
