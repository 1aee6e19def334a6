using System.Reflection;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Fleet;
using QwenProxy.Observability;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Storage;

namespace QwenProxy.Hosting;

/// <summary>
/// This replica's part in the fleet, all in the background: it says that it is there, divides limits with the others, tells and hears how accounts are doing,
/// and claims probes. Requests decide by what lies in memory here; a database that is slow or away makes this loop late and nothing else.
/// </summary>
internal sealed partial class FleetMember : IAsyncDisposable
{
    /// <summary>How often what is here is compared with what was told: a look in memory.</summary>
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan s_pauseWhileAway = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_beat = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_share = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_shareAll = TimeSpan.FromSeconds(30);

    /// <summary>For one use of the database in the loop. Longer than a database takes that answers each statement after a second.</summary>
    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(8);

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly FleetView _view;
    private readonly AccountPool _pool;
    private readonly ClientMeters _meters;
    private readonly CurrentConfiguration _configuration;
    private readonly Func<ReplicaReport> _report;
    private readonly Instruments _instruments;
    private readonly ReplicaTable _replicas;
    private readonly LimitTable _limits;
    private readonly AccountTable _accounts;
    private readonly SharedStates _states = new();
    private readonly SemaphoreSlim _statesGate = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _firstHearing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task? _running;
    private long _beatAt = long.MinValue;
    private long _sharedAt = long.MinValue;
    private long _sharedAllAt = long.MinValue;
    private volatile bool _isAskedByOthers;
    private bool _isReached = true;

    public FleetMember(FleetDatabase database, FleetView view, AccountPool pool, ClientMeters meters, CurrentConfiguration configuration, Func<ReplicaReport> report, Instruments instruments)
    {
        _view = view;
        _pool = pool;
        _meters = meters;
        _configuration = configuration;
        _report = report;
        _instruments = instruments;
        _replicas = new ReplicaTable(database);
        _limits = new LimitTable(database);
        _accounts = new AccountTable(database);
        _pool.Reach(isThere: true);
        database.Notices.Watch(AccountTable.Topic, HearAsync);
        database.Notices.Watch(LimitTable.Topic, _ =>
        {
            _isAskedByOthers = true;
            return Task.CompletedTask;
        });
    }

    /// <summary>A new replica of this run of the program.</summary>
    public static Replica NewReplica(TimeProvider time) =>
        new(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)), Environment.MachineName, "", typeof(FleetMember).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "", time.GetUtcNow());

    /// <summary>The first round, and the first news of accounts, before anybody is served: a few seconds at most, and not for a database that is away.</summary>
    public async Task OpenAsync()
    {
        if (_view.Trouble is null && await RoundAsync()) await _firstHearing.Task.WaitAsync(s_patience, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <param name="address">Where this replica listens.</param>
    public void Start(Uri address)
    {
        _view.Self = _view.Self with { Address = address.AbsoluteUri };
        _beatAt = long.MinValue;
        _running ??= RunAsync();
    }

    /// <summary>Gives back what it holds. The running requests have ended by now.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_running is not null)
        {
            await _running;
            await LeaveAsync();
        }

        _statesGate.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            bool isReached = await RoundAsync();
            await Task.Delay(isReached ? s_tick : s_pauseWhileAway, TimeProvider.System, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>False when the database could not be asked.</summary>
    private async Task<bool> RoundAsync()
    {
        try
        {
            await TellAsync(_stop.Token);
            await ClaimAsync(_stop.Token);
            if (IsDue(_beatAt, s_beat)) await BeatAsync(_stop.Token);
            bool isPressing = _meters.TakeStarved() | (_pool.Waiting > 0) | _isAskedByOthers;
            if (isPressing || IsDue(_sharedAt, s_share)) await ShareAsync(_stop.Token);
            Reach(isThere: true);
            return true;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The replica stops.
        }
        catch (DatabaseAwayException)
        {
            // Told by the database.
        }
        catch (Exception unexpected)
        {
            LogFailed(_instruments.Logger, unexpected);
        }

        Reach(isThere: false);
        return false;
    }

    private void Reach(bool isThere)
    {
        if (_isReached == isThere) return;
        _isReached = isThere;
        _pool.Reach(isThere);
        _meters.Reach(isThere);
    }

    private async Task BeatAsync(CancellationToken stop)
    {
        _view.Self = _view.Self with { Report = _report() };
        long began = _instruments.Time.GetTimestamp();
        IReadOnlyList<Replica> all = await _replicas.BeatAsync(_view.Self, s_bound, stop);
        _beatAt = _instruments.Time.GetTimestamp();
        int before = _view.Live;
        _view.Read(all, _instruments.Time.GetElapsedTime(began));
        // An even share is another one now.
        if (_view.Live != before) _isAskedByOthers = true;
        foreach (Replica silent in all.Where(r => r.Id != _view.Self.Id && r.Silent > ReplicaTable.GivenUpAfter))
        {
            LogGivenUp(_instruments.Logger, silent.Name, silent.Address, silent.Silent.TotalSeconds);
            await _replicas.GiveUpAsync(silent.Id, s_bound, stop);
        }
    }

    private async Task ShareAsync(CancellationToken stop)
    {
        bool all = _isAskedByOthers || IsDue(_sharedAllAt, s_shareAll);
        _isAskedByOthers = false;
        List<LimitAsk> asks = [];
        string id = _view.Self.Id;
        int live = _view.Live;
        DateTimeOffset now = _instruments.Time.GetLocalNow();
        foreach ((string client, ClientLimits limits) in Clients())
        {
            ClientMeter meter = _meters.Of(client);
            foreach (PartQuestion question in meter.AskForParts(id, live, limits, now, all))
                asks.Add(new LimitAsk($"client:{client}:{question.Limit}", question.IsBudget, question.Question, answer => meter.TakePart(question, answer)));
        }

        foreach ((string account, LimitQuestion question) in _pool.AskForShares(id, live, all))
            asks.Add(new LimitAsk($"account:{account}", false, question, answer => _pool.TakeShare(account, question, answer)));
        if (asks.Count > 0) await _limits.AskAsync(id, asks, live, s_bound, stop);
        _sharedAt = _instruments.Time.GetTimestamp();
        if (all) _sharedAllAt = _sharedAt;
    }

    /// <summary>Those with limits, whether they have asked here or not, so that their parts are there when they do; and all who have.</summary>
    private IEnumerable<(string Name, ClientLimits Limits)> Clients()
    {
        ProxySnapshot snapshot = _configuration.Snapshot;
        Dictionary<string, ClientLimits> limits = new(StringComparer.Ordinal);
        foreach (StoredKey key in snapshot.Keys.Keys.Where(k => k.Revoked is null)) limits[key.Name] = key.Limits;
        foreach (ClientSnapshot client in snapshot.Clients) limits[client.Name] = client.Limits;
        return limits.Where(c => c.Value.Counts || _meters.Has(c.Key)).Select(c => (c.Key, c.Value));
    }

    private async Task ClaimAsync(CancellationToken stop)
    {
        foreach ((string account, string model) in _pool.WantedProbes(_instruments.Time.GetUtcNow()))
        {
            if (await _accounts.ClaimProbeAsync(_view.Self.Id, account, model, _pool.ProbeInterval, s_bound, stop)) _pool.GrantProbe(account, model, _instruments.Time.GetUtcNow());
        }
    }

    private async Task TellAsync(CancellationToken stop)
    {
        // One at a time with hearing: rows that were read before something was told would look as if it had been taken back.
        await _statesGate.WaitAsync(stop);
        try
        {
            DateTimeOffset now = _instruments.Time.GetUtcNow();
            SharedNews news = _states.Outgoing(_pool.Export(now), now);
            if (news.IsEmpty) return;
            await _accounts.TellAsync(news, s_bound, stop);
            _states.Told(news);
        }
        finally
        {
            _statesGate.Release();
        }
    }

    private async Task HearAsync(CancellationToken stop)
    {
        await _statesGate.WaitAsync(stop);
        try
        {
            IReadOnlyList<SharedState> rows = await _accounts.ReadAsync(stop);
            DateTimeOffset now = _instruments.Time.GetUtcNow();
            SharedNews news = _states.Incoming(rows, now);
            _pool.Merge(news.Found, news.TakenBack, now);
            _firstHearing.TrySetResult();
        }
        finally
        {
            _statesGate.Release();
        }
    }

    private async Task LeaveAsync()
    {
        try
        {
            using CancellationTokenSource limit = new(s_patience, TimeProvider.System);
            List<LimitAsk> asks = [];
            DateTimeOffset now = _instruments.Time.GetLocalNow();
            foreach ((string client, ClientLimits _) in Clients())
            {
                foreach (PartQuestion question in _meters.Of(client).AskForParts(_view.Self.Id, _view.Live, ClientLimits.None, now, all: false))
                    asks.Add(new LimitAsk($"client:{client}:{question.Limit}", question.IsBudget, question.Question, static _ => { }));
            }

            if (asks.Count > 0) await _limits.AskAsync(_view.Self.Id, asks, _view.Live, s_patience, limit.Token);
            await _replicas.LeaveAsync(_view.Self.Id, s_patience, limit.Token);
        }
        catch (Exception failure) when (failure is DatabaseAwayException or OperationCanceledException)
        {
            // Those that stay give it up after a while, as one that died.
            LogNotLeft(_instruments.Logger, failure.Message);
        }
    }

    private bool IsDue(long since, TimeSpan interval) => since == long.MinValue || _instruments.Time.GetElapsedTime(since) >= interval;

    [LoggerMessage(EventId = 4020, Level = LogLevel.Error, Message = "The work for the fleet met an unexpected fault and goes on")]
    private static partial void LogFailed(ILogger logger, Exception fault);

    [LoggerMessage(EventId = 4021, Level = LogLevel.Warning, Message = "The replica {Name} ({Address}) has been silent for {Seconds:0} s and is given up; what it held of limits is divided anew")]
    private static partial void LogGivenUp(ILogger logger, string name, string address, double seconds);

    [LoggerMessage(EventId = 4022, Level = LogLevel.Warning, Message = "What this replica held of limits could not be given back ({Problem}); the others take it for lost in a few seconds")]
    private static partial void LogNotLeft(ILogger logger, string problem);
}
