using QwenProxy.Wire;

namespace QwenProxy.Observability;

/// <summary>
/// Lines gathered for a moment and written together by the pool. When nobody reads the output, as on a terminal that was stopped, lines beyond a limit
/// are dropped and counted, and when it is gone they are for nobody: a log must not hold up an answer.
/// </summary>
/// <param name="output">Where they go; it stays its maker's.</param>
/// <param name="tellDropped">The line, with its end, that says how many are missing.</param>
internal sealed class LineOutput : IDisposable
{
    private const int MaxPendingBytes = 4 * 1024 * 1024;
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(50);

    private readonly Stream _output;
    private readonly Func<long, string> _tellDropped;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly Lock _outputGate = new();
    private PooledBytes _pending = new();
    private PooledBytes _spare = new();
    private bool _armed;
    private bool _closed;
    private long _dropped;

    public LineOutput(Stream output, TimeProvider time, Func<long, string> tellDropped)
    {
        _output = output;
        _tellDropped = tellDropped;
        _timer = time.CreateTimer(static state => ((LineOutput)state!).Flush(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Dispose()
    {
        _timer.Dispose();
        Flush();
        lock (_gate)
        {
            _closed = true;
            _pending.Dispose();
            _spare.Dispose();
        }
    }

    /// <param name="line">With its end.</param>
    /// <param name="atOnce">The process may be about to end.</param>
    public void Add(ReadOnlySpan<byte> line, bool atOnce)
    {
        lock (_gate)
        {
            if (_closed) return;
            if (_pending.Length + line.Length > MaxPendingBytes) _dropped++;
            else _pending.Write(line);
            if (!_armed && !atOnce) _timer.Change(Gather, Timeout.InfiniteTimeSpan);
            _armed = true;
        }

        if (atOnce) Flush();
    }

    private void Flush()
    {
        lock (_outputGate)
        {
            PooledBytes lines;
            lock (_gate)
            {
                if (_closed) return;
                _armed = false;
                if (_dropped > 0) _pending.Write(System.Text.Encoding.UTF8.GetBytes(_tellDropped(_dropped)));
                _dropped = 0;
                lines = _pending;
                (_pending, _spare) = (_spare, _pending);
            }

            try
            {
                _output.Write(lines.Span);
                _output.Flush();
            }
            catch (IOException)
            {
                // Whoever read the log is gone; requests go on without it.
            }

            lines.Clear();
            lines.ShrinkIfLarge(64 * 1024);
        }
    }
}
