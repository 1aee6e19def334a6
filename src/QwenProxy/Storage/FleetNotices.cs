using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace QwenProxy.Storage;

/// <summary>
/// Tells what other replicas changed. A topic is a set of rows with a version, which whoever changes the rows counts up in the same transaction. The
/// server's <c>NOTIFY</c> carries topic and version at once; a look at all versions every five seconds finds what was missed, on a connection that was
/// down or by a reader that failed. A notice says only "read again": the rows are the truth, and nothing depends on any single notice.
/// </summary>
internal sealed partial class FleetNotices : IAsyncDisposable
{
    public static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5);

    private const string Channel = "qwen_proxy";

    private static readonly TimeSpan s_reconnectPause = TimeSpan.FromSeconds(1);

    private readonly FleetDatabase _database;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<string, TopicReader> _readers = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private Task? _listening;

    internal FleetNotices(FleetDatabase database, ILogger logger)
    {
        _database = database;
        _logger = logger;
    }

    /// <summary>
    /// Reads a topic's rows again whenever it has a newer version: once when the database is first there, then after each change, one reading at a time.
    /// Changes that come while a reading runs are one reading more. A reading that fails because the database is away is tried again at the next look.
    /// Call it before <see cref="Start"/>; a topic has one reader.
    /// </summary>
    public void Watch(string topic, Func<CancellationToken, Task> read)
    {
        if (!_readers.TryAdd(topic, new TopicReader(topic, read, _logger))) throw new ArgumentException($"The topic {topic} has a reader.", nameof(topic));
    }

    public void Start() => _listening ??= ListenAsync();

    /// <summary>Counts a topic's version up and tells the others when the transaction that this belongs to ends well. Writers of one topic go one by one.</summary>
    public static async Task PublishAsync(NpgsqlConnection connection, string topic, CancellationToken stop)
    {
        await using NpgsqlCommand command = new($"""
            WITH bumped AS (INSERT INTO qwen_proxy.topics (topic, version) VALUES ($1, 1)
                ON CONFLICT (topic) DO UPDATE SET version = topics.version + 1 RETURNING version)
            SELECT pg_notify('{Channel}', $1 || ':' || version) FROM bumped
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = topic });
        await command.ExecuteNonQueryAsync(stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_listening is not null) await _listening;
        foreach (TopicReader reader in _readers.Values) await reader.EndAsync();
        _stop.Dispose();
    }

    private async Task ListenAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            using CancellationTokenSource round = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            TaskCompletionSource isListening = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Task listening = _database.RunAsync((connection, stop) => ListenOnAsync(connection, isListening, stop), round.Token, Timeout.InfiniteTimeSpan);
            Task looking = LookRegularlyAsync(isListening.Task, round.Token);
            Task ended = await Task.WhenAny(listening, looking);
            await round.CancelAsync();
            await Task.WhenAll(listening, looking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // That the database is away it has told itself. Anything else would make the replica blind without a word.
            if (ended.Exception?.InnerException is { } fault and not DatabaseAwayException) LogFailed(_logger, _database.Name, fault);
            await Task.Delay(s_reconnectPause, TimeProvider.System, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One use that lasts until the connection breaks.</summary>
    private async Task ListenOnAsync(NpgsqlConnection connection, TaskCompletionSource isListening, CancellationToken stop)
    {
        connection.Notification += OnNotification;
        try
        {
            await using (NpgsqlCommand listen = new("LISTEN " + Channel, connection)) await listen.ExecuteNonQueryAsync(stop);
            isListening.SetResult();
            while (true) await connection.WaitAsync(stop);
        }
        finally
        {
            connection.Notification -= OnNotification;
        }
    }

    /// <summary>
    /// By connections of its own: over a network that has gone silent the one that listens would not end. Listening comes before the first look, so that
    /// what changes after the look is told.
    /// </summary>
    private async Task LookRegularlyAsync(Task isListening, CancellationToken stop)
    {
        await isListening.WaitAsync(stop);
        while (true)
        {
            Dictionary<string, long> versions = await _database.RunAsync(VersionsAsync, stop, LookInterval);
            foreach ((string topic, TopicReader reader) in _readers) reader.Tell(versions.GetValueOrDefault(topic), _stop.Token);
            await Task.Delay(LookInterval, TimeProvider.System, stop);
        }
    }

    private static async Task<Dictionary<string, long>> VersionsAsync(NpgsqlConnection connection, CancellationToken stop)
    {
        Dictionary<string, long> versions = new(StringComparer.Ordinal);
        await using NpgsqlCommand query = new("SELECT topic, version FROM qwen_proxy.topics", connection);
        await using NpgsqlDataReader row = await query.ExecuteReaderAsync(stop);
        while (await row.ReadAsync(stop)) versions[row.GetString(0)] = row.GetInt64(1);
        return versions;
    }

    private void OnNotification(object sender, NpgsqlNotificationEventArgs notice)
    {
        int colon = notice.Payload.LastIndexOf(':');
        if (colon > 0 && _readers.TryGetValue(notice.Payload[..colon], out TopicReader? reader)
            && long.TryParse(notice.Payload.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out long version)) reader.Tell(version, _stop.Token);
    }

    [LoggerMessage(EventId = 4003, Level = LogLevel.Error, Message = "Listening to the database {Name} met an unexpected fault and begins anew")]
    private static partial void LogFailed(ILogger logger, string name, Exception fault);
}
