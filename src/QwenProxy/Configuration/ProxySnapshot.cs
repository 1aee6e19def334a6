using System.Collections.Immutable;
using System.Net;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Requests;
using QwenProxy.Storage;

namespace QwenProxy.Configuration;

/// <summary>The whole validated configuration. A request keeps the snapshot it began with; a reload swaps the reference.</summary>
internal sealed record ProxySnapshot
{
    /// <summary>The file it was read from; null where there is none.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>Tells two configurations apart without showing either: where they agree in all but address and verbosity it is the same.</summary>
    public string Fingerprint { get; init; } = "";

    public string Host { get; init; } = "127.0.0.1";

    public int Port { get; init; } = 8143;

    public bool Debug { get; init; }

    public ImmutableArray<AccountSnapshot> Accounts { get; init; } = [];

    /// <summary>Accounts written with <c>disabled: true</c>: shown by lists, never seen by routing.</summary>
    public ImmutableArray<AccountSnapshot> DisabledAccounts { get; init; } = [];

    /// <summary>True when no file named an account and the credentials files of QWEN_HOME were looked for.</summary>
    public bool AccountsWereDiscovered { get; init; }

    public ModelsSnapshot Models { get; init; } = new();

    /// <summary>The client keys that file and environment name.</summary>
    public ImmutableArray<ClientSnapshot> Clients { get; init; } = [];

    /// <summary>Those that <c>qwen-proxy keys</c> made.</summary>
    public KeyRing Keys { get; init; } = KeyRing.Empty;

    /// <summary>A client must show a key. Otherwise anybody may ask (loopback only).</summary>
    public bool AsksForKey => !Clients.IsEmpty || !Keys.Keys.IsEmpty || !Keys.AreKnown || (Storage.Database is not null && IsReachable);

    /// <summary>It listens where other machines can reach it.</summary>
    public bool IsReachable => Host != "localhost" && !(IPAddress.TryParse(Host, out IPAddress? address) && IPAddress.IsLoopback(address));

    public RepairSnapshot Repair { get; init; } = new();

    public bool Resume { get; init; } = true;

    public TimeoutsSnapshot Timeouts { get; init; } = new();

    public RetrySnapshot Retry { get; init; } = new();

    public BreakerSnapshot Breaker { get; init; } = new();

    public PoolSnapshot Pool { get; init; } = new();

    public LimitsSnapshot Limits { get; init; } = new();

    public StorageSnapshot Storage { get; init; } = new();

    /// <summary>Names in <c>Host</c> that are this proxy's, besides addresses, <c>localhost</c> and <see cref="Host"/>; lower case, without a port.</summary>
    public ImmutableArray<string> AllowedHosts { get; init; } = [];

    /// <summary>Origins whose web pages may use the proxy, as browsers write them.</summary>
    public ImmutableArray<string> AllowedOrigins { get; init; } = [];

    /// <summary>Hosts besides Qwen's own that an OAuth reply's <c>resource_url</c> may name.</summary>
    public ImmutableArray<string> AllowedOAuthHosts { get; init; } = [];
}

/// <summary>
/// Aliases in the order written (first match wins, <c>*</c> matches any run of characters) and, per model, what may stand in for it.
/// </summary>
internal sealed record ModelsSnapshot
{
    public ImmutableArray<KeyValuePair<string, string>> Aliases { get; init; } = [];

    /// <summary>The same aliases, ready to resolve a name.</summary>
    public ModelAliases AliasTable => new(Aliases);

    public ImmutableDictionary<string, ImmutableArray<string>> Fallbacks { get; init; } = ImmutableDictionary<string, ImmutableArray<string>>.Empty;

    public ThinkingPolicies Thinking { get; init; } = ThinkingPolicies.None;

    /// <summary>Who decides whether the model that a client asks for thinks.</summary>
    public ThinkingPolicy ThinkingOf(string asked) => Thinking.For(asked, AliasTable.Resolve(asked));
}

internal sealed record ClientSnapshot(string Name, Secret Key, bool IsAdmin = false)
{
    public ClientLimits Limits { get; init; } = ClientLimits.None;
}

internal enum SwitchMode
{
    Off,
    Observe,
    On,
}

internal sealed record RepairSnapshot
{
    public StutterMode Stutter { get; init; } = StutterMode.Auto;

    public SwitchMode ToolCalls { get; init; } = SwitchMode.On;

    public SwitchMode ThinkTags { get; init; } = SwitchMode.On;

    public SwitchMode LoopGuard { get; init; } = SwitchMode.Off;

    /// <summary>Ids of named quirk rules the user switched off.</summary>
    public ImmutableHashSet<string> DisabledQuirks { get; init; } = [];
}

internal sealed record TimeoutsSnapshot
{
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Null means "auto": it depends on the prompt's size and on whether another route exists.</summary>
    public TimeSpan? FirstToken { get; init; }

    /// <summary>READ_TIMEOUT_SECONDS / timeouts.idleSeconds: the longest silence from upstream.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(45);

    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    public TimeSpan Request { get; init; } = TimeSpan.FromSeconds(300);

    public TimeSpan Streaming { get; init; } = TimeSpan.FromSeconds(900);

    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);
}

/// <param name="HedgeSeconds">Silence after which a second account is asked in parallel; 0 is never.</param>
internal sealed record RetrySnapshot(int MaxAttempts = 4, double MaxWaitSeconds = 20, double HedgeSeconds = 0);

internal sealed record BreakerSnapshot(int Failures = 10, double OpenSeconds = 15);

internal sealed record PoolSnapshot(int MaxIdleConnections = 50, int MaxIdleConnectionsPerHost = 50, int IdleSeconds = 180);

internal sealed record LimitsSnapshot
{
    public int BodyBytes { get; init; } = 64 * 1024 * 1024;

    public int EventBytes { get; init; } = 16 * 1024 * 1024;

    public int HeaderBytes { get; init; } = 32 * 1024;

    public int ConcurrentRequests { get; init; } = 4096;

    /// <summary>Requests that may wait for a slot of an account.</summary>
    public int QueuedRequests { get; init; } = 512;

    /// <summary>The longest that one request may wait for it.</summary>
    public double QueueSeconds { get; init; } = 30;

    /// <summary>STREAMING_BUFFER_SIZE: bytes that one stream's repair stages may hold back together.</summary>
    public int HoldBytes { get; init; } = 4096;
}

internal sealed record StorageSnapshot
{
    /// <summary>QWEN_PROXY_DATA: ledger, state, captures, logs.</summary>
    public string DataFolder { get; init; } = "";

    /// <summary>QWEN_HOME: where credentials live.</summary>
    public string QwenHome { get; init; } = "";

    /// <summary>The database that the replicas of a fleet share; null for one machine, whose state is files.</summary>
    public DatabaseAddress? Database { get; init; }

    /// <summary>What seals sign-ins in the database; null where none was given.</summary>
    public SealingKeys? SecretKeys { get; init; }

    public Uri OAuthBaseUrl { get; init; } = new("https://chat.qwen.ai");

    public bool LogToFile { get; init; }

    /// <summary>Days after which a request is no longer in the ledger.</summary>
    public int LedgerKeepDays { get; init; } = 400;

    /// <summary>How many raw upstream streams to keep in the data folder; 0 keeps none.</summary>
    public int CaptureStreams { get; init; }

    /// <summary>Kept streams have the letters and digits of their texts replaced.</summary>
    public bool CaptureRedact { get; init; }

    /// <summary>Bytes that all kept streams may take together; the oldest go first.</summary>
    public long CaptureMaxBytes { get; init; } = 64 * 1024 * 1024;
}
