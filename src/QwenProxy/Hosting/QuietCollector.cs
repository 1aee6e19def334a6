namespace QwenProxy.Hosting;

/// <summary>
/// Gives memory back once little goes on. The collector waits for a budget that follows the processor's cache, which may be hundreds of mebibytes: after a
/// burst of requests, or while thousands of streams say a word now and then, most of the heap is what nobody needs any more, for hours. A full
/// collection holds the process up for some tens of milliseconds, so there is none while there is work, and none for little.
/// </summary>
internal sealed class QuietCollector : IDisposable
{
    /// <summary>How often it looks; it must have been quiet at two looks in a row.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    /// <summary>More than this between two looks is work: some hundred small requests.</summary>
    public const long QuietBytes = 2 * 1024 * 1024;

    /// <summary>Less than this since the last collection is not worth one.</summary>
    public const long WorthwhileBytes = 8 * 1024 * 1024;

    private readonly Action _collect;
    private readonly Func<long> _allocated;
    private readonly ITimer _timer;
    private long _collectedAt;
    private long _lastLook;
    private bool _wasQuiet;

    /// <param name="collect">Gives memory back; tests count it.</param>
    /// <param name="allocated">Bytes allocated so far.</param>
    public QuietCollector(TimeProvider time, Action? collect = null, Func<long>? allocated = null)
    {
        _collect = collect ?? (static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));
        _allocated = allocated ?? (static () => GC.GetTotalAllocatedBytes());
        _timer = time.CreateTimer(static state => ((QuietCollector)state!).Look(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        long allocated = _allocated();
        bool isQuiet = allocated - _lastLook <= QuietBytes;
        bool isTime = isQuiet && _wasQuiet && allocated - _collectedAt >= WorthwhileBytes;
        (_lastLook, _wasQuiet) = (allocated, isQuiet);
        if (!isTime) return;
        _collect();
        _collectedAt = _allocated();
    }
}
