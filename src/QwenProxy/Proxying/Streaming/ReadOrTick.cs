using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace QwenProxy.Proxying.Streaming;

/// <summary>
/// Waits for a read or for a moment in time, whichever comes first, without allocating: the pump is one loop that awaits this, so that
/// keep-alives, let-go and time-outs happen between reads on the same flow and need no lock. The timer is armed lazily: while events come in
/// time it is never touched, it fires now and then, finds that its moment has moved, and is armed again.
/// </summary>
internal sealed class ReadOrTick : IValueTaskSource, IDisposable
{
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Action _onReadDone;
    private ManualResetValueTaskSourceCore<bool> _core;
    private ValueTask<int> _read;
    private bool _readPending;
    private volatile bool _readDone;
    private volatile bool _ticked;
    private int _waiting;
    private long _armedFor = long.MaxValue;

    public ReadOrTick(TimeProvider time)
    {
        _time = time;
        _onReadDone = () =>
        {
            _readDone = true;
            Wake();
        };
        _timer = time.CreateTimer(
            static state =>
            {
                ReadOrTick self = (ReadOrTick)state!;
                Volatile.Write(ref self._armedFor, long.MaxValue);
                self._ticked = true;
                self.Wake();
            },
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>Hands over a read that has begun. One at a time.</summary>
    public void Begin(ValueTask<int> read)
    {
        _read = read;
        _readDone = false;
        _readPending = true;
        ValueTaskAwaiter<int> awaiter = _read.GetAwaiter();
        if (awaiter.IsCompleted) _readDone = true;
        else awaiter.UnsafeOnCompleted(_onReadDone);
    }

    /// <summary>A read was begun and its result was not taken.</summary>
    public bool ReadPending => _readPending;

    /// <summary>The read has its result: there is more to take without waiting.</summary>
    public bool ReadDone => _readDone;

    /// <summary>Waits until the read is done or <paramref name="wakeAt"/> (a timestamp of the clock) has come. Returns true when the read is done.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> WaitAsync(long wakeAt)
    {
        if (_readDone) return true;
        Arm(wakeAt);
        _core.Reset();
        Volatile.Write(ref _waiting, 1);
        if ((_readDone || _ticked) && Interlocked.Exchange(ref _waiting, 0) == 1)
        {
            _ticked = false;
            return _readDone;
        }

        await new ValueTask(this, _core.Version);
        _ticked = false;
        return _readDone;
    }

    /// <summary>The finished read's result, or its exception.</summary>
    public int EndRead()
    {
        _readPending = false;
        return _read.GetAwaiter().GetResult();
    }

    public void Dispose() => _timer.Dispose();

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private void Arm(long wakeAt)
    {
        // Armed for an earlier moment already: it will fire, find nothing due and be armed again.
        if (Volatile.Read(ref _armedFor) <= wakeAt) return;
        TimeSpan due = _time.GetElapsedTime(_time.GetTimestamp(), wakeAt);
        Volatile.Write(ref _armedFor, wakeAt);
        // One millisecond more than asked: timers may fire a little early, and a tick that finds nothing due is a wasted wake-up.
        _timer.Change(due <= TimeSpan.Zero ? TimeSpan.FromMilliseconds(1) : due + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    private void Wake()
    {
        if (Interlocked.Exchange(ref _waiting, 0) == 1) _core.SetResult(true);
    }
}
