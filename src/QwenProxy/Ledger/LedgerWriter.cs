using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;
using QwenProxy.Core.Ledger;
using QwenProxy.Observability;

namespace QwenProxy.Ledger;

/// <summary>
/// Writes settled requests to the ledger in batches from one background task. A request only queues its entry; when the disk is gone or cannot keep
/// up for thousands of requests, entries are lost and their number is told, since accounting must not hold up an answer. A database that is away costs none.
/// </summary>
internal sealed partial class LedgerWriter : IAsyncDisposable
{
    private const int QueueLength = 8192;
    private const int MaxBatch = 512;

    private static readonly TimeSpan s_pruneInterval = TimeSpan.FromHours(1);

    private readonly ILedgerOutput _output;
    private readonly Func<TimeSpan> _kept;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ProxyMetrics _metrics;
    private readonly Channel<LedgerEntry> _queue = Channel.CreateBounded<LedgerEntry>(new BoundedChannelOptions(QueueLength) { SingleReader = true });
    private readonly TaskCompletionSource _closing = new();
    private readonly Lazy<Task> _writing;
    private DateTimeOffset _nextPrune;
    private long _lost;
    private bool _toldLost;

    /// <param name="output">Where batches go.</param>
    /// <param name="kept">How long rows are kept, by the configuration in force.</param>
    public LedgerWriter(ILedgerOutput output, Func<TimeSpan> kept, TimeProvider time, ILogger logger, ProxyMetrics metrics)
    {
        _output = output;
        _kept = kept;
        _time = time;
        _logger = logger;
        _metrics = metrics;
        _writing = new Lazy<Task>(() => Task.Run(WriteAsync));
    }

    /// <summary>A file in the data folder.</summary>
    public LedgerWriter(string dataFolder, Func<TimeSpan> kept, TimeProvider time, ILogger logger, ProxyMetrics metrics)
        : this(new FileLedgerOutput(Path.Combine(dataFolder, LedgerFile.Name), time), kept, time, logger, metrics)
    {
    }

    /// <summary>Entries that could not be written so far.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Entries that wait on this machine for a database.</summary>
    public long Undelivered => _output.Undelivered;

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
            LogLost(_logger, _output.Place, Lost + _queue.Reader.Count, "the disk is too slow.");
        }
    }

    private async Task WriteAsync()
    {
        List<LedgerEntry> batch = [];
        await TryAsync(_output.OpenAsync);
        await PruneAsync();
        while (await _queue.Reader.WaitToReadAsync())
        {
            if (_queue.Reader.Count < MaxBatch) await Task.WhenAny(_closing.Task, Task.Delay(_output.Gathers, _time));
            while (batch.Count < MaxBatch && _queue.Reader.TryRead(out LedgerEntry? entry)) batch.Add(entry);
            if (await TryAsync(() => _output.WriteAsync(batch), batch.Count)) await PruneAsync();
            batch.Clear();
        }

        await _output.DisposeAsync();
    }

    private async Task<bool> TryAsync(Func<Task> work, int entries = 0)
    {
        try
        {
            await work();
            _toldLost = false;
            return true;
        }
        catch (Exception failure) when (IsOfTheStore(failure))
        {
            Lose(entries);
            if (!_toldLost) LogLost(_logger, _output.Place, Lost, failure.Message);
            _toldLost = true;
            return false;
        }
    }

    /// <summary>Old rows go once an hour, behind the requests. What could not go now goes an hour later.</summary>
    private async Task PruneAsync()
    {
        DateTimeOffset now = _time.GetUtcNow();
        if (now < _nextPrune) return;
        _nextPrune = now + s_pruneInterval;
        await TryAsync(() => _output.PruneAsync(now - _kept()));
    }

    private void Lose(int count)
    {
        Interlocked.Add(ref _lost, count);
        _metrics.LedgerLost(count);
    }

    private static bool IsOfTheStore(Exception failure) => Ledgers.IsFault(failure) || failure is IOException or UnauthorizedAccessException or PostgresException;

    [LoggerMessage(EventId = 70, Level = LogLevel.Warning, Message = "The ledger {path} cannot be written, {lost} requests are not in it: {problem}")]
    private static partial void LogLost(ILogger logger, string path, long lost, string problem);
}
