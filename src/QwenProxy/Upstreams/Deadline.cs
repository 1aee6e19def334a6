namespace QwenProxy.Upstreams;

/// <summary>Cancels something when its time has come, by the program's own clock, and remembers that it did.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _cancel;
    private readonly ITimer _timer;
    private int _state;

    public Deadline(TimeProvider time, TimeSpan after, CancellationTokenSource cancel)
    {
        _cancel = cancel;
        _timer = time.CreateTimer(static state => ((Deadline)state!).Fire(), this, after, Timeout.InfiniteTimeSpan);
    }

    public bool Passed => Volatile.Read(ref _state) == 1;

    /// <summary>Something happened: the time counts anew.</summary>
    public void Restart(TimeSpan after) => _timer.Change(after, Timeout.InfiniteTimeSpan);

    /// <summary>After this the deadline cancels nothing any more.</summary>
    public void Dispose()
    {
        Interlocked.CompareExchange(ref _state, 2, 0);
        _timer.Dispose();
    }

    private void Fire()
    {
        if (Interlocked.CompareExchange(ref _state, 1, 0) != 0) return;
        try
        {
            _cancel.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The attempt ended in the same moment.
        }
    }
}
