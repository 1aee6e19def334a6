using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using QwenProxy.Credentials;

namespace QwenProxy.Observability;

/// <summary>
/// JSON lines in a file that is renamed to <c>.1</c>, <c>.2</c>, … when it has grown large. Writers only queue; one task writes. When the disk cannot
/// keep up lines are dropped and the number of them is written, since a log must not hold up an answer.
/// </summary>
internal sealed class RollingFileLogger : ILoggerProvider
{
    public const int MaxFileBytes = 16 * 1024 * 1024;
    public const int KeptFiles = 4;
    public const int QueueLength = 4096;

    /// <summary>Stands in the queue for the wish to open anew: a line is never empty.</summary>
    private static readonly byte[] ReopenMark = [];

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Channel<byte[]> _queue;
    private readonly Task _writing;
    private readonly Func<string, Stream> _open;
    private readonly int _maxFileBytes;
    private long _dropped;

    /// <param name="path">The file; its folder is made.</param>
    /// <param name="open">How a file is opened; tests pass one that cannot keep up or is full.</param>
    public RollingFileLogger(string path, TimeProvider? time = null, int maxFileBytes = MaxFileBytes, Func<string, Stream>? open = null)
    {
        _path = path;
        _time = time ?? TimeProvider.System;
        _maxFileBytes = maxFileBytes;
        _open = open ?? Open;
        _queue = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });
        new DurableFiles().EnsureFolder(Path.GetDirectoryName(path)!, ours: true);
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>The next line goes to the file that has the name then: another program has moved this one away.</summary>
    public void Reopen() => _queue.Writer.TryWrite(ReopenMark);

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
        Stream? file = null;
        await foreach (byte[] line in _queue.Reader.ReadAllAsync())
        {
            try
            {
                file = await WriteAsync(file, line);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // A full disk: the line is lost and counted, the next one tries anew. There is no log to complain to.
                Interlocked.Increment(ref _dropped);
                file = await CloseAsync(file);
            }
        }

        await CloseAsync(file);
    }

    private async Task<Stream> WriteAsync(Stream? file, byte[] line)
    {
        if (line.Length == 0) file = await CloseAsync(file);
        file ??= _open(_path);
        if (file.Length > _maxFileBytes)
        {
            await file.DisposeAsync();
            Roll();
            file = _open(_path);
        }

        if (Interlocked.Read(ref _dropped) is > 0 and long dropped)
        {
            await file.WriteAsync(Encoding.UTF8.GetBytes($"{{\"dropped\":{dropped}}}\n"));
            Interlocked.Add(ref _dropped, -dropped);
        }

        await file.WriteAsync(line);
        if (_queue.Reader.Count == 0) await file.FlushAsync();
        return file;
    }

    private static async Task<Stream?> CloseAsync(Stream? file)
    {
        try
        {
            if (file is not null) await file.DisposeAsync();
        }
        catch (IOException)
        {
            // What was still to be written is lost with the disk's last byte; the drop count says that lines are missing.
        }

        return null;
    }

    private static FileStream Open(string path)
    {
        FileStreamOptions options = new() { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
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
                JsonLogLine.Write(json, owner._time.GetUtcNow(), logLevel, eventId.Id, category, state, exception, formatter);
            }

            line.WriteByte((byte)'\n');
            owner.Add(line.ToArray());
        }
    }
}
