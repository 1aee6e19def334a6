namespace QwenProxy.Proxying.Lifecycle;

/// <summary>
/// How the program stops: first it takes no new requests while running ones may finish, then the rest is ended. Also counts what is running,
/// which is what the limit on concurrent requests looks at.
/// </summary>
internal sealed class DrainState : IDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _active;
    private long _entered;
    private volatile bool _draining;

    public bool IsDraining => _draining;

    public int Active => Volatile.Read(ref _active);

    /// <summary>How many have been counted in so far.</summary>
    public long Entered => Interlocked.Read(ref _entered);

    /// <summary>Ends what is still running when the drain time is over.</summary>
    public CancellationToken End => _end.Token;

    /// <summary>Counts a request in. False when <paramref name="limit"/> are running already.</summary>
    public bool TryEnter(int limit)
    {
        if (Interlocked.Increment(ref _active) <= limit)
        {
            Interlocked.Increment(ref _entered);
            return true;
        }

        Leave();
        return false;
    }

    public void Leave()
    {
        if (Interlocked.Decrement(ref _active) == 0 && _draining) _idle.TrySetResult();
    }

    /// <summary>Waits until nothing runs any more, at most <paramref name="limit"/>; then ends the rest and waits for it to have said so.</summary>
    public async Task DrainAsync(TimeSpan limit, TimeProvider time)
    {
        _draining = true;
        if (Active == 0) _idle.TrySetResult();
        if (await FinishesWithinAsync(limit, time)) return;
        await _end.CancelAsync();
        await FinishesWithinAsync(TimeSpan.FromSeconds(2), time);
    }

    public void Dispose() => _end.Dispose();

    private async Task<bool> FinishesWithinAsync(TimeSpan limit, TimeProvider time)
    {
        try
        {
            await _idle.Task.WaitAsync(limit, time);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
