using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Hosting;

/// <summary>
/// Gives memory back once nothing runs: the collector keeps what it might need again, and a proxy that is idle after large requests may not need it
/// for hours. A full collection costs some tens of milliseconds, which nobody is there to notice.
/// </summary>
internal sealed class IdleCollector : IDisposable
{
    /// <summary>How often it looks; nothing must have run at two looks in a row.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>Less than this since the last collection is not worth one.</summary>
    private const long WorthwhileBytes = 32 * 1024 * 1024;

    private readonly DrainState _requests;
    private readonly Action _collect;
    private readonly Func<long> _allocated;
    private readonly ITimer _timer;
    private long _collectedAt;
    private long _lastEntered = -1;

    /// <param name="collect">Gives memory back; tests count it.</param>
    /// <param name="allocated">Bytes allocated so far.</param>
    public IdleCollector(DrainState requests, TimeProvider time, Action? collect = null, Func<long>? allocated = null)
    {
        _requests = requests;
        _collect = collect ?? (static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));
        _allocated = allocated ?? (static () => GC.GetTotalAllocatedBytes());
        _timer = time.CreateTimer(static state => ((IdleCollector)state!).Look(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        long entered = _requests.Entered;
        bool wasIdle = _requests.Active == 0 && entered == _lastEntered;
        _lastEntered = _requests.Active == 0 ? entered : -1;
        if (!wasIdle || _allocated() - _collectedAt < WorthwhileBytes) return;
        _collect();
        _collectedAt = _allocated();
    }
}
