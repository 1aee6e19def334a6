using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Wire;

namespace QwenProxy.Observability;

/// <summary>
/// Log lines as JSON objects, one a line, gathered for a moment and written together. The framework's console logger wakes its thread for every
/// line and writes each in five pieces, which together were a tenth of a small request. When nobody reads the output, lines beyond a limit are
/// dropped and counted: a log must not hold up an answer.
/// </summary>
internal sealed class JsonLineLogger : ILoggerProvider
{
    private const int MaxPendingBytes = 4 * 1024 * 1024;
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(50);

    [ThreadStatic]
    private static Line? t_line;

    private readonly Stream _output;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly Lock _outputGate = new();
    private PooledBytes _pending = new();
    private PooledBytes _spare = new();
    private bool _armed;
    private bool _closed;
    private long _dropped;

    public JsonLineLogger(Stream output, TimeProvider time)
    {
        _output = output;
        _time = time;
        _timer = time.CreateTimer(static state => ((JsonLineLogger)state!).Flush(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public ILogger CreateLogger(string categoryName) => new Writer(this, categoryName);

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

    private void Add(ReadOnlySpan<byte> line, bool atOnce)
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
                if (_dropped > 0) _pending.Write(System.Text.Encoding.ASCII.GetBytes($"{{\"dropped\":{_dropped}}}\n"));
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

    /// <summary>One line in the making; each thread has one.</summary>
    private sealed class Line
    {
        public Line() => Json = new Utf8JsonWriter(Bytes);

        public PooledBytes Bytes { get; } = new(2048);

        public Utf8JsonWriter Json { get; }
    }

    private sealed class Writer(JsonLineLogger owner, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Line line = t_line ??= new Line();
            line.Bytes.Clear();
            Utf8JsonWriter json = line.Json;
            json.Reset();
            JsonLogLine.Write(json, owner._time.GetUtcNow(), logLevel, eventId.Id, category, state, exception, formatter);
            json.Flush();
            line.Bytes.Write("\n"u8);
            // After an error the process may be about to end.
            owner.Add(line.Bytes.Span, atOnce: logLevel >= LogLevel.Error);
        }
    }
}
