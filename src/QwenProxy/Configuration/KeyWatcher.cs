using Microsoft.Extensions.Logging;
using QwenProxy.Core.Clients;

namespace QwenProxy.Configuration;

/// <summary>
/// Notices within half a second that the file of client keys changed. It is always replaced in one step, so what is read is whole. A look costs one question
/// about its time and size; a change within the clock's grain is not missed, since a young file is read again. A file that cannot be understood changes
/// nothing, and neither does one that went away: the last good keys stay in force.
/// </summary>
internal sealed partial class KeyWatcher : IDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(400);

    private static readonly TimeSpan s_grain = TimeSpan.FromSeconds(2);

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly ITimer _timer;
    private (DateTime Written, long Length) _seen;
    private string? _told;
    private volatile KeyRing _current;

    public KeyWatcher(StorageSnapshot storage, KeyRing first, TimeProvider time, ILogger logger)
    {
        _path = KeyFile.PathOf(storage);
        _time = time;
        _logger = logger;
        _current = first;
        _timer = time.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Raised after each change, one at a time, on the timer's thread.</summary>
    public event Action<KeyRing>? Changed;

    /// <summary>The last good keys.</summary>
    public KeyRing Current => _current;

    /// <summary>Takes up what the file says at this moment.</summary>
    public void LookNow() => Look();

    public void Start() => _timer.Change(TimeSpan.Zero, Interval);

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (!_gate.TryEnter()) return;
        try
        {
            FileInfo file = new(_path);
            (DateTime, long) stamp = file.Exists ? (file.LastWriteTimeUtc, file.Length) : default;
            if (stamp == default || (stamp == _seen && _time.GetUtcNow().UtcDateTime - file.LastWriteTimeUtc > s_grain)) return;
            KeyRing? ring = KeyFile.Read(_path, out string? problem);
            if (problem is not null && problem != _told) LogRefused(_logger, _path, problem);
            _told = problem;
            _seen = stamp;
            if (ring is null || IsSame(ring, _current)) return;
            _current = ring;
            LogChanged(_logger, ring.Keys.Length);
            Changed?.Invoke(ring);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The folder is gone or shut for a moment; the next look tells.
            _seen = default;
        }
        finally
        {
            _gate.Exit();
        }
    }

    private static bool IsSame(KeyRing left, KeyRing right)
    {
        if (left.AreKnown != right.AreKnown) return false;
        System.Buffers.ArrayBufferWriter<byte> a = new();
        System.Buffers.ArrayBufferWriter<byte> b = new();
        KeyRingJson.Write(left, a);
        KeyRingJson.Write(right, b);
        return a.WrittenSpan.SequenceEqual(b.WrittenSpan);
    }

    [LoggerMessage(EventId = 1111, Level = LogLevel.Information, Message = "Client keys loaded again: {Count}")]
    private static partial void LogChanged(ILogger logger, int count);

    [LoggerMessage(EventId = 1112, Level = LogLevel.Error, Message = "{Path}: {Problem}. The last good client keys stay in force")]
    private static partial void LogRefused(ILogger logger, string path, string problem);
}
