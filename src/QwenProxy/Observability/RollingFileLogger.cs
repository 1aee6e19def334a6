using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace QwenProxy.Observability;

/// <summary>
/// JSON lines in a file that is renamed to <c>.1</c>, <c>.2</c>, … when it has grown large. Writers only queue; one task writes. When the disk cannot
/// keep up lines are dropped and the number of them is written, since a log must not hold up an answer.
/// </summary>
internal sealed class RollingFileLogger : ILoggerProvider
{
    private const int MaxFileBytes = 16 * 1024 * 1024;
    private const int KeptFiles = 4;
    private const int QueueLength = 4096;

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Channel<byte[]> _queue;
    private readonly Task _writing;
    private long _dropped;

    public RollingFileLogger(string path, TimeProvider? time = null)
    {
        _path = path;
        _time = time ?? TimeProvider.System;
        _queue = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _writing = Task.Run(WriteAsync);
    }

    public ILogger CreateLogger(string categoryName) => new Writer(this, categoryName);

    public void Dispose()
    {
        _queue.Writer.TryComplete();
        _writing.Wait(TimeSpan.FromSeconds(5));
    }

    private void Add(byte[] line)
    {
        if (!_queue.Writer.TryWrite(line)) Interlocked.Increment(ref _dropped);
    }

    private async Task WriteAsync()
    {
        FileStream file = Open();
        try
        {
            await foreach (byte[] line in _queue.Reader.ReadAllAsync())
            {
                if (file.Length > MaxFileBytes)
                {
                    await file.DisposeAsync();
                    Roll();
                    file = Open();
                }

                if (Interlocked.Exchange(ref _dropped, 0) is > 0 and long dropped) await file.WriteAsync(Encoding.UTF8.GetBytes($"{{\"dropped\":{dropped}}}\n"));
                await file.WriteAsync(line);
                if (_queue.Reader.Count == 0) await file.FlushAsync();
            }
        }
        finally
        {
            await file.DisposeAsync();
        }
    }

    private FileStream Open()
    {
        FileStreamOptions options = new() { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(_path, options);
    }

    private void Roll()
    {
        for (int i = KeptFiles - 1; i >= 1; i--)
        {
            if (File.Exists($"{_path}.{i}")) File.Move($"{_path}.{i}", $"{_path}.{i + 1}", overwrite: true);
        }

        File.Move(_path, $"{_path}.1", overwrite: true);
    }

    private sealed class Writer(RollingFileLogger owner, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            using MemoryStream line = new(512);
            using (Utf8JsonWriter json = new(line))
            {
                json.WriteStartObject();
                json.WriteString("time", owner._time.GetUtcNow());
                json.WriteString("level", logLevel.ToString());
                json.WriteNumber("event", eventId.Id);
                json.WriteString("category", category);
                json.WriteString("message", formatter(state, exception));
                if (exception is not null) json.WriteString("exception", exception.ToString());
                json.WriteEndObject();
            }

            line.WriteByte((byte)'\n');
            owner.Add(line.ToArray());
        }
    }
}
