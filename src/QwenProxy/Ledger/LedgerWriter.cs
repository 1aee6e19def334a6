using System.Threading.Channels;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using QwenProxy.Core.Ledger;
using QwenProxy.Observability;

namespace QwenProxy.Ledger;

/// <summary>
/// Writes settled requests to the ledger in batches from one background task. A request only queues its entry; when the disk is gone or cannot keep
/// up for thousands of requests, entries are lost and their number is told, since accounting must not hold up an answer.
/// </summary>
internal sealed partial class LedgerWriter : IAsyncDisposable
{
    private const int QueueLength = 8192;
    private const int MaxBatch = 512;

    /// <summary>How long an entry waits for others: a transaction costs as much as fifty rows.</summary>
    private static readonly TimeSpan s_gather = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan s_pruneInterval = TimeSpan.FromHours(1);

    private readonly string _path;
    private readonly Func<TimeSpan> _kept;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ProxyMetrics _metrics;
    private readonly Channel<LedgerEntry> _queue = Channel.CreateBounded<LedgerEntry>(new BoundedChannelOptions(QueueLength) { SingleReader = true });
    private readonly TaskCompletionSource _closing = new();
    private readonly Lazy<Task> _writing;
    private SqliteConnection? _connection;
    private LedgerInserts? _inserts;
    private DateTimeOffset _nextPrune;
    private long _lost;
    private bool _toldLost;

    /// <param name="dataFolder">Where the ledger lies.</param>
    /// <param name="kept">How long rows are kept, by the configuration in force.</param>
    public LedgerWriter(string dataFolder, Func<TimeSpan> kept, TimeProvider time, ILogger logger, ProxyMetrics metrics)
    {
        _path = Path.Combine(dataFolder, LedgerFile.Name);
        _kept = kept;
        _time = time;
        _logger = logger;
        _metrics = metrics;
        _writing = new Lazy<Task>(() => Task.Run(WriteAsync));
    }

    /// <summary>Entries that could not be written so far.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Opens the file before the first request has to wait for it.</summary>
    public void Start() => _ = _writing.Value;

    public void Add(LedgerEntry entry)
    {
        if (!_queue.Writer.TryWrite(entry)) Lose(1);
        _ = _writing.Value;
    }

    /// <summary>Writes what is queued, for at most five seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        _closing.TrySetResult();
        if (!_writing.IsValueCreated) return;
        try
        {
            await _writing.Value.WaitAsync(TimeSpan.FromSeconds(5), _time);
        }
        catch (TimeoutException)
        {
            LogLost(_logger, _path, Lost + _queue.Reader.Count, "the disk is too slow.");
        }
    }

    private async Task WriteAsync()
    {
        List<LedgerEntry> batch = [];
        Write(batch);
        while (await _queue.Reader.WaitToReadAsync())
        {
            await Task.WhenAny(_closing.Task, Task.Delay(s_gather, _time));
            while (batch.Count < MaxBatch && _queue.Reader.TryRead(out LedgerEntry? entry)) batch.Add(entry);
            Write(batch);
            batch.Clear();
        }

        Close();
    }

    private void Write(List<LedgerEntry> batch)
    {
        try
        {
            _connection ??= LedgerFile.OpenForWriting(_path);
            _inserts ??= new LedgerInserts(_connection);
            _inserts.Write(batch, _time.LocalTimeZone);
            _toldLost = false;
        }
        catch (Exception failure) when (IsOfTheDisk(failure))
        {
            Lose(batch.Count);
            Tell(failure);
            return;
        }

        Prune();
    }

    /// <summary>Old rows go once an hour, behind the requests. What could not go now goes an hour later.</summary>
    private void Prune()
    {
        DateTimeOffset now = _time.GetUtcNow();
        if (now < _nextPrune) return;
        _nextPrune = now + s_pruneInterval;
        try
        {
            LedgerPruning.Prune(_connection!, now - _kept());
        }
        catch (Exception failure) when (IsOfTheDisk(failure))
        {
            Tell(failure);
        }
    }

    private void Lose(int count)
    {
        Interlocked.Add(ref _lost, count);
        _metrics.LedgerLost(count);
    }

    private void Tell(Exception failure)
    {
        if (!_toldLost) LogLost(_logger, _path, Lost, failure.Message);
        _toldLost = true;
        // The next batch opens the file anew: somebody may have moved it away or made room.
        Close();
    }

    private void Close()
    {
        _inserts?.Dispose();
        _connection?.Dispose();
        (_inserts, _connection) = (null, null);
    }

    private static bool IsOfTheDisk(Exception failure) => failure is SqliteException or IOException or UnauthorizedAccessException or NewerLedgerException;

    [LoggerMessage(EventId = 70, Level = LogLevel.Warning, Message = "The ledger {path} cannot be written, {lost} requests are not in it: {problem}")]
    private static partial void LogLost(ILogger logger, string path, long lost, string problem);
}
