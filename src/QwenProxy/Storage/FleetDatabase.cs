using Microsoft.Extensions.Logging;
using Npgsql;

namespace QwenProxy.Storage;

/// <summary>Since when the database does not serve, and why.</summary>
internal sealed record DatabaseTrouble(DateTimeOffset Since, string Problem);

/// <summary>
/// The PostgreSQL database that the replicas of a fleet share: its connections, its tables' version, and whether it is there. Nothing on the way of a
/// request waits for it. Each use is bounded in time, and whatever says "not there" or "too slow" comes out as <see cref="DatabaseAwayException"/>.
/// </summary>
internal sealed partial class FleetDatabase : IAsyncDisposable
{
    /// <summary>How long one use may take, a connection and the first migration included. A database that takes a second for each statement still serves.</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);

    private const int Connections = 8;

    private readonly NpgsqlDataSource _source;
    private readonly IReadOnlyList<Migration> _migrations;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _migrating = new(1, 1);
    private volatile bool _isMigrated;
    private volatile DatabaseTrouble? _trouble;
    private long _servesAgainSince = long.MinValue;

    public FleetDatabase(DatabaseAddress address, TimeProvider time, ILogger logger, IReadOnlyList<Migration>? migrations = null)
    {
        Name = address.Shown;
        _time = time;
        _logger = logger;
        _migrations = migrations ?? FleetSchema.Migrations;
        NpgsqlConnectionStringBuilder settings = new(address.ConnectionString)
        {
            MaxPoolSize = Connections,
            ConnectionIdleLifetime = 60,
            Timeout = (int)Bound.TotalSeconds,
            CommandTimeout = (int)Bound.TotalSeconds,
            // A connection whose statement was given up is closed; waiting for the server's word on it would only make the wait longer.
            CancellationTimeout = -1,
            // Idle connections that the network has dropped are found out.
            KeepAlive = 15,
            Enlist = false,
        };
        // The slim builder leaves out what needs reflection; encryption and arrays are all that is wanted of the rest.
        NpgsqlSlimDataSourceBuilder builder = new(settings.ConnectionString);
        builder.EnableTransportSecurity();
        builder.EnableArrays();
        _source = builder.Build();
        Notices = new FleetNotices(this, logger);
    }

    /// <summary>Host and name, as they may be shown.</summary>
    public string Name { get; }

    /// <summary>What other replicas changed.</summary>
    public FleetNotices Notices { get; }

    /// <summary>Null when the last use came through, and before the first.</summary>
    public DatabaseTrouble? Trouble => _trouble;

    /// <summary>A time stamp of the clock's: when it last came back; null when it was never away.</summary>
    public long? ServesAgainSince => Volatile.Read(ref _servesAgainSince) is var since and not long.MinValue ? since : null;

    /// <summary>Opens a connection to a database whose tables are there, runs the work on it and gives the connection back.</summary>
    /// <exception cref="DatabaseAwayException">The database is away or took longer than the bound. What was asked may have been done or not.</exception>
    /// <exception cref="NewerDatabaseException">This program is too old for its tables.</exception>
    public async Task<T> RunAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken stop, TimeSpan? bound = null)
    {
        TimeSpan limit = bound ?? Bound;
        CancellationTokenSource given = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task<T> running = RunOnAsync(work, given.Token);
        try
        {
            // A bound of sockets is counted by the real clock, whatever clock a test gives the rest.
            T result = await running.WaitAsync(limit, TimeProvider.System, stop);
            SawItServe();
            return result;
        }
        catch (TimeoutException failure) when (!running.IsCompleted)
        {
            throw Away($"no answer within {limit.TotalSeconds:0.#} s", failure);
        }
        catch (Exception failure) when (DatabaseAwayException.ProblemOf(failure) is { } problem)
        {
            stop.ThrowIfCancellationRequested();
            throw Away(problem, failure);
        }
        finally
        {
            _ = GiveUpAsync(running, given);
        }
    }

    /// <inheritdoc cref="RunAsync{T}"/>
    public Task RunAsync(Func<NpgsqlConnection, CancellationToken, Task> work, CancellationToken stop, TimeSpan? bound = null) =>
        RunAsync(async (connection, late) =>
        {
            await work(connection, late);
            return true;
        }, stop, bound);

    /// <summary>As <see cref="RunAsync{T}"/>, whole or not at all.</summary>
    public Task<T> RunInTransactionAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken stop, TimeSpan? bound = null) =>
        RunAsync(async (connection, late) =>
        {
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(late);
            T result = await work(connection, late);
            await transaction.CommitAsync(late);
            return result;
        }, stop, bound);

    public async ValueTask DisposeAsync()
    {
        await Notices.DisposeAsync();
        await _source.DisposeAsync();
        _migrating.Dispose();
    }

    private async Task<T> RunOnAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken given)
    {
        await using NpgsqlConnection connection = await _source.OpenConnectionAsync(given);
        if (!_isMigrated) await MigrateAsync(connection, given);
        return await work(connection, given);
    }

    /// <summary>
    /// What is still under way after its time ends by itself: the driver asks the server to drop the statement, which over a silent network takes as long as
    /// it takes to find that out. Nobody waits for it.
    /// </summary>
    private static async Task GiveUpAsync(Task running, CancellationTokenSource given)
    {
        if (!running.IsCompleted) await given.CancelAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        given.Dispose();
    }

    private async Task MigrateAsync(NpgsqlConnection connection, CancellationToken late)
    {
        await _migrating.WaitAsync(late);
        try
        {
            if (_isMigrated) return;
            await FleetSchema.BringForwardAsync(connection, Name, _migrations, late);
            _isMigrated = true;
        }
        finally
        {
            _migrating.Release();
        }
    }

    private void SawItServe()
    {
        if (_trouble is not { } over || Interlocked.CompareExchange(ref _trouble, null, over) != over) return;
        Volatile.Write(ref _servesAgainSince, _time.GetTimestamp());
        LogBack(_logger, Name, (_time.GetUtcNow() - over.Since).TotalSeconds);
    }

    private DatabaseAwayException Away(string problem, Exception cause)
    {
        DatabaseTrouble now = new(_time.GetUtcNow(), problem);
        if (Interlocked.CompareExchange(ref _trouble, now, null) is null) LogAway(_logger, Name, problem);
        return new DatabaseAwayException(Name, problem, cause);
    }

    [LoggerMessage(EventId = 4001, Level = LogLevel.Error, Message = "The database {Name} does not serve: {Problem}. The proxy goes on with what it knows and books afterwards")]
    private static partial void LogAway(ILogger logger, string name, string problem);

    [LoggerMessage(EventId = 4002, Level = LogLevel.Information, Message = "The database {Name} serves again after {Seconds:0.0} s")]
    private static partial void LogBack(ILogger logger, string name, double seconds);
}
