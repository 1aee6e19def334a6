using System.Collections.Immutable;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Storage;

namespace QwenProxy.Configuration;

/// <summary>
/// Every plain setting: the one place that says which key, variable and flag it has, what is allowed, and where it goes. Lists and maps
/// (accounts, models, clients, quirks) have readers of their own.
/// </summary>
internal static class SettingTable
{
    private static readonly (string, SwitchMode)[] s_switch = [("on", SwitchMode.On), ("observe", SwitchMode.Observe), ("off", SwitchMode.Off)];

    private static readonly ValueRule<string> s_path = new(
        "a path",
        [ConfigNodeKind.Text],
        (string text, out string value) => (value = text).Length > 0,
        value => value);

    public static ImmutableArray<Setting> All { get; } = [.. Server(), .. Repair(), .. Timeouts(), .. Retries(), .. Limits(), .. Storage()];

    /// <summary>The objects of the file that hold settings, by key, with the keys each may have.</summary>
    public static ImmutableDictionary<string, ImmutableArray<string>> Sections { get; } = All
        .Where(s => s.Path.Contains('.', StringComparison.Ordinal))
        .GroupBy(s => s.Path.Split('.')[0], s => s.Path.Split('.')[1])
        .ToImmutableDictionary(g => g.Key, g => g.ToImmutableArray());

    /// <summary>The plain keys of the root.</summary>
    public static ImmutableArray<string> RootKeys { get; } = [.. All.Select(s => s.Path).Where(p => !p.Contains('.', StringComparison.Ordinal))];

    private static IEnumerable<Setting> Server() =>
    [
        new Setting<string>("host", ValueRules.Host, s => s.Host, (s, v) => s with { Host = v })
        {
            Variable = "HOST", Flag = "--host", FlagValue = f => f.Host,
        },
        new Setting<int>("port", ValueRules.Integer(0, 65_535), s => s.Port, (s, v) => s with { Port = v })
        {
            Variable = "PORT", Flag = "--port", FlagValue = f => f.Port,
        },
        new Setting<bool>("debug", ValueRules.Boolean, s => s.Debug, (s, v) => s with { Debug = v })
        {
            Variable = "DEBUG", Flag = "--debug", FlagValue = f => f.Debug ? "true" : null,
        },
        new Setting<bool>("resume", ValueRules.Choice(("auto", true), ("off", false)), s => s.Resume, (s, v) => s with { Resume = v }),
    ];

    private static IEnumerable<Setting> Repair() =>
    [
        new Setting<StutterMode>(
            "repair.stutter",
            ValueRules.Choice(("off", StutterMode.Off), ("observe", StutterMode.Observe), ("safe", StutterMode.Safe), ("auto", StutterMode.Auto)),
            s => s.Repair.Stutter,
            (s, v) => s with { Repair = s.Repair with { Stutter = v } }),
        new Setting<SwitchMode>(
            "repair.toolCalls", ValueRules.Choice(s_switch), s => s.Repair.ToolCalls, (s, v) => s with { Repair = s.Repair with { ToolCalls = v } }),
        new Setting<SwitchMode>(
            "repair.thinkTags", ValueRules.Choice(s_switch), s => s.Repair.ThinkTags, (s, v) => s with { Repair = s.Repair with { ThinkTags = v } }),
        new Setting<SwitchMode>(
            "repair.loopGuard", ValueRules.Choice(s_switch), s => s.Repair.LoopGuard, (s, v) => s with { Repair = s.Repair with { LoopGuard = v } }),
    ];

    private static IEnumerable<Setting> Timeouts() =>
    [
        Time("connectSeconds", null, t => t.Connect, (t, v) => t with { Connect = v }),
        new Setting<TimeSpan?>(
            "timeouts.firstTokenSeconds",
            ValueRules.SecondsOrAuto(),
            s => s.Timeouts.FirstToken,
            (s, v) => s with { Timeouts = s.Timeouts with { FirstToken = v } }),
        Time("idleSeconds", "READ_TIMEOUT_SECONDS", t => t.Idle, (t, v) => t with { Idle = v }),
        Time("keepAliveSeconds", null, t => t.KeepAlive, (t, v) => t with { KeepAlive = v }),
        Time("requestSeconds", "REQUEST_TIMEOUT_SECONDS", t => t.Request, (t, v) => t with { Request = v }),
        Time("streamingSeconds", "STREAMING_TIMEOUT_SECONDS", t => t.Streaming, (t, v) => t with { Streaming = v }),
        Time("drainSeconds", null, t => t.Drain, (t, v) => t with { Drain = v }, zeroAllowed: true),
    ];

    private static IEnumerable<Setting> Retries() =>
    [
        new Setting<int>(
            "retry.maxAttempts",
            ValueRules.Integer(1, 100),
            s => s.Retry.MaxAttempts,
            (s, v) => s with { Retry = s.Retry with { MaxAttempts = v } }),
        new Setting<double>(
            "retry.maxWaitSeconds",
            ValueRules.PlainSeconds(zeroAllowed: true),
            s => s.Retry.MaxWaitSeconds,
            (s, v) => s with { Retry = s.Retry with { MaxWaitSeconds = v } }),
        new Setting<double>(
            "retry.hedgeSeconds",
            ValueRules.PlainSeconds(zeroAllowed: true),
            s => s.Retry.HedgeSeconds,
            (s, v) => s with { Retry = s.Retry with { HedgeSeconds = v } }),
        new Setting<int>(
            "breaker.failures",
            ValueRules.Integer(1, 1_000_000),
            s => s.Breaker.Failures,
            (s, v) => s with { Breaker = s.Breaker with { Failures = v } }) { Variable = "STREAMING_MAX_ERRORS" },
        new Setting<double>(
            "breaker.openSeconds",
            ValueRules.PlainSeconds(),
            s => s.Breaker.OpenSeconds,
            (s, v) => s with { Breaker = s.Breaker with { OpenSeconds = v } }),
        Pool("maxIdleConnections", "MAX_IDLE_CONNS", 100_000, p => p.MaxIdleConnections, (p, v) => p with { MaxIdleConnections = v }),
        Pool(
            "maxIdleConnectionsPerHost",
            "MAX_IDLE_CONNS_PER_HOST",
            100_000,
            p => p.MaxIdleConnectionsPerHost,
            (p, v) => p with { MaxIdleConnectionsPerHost = v }),
        Pool("idleSeconds", "IDLE_CONN_TIMEOUT_SECONDS", 86_400, p => p.IdleSeconds, (p, v) => p with { IdleSeconds = v }),
    ];

    private static IEnumerable<Setting> Limits() =>
    [
        Limit("bodyBytes", null, 1024, 1024 * 1024 * 1024, l => l.BodyBytes, (l, v) => l with { BodyBytes = v }),
        Limit("eventBytes", null, 1024, 1024 * 1024 * 1024, l => l.EventBytes, (l, v) => l with { EventBytes = v }),
        Limit("headerBytes", null, 1024, 1024 * 1024, l => l.HeaderBytes, (l, v) => l with { HeaderBytes = v }),
        Limit("concurrentRequests", null, 1, 1_000_000, l => l.ConcurrentRequests, (l, v) => l with { ConcurrentRequests = v }),
        Limit("queuedRequests", null, 0, 1_000_000, l => l.QueuedRequests, (l, v) => l with { QueuedRequests = v }),
        new Setting<double>(
            "limits.queueSeconds",
            ValueRules.PlainSeconds(zeroAllowed: true),
            s => s.Limits.QueueSeconds,
            (s, v) => s with { Limits = s.Limits with { QueueSeconds = v } }),
        Limit("holdBytes", "STREAMING_BUFFER_SIZE", 1, 16 * 1024 * 1024, l => l.HoldBytes, (l, v) => l with { HoldBytes = v }),
    ];

    private static IEnumerable<Setting> Storage() =>
    [
        Folder("dataFolder", "QWEN_PROXY_DATA", s => s.DataFolder, (s, v) => s with { DataFolder = v }),
        Folder("qwenHome", "QWEN_HOME", s => s.QwenHome, (s, v) => s with { QwenHome = v }),
        new SecretSetting(
            "storage.database",
            DatabaseAddress.Allowed,
            (s, secret) => DatabaseAddress.Parse(secret, out string? fault) is { } address ? (s with { Storage = s.Storage with { Database = address } }, null) : (null, fault))
        { Variable = "QWEN_PROXY_DATABASE" },
        new SecretSetting(
            "storage.secretKey",
            SealingKeys.Allowed,
            (s, secret) => SealingKeys.Parse(secret) is { } keys ? (s with { Storage = s.Storage with { SecretKeys = keys } }, null) : (null, "it is no such key"))
        { Variable = "QWEN_PROXY_SECRET_KEY" },
        new Setting<bool>(
            "storage.logFile",
            ValueRules.Boolean,
            s => s.Storage.LogToFile,
            (s, v) => s with { Storage = s.Storage with { LogToFile = v } }),
        new Setting<int>(
            "ledger.keepDays",
            ValueRules.Integer(1, 36_500),
            s => s.Storage.LedgerKeepDays,
            (s, v) => s with { Storage = s.Storage with { LedgerKeepDays = v } }),
        new Setting<int>(
            "capture.streams",
            ValueRules.Integer(0, 100_000),
            s => s.Storage.CaptureStreams,
            (s, v) => s with { Storage = s.Storage with { CaptureStreams = v } }),
        new Setting<long>(
            "capture.maxBytes",
            ValueRules.Long(1024, 1L << 40),
            s => s.Storage.CaptureMaxBytes,
            (s, v) => s with { Storage = s.Storage with { CaptureMaxBytes = v } }),
        new Setting<bool>(
            "capture.redact",
            ValueRules.Boolean,
            s => s.Storage.CaptureRedact,
            (s, v) => s with { Storage = s.Storage with { CaptureRedact = v } }),
        new Setting<Uri>(
            "oauthBaseUrl",
            ValueRules.Url,
            s => s.Storage.OAuthBaseUrl,
            (s, v) => s with { Storage = s.Storage with { OAuthBaseUrl = v } }) { Variable = "QWEN_OAUTH_BASE_URL" },
    ];

    private static Setting<TimeSpan> Time(
        string key,
        string? variable,
        Func<TimeoutsSnapshot, TimeSpan> get,
        Func<TimeoutsSnapshot, TimeSpan, TimeoutsSnapshot> with,
        bool zeroAllowed = false) =>
        new("timeouts." + key, ValueRules.Seconds(zeroAllowed), s => get(s.Timeouts), (s, v) => s with { Timeouts = with(s.Timeouts, v) })
        {
            Variable = variable,
        };

    private static Setting<int> Pool(
        string key, string variable, int max, Func<PoolSnapshot, int> get, Func<PoolSnapshot, int, PoolSnapshot> with) =>
        new("pool." + key, ValueRules.Integer(1, max), s => get(s.Pool), (s, v) => s with { Pool = with(s.Pool, v) }) { Variable = variable };

    private static Setting<int> Limit(
        string key, string? variable, int min, int max, Func<LimitsSnapshot, int> get, Func<LimitsSnapshot, int, LimitsSnapshot> with) =>
        new("limits." + key, ValueRules.Integer(min, max), s => get(s.Limits),
            (s, v) => s with { Limits = with(s.Limits, v) })
        { Variable = variable };

    private static Setting<string> Folder(
        string key, string variable, Func<StorageSnapshot, string> get, Func<StorageSnapshot, string, StorageSnapshot> with) =>
        new("storage." + key, s_path, s => get(s.Storage), (s, v) => s with { Storage = with(s.Storage, v) })
        {
            Variable = variable,
            Anchor = (path, sources, folder) => sources.FullPath(path, folder),
        };
}
