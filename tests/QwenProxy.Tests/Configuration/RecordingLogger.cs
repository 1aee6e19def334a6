using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace QwenProxy.Tests.Configuration;

/// <summary>Keeps what was logged, as level and text.</summary>
public sealed class RecordingLogger : ILogger
{
    public ConcurrentQueue<(LogLevel Level, string Text)> Lines { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Lines.Enqueue((logLevel, formatter(state, exception)));

    public string[] At(LogLevel level) => [.. Lines.Where(l => l.Level == level).Select(l => l.Text)];
}
