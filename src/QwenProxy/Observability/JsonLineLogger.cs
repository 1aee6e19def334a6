using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Wire;

namespace QwenProxy.Observability;

/// <summary>
/// Log lines as JSON objects, one a line, gathered for a moment and written together. The framework's console logger wakes its thread for every
/// line and writes each in five pieces, which together were a tenth of a small request.
/// </summary>
internal sealed class JsonLineLogger(Stream output, TimeProvider time) : ILoggerProvider
{
    [ThreadStatic]
    private static Line? t_line;

    private readonly LineOutput _lines = new(output, time, dropped => $"{{\"dropped\":{dropped}}}\n");

    public ILogger CreateLogger(string categoryName) => new Writer(this, categoryName, time);

    public void Dispose() => _lines.Dispose();

    /// <summary>One line in the making; each thread has one.</summary>
    private sealed class Line
    {
        public Line() => Json = new Utf8JsonWriter(Bytes);

        public PooledBytes Bytes { get; } = new(2048);

        public Utf8JsonWriter Json { get; }
    }

    private sealed class Writer(JsonLineLogger owner, string category, TimeProvider time) : ILogger
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
            JsonLogLine.Write(json, time.GetUtcNow(), logLevel, eventId.Id, category, state, exception, formatter);
            json.Flush();
            line.Bytes.Write("\n"u8);
            // After an error the process may be about to end.
            owner._lines.Add(line.Bytes.Span, atOnce: logLevel >= LogLevel.Error);
        }
    }
}
