using Microsoft.Extensions.Logging;

namespace QwenProxy.Storage;

/// <summary>Reads one topic's rows as often as its version demands, one reading at a time.</summary>
internal sealed partial class TopicReader(string topic, Func<CancellationToken, Task> read, ILogger logger)
{
    private readonly Lock _gate = new();
    private long _read = -1;
    private long _newest = -1;
    private bool _isReading;
    private Task _reading = Task.CompletedTask;

    /// <summary>A version that somebody saw. Nothing happens when its rows were read already.</summary>
    public void Tell(long version, CancellationToken stop)
    {
        lock (_gate)
        {
            _newest = Math.Max(_newest, version);
            if (_isReading || _newest == _read || stop.IsCancellationRequested) return;
            _isReading = true;
            _reading = Task.Run(() => ReadAsync(stop), CancellationToken.None);
        }
    }

    /// <summary>Ends with the reading that runs.</summary>
    public Task EndAsync()
    {
        lock (_gate) return _reading;
    }

    private async Task ReadAsync(CancellationToken stop)
    {
        long wanted;
        lock (_gate) wanted = _newest;
        while (true)
        {
            bool isRead = await TryReadAsync(stop);
            lock (_gate)
            {
                if (isRead) _read = wanted;
                // After a failure the next look tells the version again, and so begins another reading.
                _isReading = isRead && _newest > _read;
                if (!_isReading) return;
                wanted = _newest;
            }
        }
    }

    private async Task<bool> TryReadAsync(CancellationToken stop)
    {
        try
        {
            await read(stop);
            return true;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The replica stops.
        }
        catch (DatabaseAwayException)
        {
            // Told by the database.
        }
        catch (Exception unexpected)
        {
            LogFailed(logger, topic, unexpected);
        }

        return false;
    }

    [LoggerMessage(EventId = 4004, Level = LogLevel.Error, Message = "What the fleet changed in \"{Topic}\" could not be taken over; it is tried again every few seconds")]
    private static partial void LogFailed(ILogger logger, string topic, Exception fault);
}
