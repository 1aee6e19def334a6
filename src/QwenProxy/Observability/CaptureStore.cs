using System.Globalization;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Credentials;

namespace QwenProxy.Observability;

/// <summary>
/// Keeps the last raw upstream streams as files, for a bug report or for <c>replay</c>. A stream is copied while it is read and written after it
/// has ended, by one task: the disk never holds up an answer. Whatever does not fit (memory, queue, disk) is left out.
/// </summary>
internal sealed partial class CaptureStore : IAsyncDisposable
{
    /// <summary>One stream; the rest of it is left out and the file says so.</summary>
    public const int MaxStreamBytes = 8 * 1024 * 1024;

    /// <summary>All streams that are under way together.</summary>
    private const long MaxBufferedBytes = 64 * 1024 * 1024;

    private const int QueueLength = 64;

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DurableFiles _disk = new();
    private readonly Channel<Capture> _queue = Channel.CreateBounded<Capture>(new BoundedChannelOptions(QueueLength) { SingleReader = true });
    private readonly Lazy<Task> _writing;
    private long _buffered;
    private int _count;
    private bool _toldUnwritable;

    public CaptureStore(TimeProvider time, ILogger logger)
    {
        _time = time;
        _logger = logger;
        _writing = new Lazy<Task>(() => Task.Run(WriteAsync));
    }

    /// <summary>The body itself when nothing is to be kept, else one that remembers what is read from it.</summary>
    /// <param name="body">The rest of it.</param>
    /// <param name="begun">What was read of it before.</param>
    /// <param name="settings">Whether and where captures are kept.</param>
    /// <param name="requestId">Names the capture.</param>
    /// <param name="profile">Names the capture.</param>
    public Stream Tee(Stream body, ReadOnlySpan<byte> begun, StorageSnapshot settings, string requestId, string profile)
    {
        if (settings.CaptureStreams == 0 || settings.DataFolder.Length == 0) return body;
        string time = _time.GetUtcNow().ToString("yyyyMMdd'T'HHmmssfff'Z'", CultureInfo.InvariantCulture);
        // The request's id comes from here and the profile from a fixed list: both are safe in a file name. The count tells attempts apart.
        int count = Interlocked.Increment(ref _count);
        CaptureStream capture = new(this, body, settings, string.Create(CultureInfo.InvariantCulture, $"{time}-{requestId}-{count:000000}.{profile}.sse"));
        capture.Keep(begun);
        return capture;
    }

    /// <summary>Takes room for bytes that are kept in memory; false when there is none.</summary>
    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _buffered, bytes) <= MaxBufferedBytes) return true;
        GiveBack(bytes);
        return false;
    }

    public void GiveBack(int bytes) => Interlocked.Add(ref _buffered, -bytes);

    public void Add(Capture capture)
    {
        if (capture.Bytes.Length == 0 || !_queue.Writer.TryWrite(capture)) return;
        _ = _writing.Value;
    }

    /// <summary>Writes what is queued, for at most five seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        if (!_writing.IsValueCreated) return;
        try
        {
            await _writing.Value.WaitAsync(TimeSpan.FromSeconds(5), _time);
        }
        catch (TimeoutException)
        {
            LogUnwritable(_logger, "the captures folder", "the disk is too slow; streams were left out.");
        }
    }

    private async Task WriteAsync()
    {
        await foreach (Capture capture in _queue.Reader.ReadAllAsync())
        {
            string folder = Path.Combine(capture.Settings.DataFolder, "captures");
            try
            {
                Write(folder, capture);
                Prune(folder, capture.Settings);
                _toldUnwritable = false;
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                if (!_toldUnwritable) LogUnwritable(_logger, folder, failure.Message);
                _toldUnwritable = true;
            }
        }
    }

    private void Write(string folder, Capture capture)
    {
        byte[] bytes = capture.Bytes;
        if (capture.Settings.CaptureRedact) StreamRedaction.Redact(bytes);
        // A comment in its own event, so that it disturbs nobody who replays the file.
        if (capture.IsTruncated) bytes = [.. bytes, .. "\n\n: the capture ends here; the stream went on\n\n"u8];
        _disk.EnsureFolder(folder, ours: true);
        _disk.WriteNew(Path.Combine(folder, capture.Name), bytes);
    }

    /// <summary>Names begin with the time, so the order of names is the order of age. The newest stays even when it alone is too large.</summary>
    private static void Prune(string folder, StorageSnapshot settings)
    {
        FileInfo[] files = [.. new DirectoryInfo(folder).GetFiles("*.sse").OrderByDescending(f => f.Name, StringComparer.Ordinal)];
        long bytes = 0;
        for (int i = 0; i < files.Length; i++)
        {
            bytes += files[i].Length;
            if (i > 0 && (i >= settings.CaptureStreams || bytes > settings.CaptureMaxBytes)) files[i].Delete();
        }
    }

    [LoggerMessage(EventId = 60, Level = LogLevel.Warning, Message = "Streams cannot be captured in {folder}: {problem}")]
    private static partial void LogUnwritable(ILogger logger, string folder, string problem);
}
