using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Resilience;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Proxying.Lifecycle;
using QwenProxy.Proxying.Settlement;
using QwenProxy.Upstreams;

namespace QwenProxy.Hosting;

/// <summary>Everything that lives as long as the program: the current configuration, the connections, the routes, the numbers.</summary>
internal sealed class ProxyRuntime : IAsyncDisposable
{
    private readonly IdSource _ids;
    private readonly StateStore? _state;
    private volatile ProxySnapshot _snapshot;

    public ProxyRuntime(ProxySnapshot snapshot, ILoggerFactory loggers, TimeProvider time, Random random)
    {
        _snapshot = snapshot;
        LoggerFactory = loggers;
        Logger = loggers.CreateLogger("QwenProxy");
        Time = time;
        StartedAt = time.GetUtcNow();
        _ids = new IdSource(random);
        Authorizer = new AccountAuthorizer(time, random, Logger);
        Authorizer.Apply(snapshot);
        Models = new ModelDirectory(Transport, Authorizer, time, loggers.CreateLogger<ModelDirectory>());
        Router = new Router(this, random);
        Captures = new CaptureStore(time, Logger);
        Metrics.Watch("qwen_proxy.breakers.open", "{breaker}", "Breakers that are not closed, by account.", CountOpenBreakers);
        // Without a data folder (tests, the demo) nothing is read or written.
        if (snapshot.Storage.DataFolder.Length == 0) return;
        _state = LoadState(Path.Combine(snapshot.Storage.DataFolder, "state"));
        Ledger = new LedgerWriter(snapshot.Storage.DataFolder, time, Logger);
    }

    public ProxySnapshot Snapshot => _snapshot;

    public ILoggerFactory LoggerFactory { get; }

    public ILogger Logger { get; }

    public TimeProvider Time { get; }

    public DateTimeOffset StartedAt { get; }

    public DrainState Drain { get; } = new();

    public ProxyMetrics Metrics { get; } = new();

    /// <summary>The requests that run and the last ones that ended.</summary>
    public RequestBook Requests { get; } = new();

    public UpstreamTransport Transport { get; init; } = new();

    public AccountAuthorizer Authorizer { get; }

    public ModelDirectory Models { get; }

    public Router Router { get; }

    /// <summary>Where settled requests are written down; null without a data folder.</summary>
    public LedgerWriter? Ledger { get; }

    /// <summary>Upstreams that do not speak what their profile says they do.</summary>
    public NativeEndpoints NativeEndpoints { get; } = new();

    /// <summary>The last raw upstream streams, where the configuration keeps some.</summary>
    public CaptureStore Captures { get; }

    public TokenEstimate Tokens { get; } = new();

    /// <summary>What streams have taught about who stutters.</summary>
    public StutterPrior Prior { get; private set; } = new();

    /// <summary>Runs socket callbacks where they arrive instead of on the pool; see docs/performance.md.</summary>
    public bool InlineScheduling { get; init; } = true;

    public string NewRequestId() => _ids.Next("req_");

    public string NewId(string prefix) => _ids.Next(prefix);

    /// <summary>Background work begins: the server is listening.</summary>
    public void Start() => _state?.Start();

    /// <summary>Takes over a new configuration; running requests finish on the one they began with.</summary>
    public void Apply(ProxySnapshot snapshot)
    {
        Authorizer.Apply(snapshot);
        NativeEndpoints.Forget();
        _snapshot = snapshot;
        Router.Apply(snapshot);
    }

    /// <summary>Why a request could not be served now, in a person's words; null when it could.</summary>
    public string? WhyNotReady()
    {
        if (Drain.IsDraining) return "The proxy is stopping.";
        if (_snapshot.Accounts.IsEmpty) return "No account is configured. Run `qwen-proxy login`, or set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL.";
        return Router.WhyNotReady();
    }

    public async ValueTask DisposeAsync()
    {
        if (_state is not null) await _state.DisposeAsync();
        await Captures.DisposeAsync();
        if (Ledger is not null) await Ledger.DisposeAsync();
        await Authorizer.DisposeAsync();
        Transport.Dispose();
        Metrics.Dispose();
        Drain.Dispose();
    }

    private IEnumerable<Measurement<long>> CountOpenBreakers() => Router.Pool.Export(Time.GetUtcNow()).Breakers.Where(b => b.State != BreakerState.Closed)
        .GroupBy(b => b.Account).Select(g => new Measurement<long>(g.Count(), new KeyValuePair<string, object?>("account", g.Key)));

    private StateStore LoadState(string folder)
    {
        StateStore store = new(folder, Time, Logger, new StateFile("pool.json", ReadPool, output => PoolRecordJson.Write(Router.Pool.Export(Time.GetUtcNow()), output)),
            new StateFile("stutter-prior.json", ReadPrior, output => Prior.WriteTo(output)));
        store.Load();
        return store;
    }

    private bool ReadPool(ReadOnlyMemory<byte> json)
    {
        if (!PoolRecordJson.TryRead(json.Span, out PoolRecord record)) return false;
        Router.Pool.Import(record, Time.GetUtcNow());
        return true;
    }

    private bool ReadPrior(ReadOnlyMemory<byte> json)
    {
        if (!StutterPrior.TryRead(json, out StutterPrior prior)) return false;
        Prior = prior;
        return true;
    }
}
