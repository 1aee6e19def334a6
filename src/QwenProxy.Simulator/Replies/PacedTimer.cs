using System.Threading.Tasks.Sources;

namespace QwenProxy.Simulator.Replies;

/// <summary>
/// One timer for all the waits of one stream: a benchmark's stream of paced events allocates nothing per event. Waits are measured from a
/// schedule, not from the last event, so that the rate is kept however long a write took.
/// </summary>
internal sealed class PacedTimer : IValueTaskSource, IDisposable
{
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly CancellationTokenRegistration _registration;
    private readonly CancellationToken _cancellation;
    private ManualResetValueTaskSourceCore<bool> _source = new() { RunContinuationsAsynchronously = false };
    private int _waiting;
    private DateTimeOffset _due;

    public PacedTimer(TimeProvider time, CancellationToken cancellationToken)
    {
        _time = time;
        _cancellation = cancellationToken;
        _timer = time.CreateTimer(static state => ((PacedTimer)state!).Release(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _due = time.GetUtcNow();
        _registration = cancellationToken.UnsafeRegister(static state => ((PacedTimer)state!).Release(), this);
    }

    /// <summary>Completes when the time has come or the token is cancelled; the caller looks at the token.</summary>
    public ValueTask WaitAsync(TimeSpan gap)
    {
        DateTimeOffset now = _time.GetUtcNow();
        _due += gap;
        if (_due <= now)
        {
            // Too late already. A stream that fell far behind does not catch up in a burst that no real model would send.
            if (now - _due > gap) _due = now;
            return ValueTask.CompletedTask;
        }

        _source.Reset();
        Volatile.Write(ref _waiting, 1);
        _timer.Change(_due - now, Timeout.InfiniteTimeSpan);
        if (_cancellation.IsCancellationRequested) Release();
        return new ValueTask(this, _source.Version);
    }

    public void Dispose()
    {
        _registration.Dispose();
        _timer.Dispose();
    }

    void IValueTaskSource.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void Release()
    {
        if (Interlocked.Exchange(ref _waiting, 0) == 1) _source.SetResult(true);
    }
}
