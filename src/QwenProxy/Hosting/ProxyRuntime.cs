using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Endpoints;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Proxying.Settlement;
using QwenProxy.Storage;
using QwenProxy.Upstreams;

namespace QwenProxy.Hosting;

/// <summary>
/// Everything that lives as long as the program, and who gets what of it: the one place where the parts are put together. Nobody is handed this
/// whole; each class takes what it needs.
/// </summary>
internal sealed class ProxyRuntime : IAsyncDisposable
{
    private readonly CurrentConfiguration _configuration;
    private ProxySnapshot _written;
    private readonly ClientMeters _meters = new();
    private readonly StateStore? _state;
    private readonly KeyWatcher? _keys;
    private readonly FleetMember? _member;

    public ProxyRuntime(ProxySnapshot snapshot, ILoggerFactory loggers, TimeProvider time, Random random, UpstreamTransport? transport = null)
    {
        _configuration = new CurrentConfiguration(snapshot, time.GetUtcNow());
        _written = snapshot;
        LoggerFactory = loggers;
        Instruments = new Instruments(time, loggers.CreateLogger("QwenProxy"), new ProxyMetrics(), new IdSource(random));
        Fleet = FleetState.Of(snapshot.Storage, time, random, Instruments.Logger);
        AccountAuthorizer authorizer = new(time, random, Instruments.Logger, Fleet?.Credentials) { Refreshed = Instruments.Metrics.Refreshed };
        authorizer.Apply(snapshot);
        Upstreams = new UpstreamAccess(authorizer, transport ?? new UpstreamTransport(), new CaptureStore(time, Instruments.Logger), new NativeEndpoints(time), new RefusedSwitches(), new OutputLimits());
        Models = new ModelDirectory(Upstreams.Transport, authorizer, time, loggers.CreateLogger<ModelDirectory>());
        Router = new Router(snapshot, time, random);
        States = new AccountStates(Router, authorizer, time);
        new Gauges(Instruments.Metrics, _configuration, Router, States, time).Watch();
        Instruments.Metrics.Watch("qwen_proxy.fleet.replicas", "{replica}", "Replicas that share the database, this one included; 1 without a database.", () => [new Measurement<long>(Members?.Live ?? 1)]);
        Instruments.Metrics.Watch("qwen_proxy.database.away", "{database}", "1 while the database of the fleet does not serve, else 0.", () => [new Measurement<long>(Fleet?.Database.Trouble is null ? 0 : 1)]);
        // Without a data folder (tests, the demo) nothing is read or written.
        if (snapshot.Storage.DataFolder.Length > 0)
        {
            _state = LoadState(Path.Combine(snapshot.Storage.DataFolder, "state"));
            _keys = new KeyWatcher(snapshot.Storage, snapshot.Keys, time, Instruments.Logger);
            _keys.Changed += _ => Swap(null);
            // What a fleet has taken is known to its database.
            if (Fleet is null) _meters.Restore(snapshot.Storage.DataFolder, Instruments);
            ILedgerOutput output = Fleet is null
                ? new FileLedgerOutput(Path.Combine(snapshot.Storage.DataFolder, LedgerFile.Name), time)
                : new DatabaseLedgerOutput(Fleet.Database, new LedgerSpill(snapshot.Storage.DataFolder), time, Instruments.Logger);
            Ledger = new LedgerWriter(output, () => TimeSpan.FromDays(Snapshot.Storage.LedgerKeepDays), time, Instruments.Logger, Instruments.Metrics);
        }

        if (Fleet is not null) Members = new FleetView(Fleet.Database, FleetMember.NewReplica(time), time);
        Readiness = new Readiness(_configuration, Drain, States, Members);
        if (Fleet is not null) _member = new FleetMember(Fleet.Database, Members!, Router.Pool, _meters, _configuration, Report, Instruments);
        Status = new AdminStatus(_configuration, Readiness, Router, States, Ledger, Members, time);
        Doors = NewDoors();
    }

    public ProxySnapshot Snapshot => _configuration.Snapshot;

    public ILoggerFactory LoggerFactory { get; }

    public Instruments Instruments { get; }

    public DrainState Drain { get; } = new();

    /// <summary>The requests that run and the last ones that ended.</summary>
    public RequestBook Requests { get; } = new();

    public UpstreamAccess Upstreams { get; }

    public ModelDirectory Models { get; }

    public Router Router { get; }

    /// <summary>What the replicas of a fleet share; null on one machine.</summary>
    public FleetState? Fleet { get; }

    /// <summary>Who else is there; null on one machine.</summary>
    public FleetView? Members { get; }

    /// <summary>Where settled requests are written down; null without a data folder.</summary>
    public LedgerWriter? Ledger { get; }

    /// <summary>What streams have taught about who stutters and who thinks in the content.</summary>
    public UpstreamHabits Habits { get; } = new();

    public AccountStates States { get; }

    public Readiness Readiness { get; }

    public AdminStatus Status { get; }

    public Doors Doors { get; }

    /// <summary>Runs socket callbacks where they arrive instead of on the pool; see docs/performance.md.</summary>
    public bool InlineScheduling { get; init; } = true;

    /// <summary>Before the server listens: what a fleet knows is read, for a few seconds at most.</summary>
    public async Task OpenAsync(CancellationToken stop)
    {
        if (Fleet is null) return;
        Fleet.AccountsChanged += () => Swap(null);
        await Fleet.StartAsync(stop);
        await _member!.OpenAsync();
        _keys?.LookNow();
        Swap(null);
    }

    /// <summary>Background work begins: the server is listening.</summary>
    public void Start(Uri address)
    {
        _state?.Start();
        Ledger?.Start();
        _keys?.Start();
        _member?.Start(address);
    }

    /// <summary>Takes over a new configuration; running requests finish on the one they began with.</summary>
    public void Apply(ProxySnapshot snapshot)
    {
        Upstreams.NativeEndpoints.Forget();
        Upstreams.RefusedSwitches.Forget();
        Upstreams.OutputLimits.Forget();
        _configuration.Refused = [];
        _configuration.LoadedAt = Instruments.Time.GetUtcNow();
        Instruments.Metrics.ConfigurationReloaded(applied: true);
        Swap(snapshot);
    }

    /// <summary>Keys and a fleet's sign-ins in force are those that were seen last, not those of the moment when a configuration was read.</summary>
    private void Swap(ProxySnapshot? loaded)
    {
        lock (_meters)
        {
            ProxySnapshot snapshot = _written = loaded ?? _written;
            if (_keys is not null) snapshot = snapshot with { Keys = _keys.Current };
            if (Fleet is not null) snapshot = Fleet.WithSignedIn(snapshot);
            Upstreams.Authorizer.Apply(snapshot);
            _configuration.Snapshot = snapshot;
            Router.Apply(snapshot);
        }
    }

    /// <summary>An edit of the configuration was refused; what is in force stays.</summary>
    public void Refuse(ImmutableArray<string> faults)
    {
        _configuration.Refused = faults;
        Instruments.Metrics.ConfigurationReloaded(applied: false);
    }

    public async ValueTask DisposeAsync()
    {
        _keys?.Dispose();
        if (_member is not null) await _member.DisposeAsync();
        if (_state is not null) await _state.DisposeAsync();
        await Upstreams.Captures.DisposeAsync();
        if (Ledger is not null) await Ledger.DisposeAsync();
        await Upstreams.Authorizer.DisposeAsync();
        if (Fleet is not null) await Fleet.DisposeAsync();
        Upstreams.Transport.Dispose();
        Instruments.Metrics.Dispose();
        Drain.Dispose();
    }

    private Doors NewDoors()
    {
        RequestSettlement settlement = new(Requests, Ledger, Instruments);
        RequestLifecycle lifecycle = new(_configuration, new Admission(Drain, _meters, Instruments.Time), Instruments, Router, Upstreams, Habits, settlement);
        AdminSessions sessions = new(Instruments.Time);
        AdminGuard guard = new(_configuration, sessions, new KeyTries(Instruments.Time), Instruments.Time);
        OpenAIChatClient chat = new();
        return new Doors
        {
            Guard = new RequestGuard(_configuration, Instruments),
            Lifecycle = lifecycle,
            Forwarding = new Forwarding(lifecycle, Router, Upstreams, chat),
            Models = new ModelsEndpoint(_configuration, Drain, Models, Instruments.Ids, Instruments.Time),
            Operations = new OperationsEndpoints(_configuration, Readiness, Instruments.Metrics, NewAdmin(guard), guard, new AdminSignIn(_configuration, sessions, guard, Instruments), Instruments.Time),
            Chat = chat,
            Messages = new MessagesClient(Instruments.Ids, new TokenEstimate()),
            Responses = new ResponsesClient(Instruments.Ids, Instruments.Time),
        };
    }

    private ReplicaReport Report() => new()
    {
        Running = Drain.Active,
        Draining = Drain.IsDraining,
        Ready = Readiness.Obstacle() ?? "yes",
        Configuration = Snapshot.Fingerprint,
        Accounts = [.. Snapshot.Accounts.Select(a => a.Name)],
    };

    private AdminEndpoints NewAdmin(AdminGuard guard)
    {
        ILedger? kept = Ledger is null ? null : Ledgers.Of(Snapshot.Storage, Fleet?.Database);
        AdminReports reports = new(
            Status,
            Requests,
            new AdminRequestList(Requests, kept, Instruments.Time),
            new AdminUsage(Requests, kept, Instruments.Time),
            new AdminModels(_configuration, Models, Router, Upstreams.OutputLimits),
            new AdminEvents(Status, Requests, Drain, Instruments.Time));
        AdminAccounts accounts = new(_configuration, Router, Models, Upstreams, Instruments);
        return new AdminEndpoints(reports, accounts, new AdminKeys(_configuration, _meters, kept, Instruments), guard);
    }

    private StateStore LoadState(string folder)
    {
        StateStore store = new(folder, Instruments.Time, Instruments.Logger, new StateFile("pool.json", ReadPool, output => PoolRecordJson.Write(Router.Pool.Export(Instruments.Time.GetUtcNow(), withCounts: true), output)),
            new StateFile("stutter-prior.json", ReadStutter, output => Habits.Stutter.WriteTo(output)),
            new StateFile("thinking-prior.json", ReadThinking, output => Habits.Thinking.WriteTo(output)));
        store.Load();
        return store;
    }

    private bool ReadPool(ReadOnlyMemory<byte> json)
    {
        if (!PoolRecordJson.TryRead(json.Span, out PoolRecord record)) return false;
        // In a fleet the database knows these two better; an earlier run's are no news for the others.
        if (Fleet is not null) record = record with { Breakers = [], Cooldowns = [] };
        Router.Pool.Import(record, Instruments.Time.GetUtcNow());
        return true;
    }

    private bool ReadStutter(ReadOnlyMemory<byte> json)
    {
        if (!StutterPrior.TryRead(json, out StutterPrior prior)) return false;
        Habits.Stutter = prior;
        return true;
    }

    private bool ReadThinking(ReadOnlyMemory<byte> json)
    {
        if (!ThinkingPrior.TryRead(json, out ThinkingPrior prior)) return false;
        Habits.Thinking = prior;
        return true;
    }
}
