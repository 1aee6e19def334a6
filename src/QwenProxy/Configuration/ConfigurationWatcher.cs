using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using QwenProxy.Storage;

namespace QwenProxy.Configuration;

/// <summary>
/// Notices that the configuration file, a key file or the set of credentials files changed, and loads again. It compares contents once a second
/// rather than wait for file system events: those are lost on network drives and bind mounts, and editors that save by renaming confuse them.
/// A change is taken up once it stood still for one look, so that half a save is never read. A bad edit changes nothing and is told once.
/// </summary>
internal sealed partial class ConfigurationWatcher : IDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly ConfigurationSources _sources;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly string _firstHost;
    private readonly int _firstPort;
    private readonly DatabaseAddress? _firstDatabase;
    private WatchedInputs _loaded;
    private WatchedInputs _lastSeen;
    private bool _isDisposed;

    /// <param name="sources">What the first result was loaded from.</param>
    /// <param name="loaded">The first result; it must hold a snapshot.</param>
    public ConfigurationWatcher(ConfigurationSources sources, ConfigurationResult loaded, TimeProvider time, ILogger logger)
    {
        Current = loaded.Snapshot ?? throw new ArgumentException("The first configuration must be a good one.", nameof(loaded));
        _sources = sources;
        _loaded = _lastSeen = loaded.Inputs;
        Values = loaded.Values;
        _logger = logger;
        (_firstHost, _firstPort, _firstDatabase) = (Current.Host, Current.Port, Current.Storage.Database);
        _timer = time.CreateTimer(_ => Look(), null, Interval, Interval);
    }

    /// <summary>Raised after each good reload, one at a time, on the timer's thread.</summary>
    public event Action<ProxySnapshot>? Changed;

    /// <summary>Raised when an edit was refused, with its faults, likewise.</summary>
    public event Action<ImmutableArray<string>>? Refused;

    /// <summary>The last good configuration.</summary>
    public ProxySnapshot Current { get; private set; }

    /// <summary>Where the values of <see cref="Current"/> came from.</summary>
    public IReadOnlyList<EffectiveValue> Values { get; private set; }

    /// <summary>Loads again now, whether anything looks changed or not, and says what came of it.</summary>
    public void LookAgain()
    {
        lock (_gate)
        {
            if (!_isDisposed) Try(Reload);
        }
    }

    public void Dispose()
    {
        lock (_gate) _isDisposed = true;
        _timer.Dispose();
    }

    private void Look()
    {
        // A slow disk may make one look longer than the interval; the next one then has nothing to add.
        if (!_gate.TryEnter()) return;
        try
        {
            if (_isDisposed) return;
            Try(() =>
            {
                WatchedInputs now = _loaded.Look();
                bool isSettled = now.IsSameAs(_lastSeen);
                _lastSeen = now;
                if (isSettled && !now.IsSameAs(_loaded)) Reload();
            });
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Try(Action look)
    {
        try
        {
            look();
        }
        catch (Exception e)
        {
            // On a timer's or a signal's thread an exception would end the process, and with it every stream that runs.
            LogFailed(_logger, e);
        }
    }

    private void Reload()
    {
        ConfigurationResult result = ConfigurationLoader.Load(_sources);
        if (result.Snapshot is not { } snapshot)
        {
            _loaded = _lastSeen = _loaded.And(result.Inputs);
            LogRefused(_logger, result.Faults.Count, string.Join("; ", result.Faults));
            Refused?.Invoke([.. result.Faults.Select(f => f.ToString())]);
            return;
        }

        _loaded = _lastSeen = result.Inputs;
        Values = result.Values;
        Current = snapshot;
        LogReloaded(_logger, result.ConfigFile ?? "environment", snapshot.Accounts.Length);
        if (snapshot.Host != _firstHost || snapshot.Port != _firstPort)
            LogNeedsRestart(_logger, snapshot.Host, snapshot.Port, _firstHost, _firstPort);
        if (!Equals(snapshot.Storage.Database, _firstDatabase)) LogDatabaseNeedsRestart(_logger, _firstDatabase?.Shown ?? "files");
        Changed?.Invoke(snapshot);
    }

    [LoggerMessage(EventId = 1101, Level = LogLevel.Information, Message = "Configuration loaded again from {Source}: {Accounts} accounts")]
    private static partial void LogReloaded(ILogger logger, string source, int accounts);

    [LoggerMessage(
        EventId = 1102,
        Level = LogLevel.Warning,
        Message = "The changed configuration has {Count} faults and is not used; the last good one stays in force. {Faults}")]
    private static partial void LogRefused(ILogger logger, int count, string faults);

    [LoggerMessage(
        EventId = 1103,
        Level = LogLevel.Warning,
        Message = "The configuration now says {Host}:{Port}; the proxy listens on {OldHost}:{OldPort} until it is restarted")]
    private static partial void LogNeedsRestart(ILogger logger, string host, int port, string oldHost, int oldPort);

    [LoggerMessage(EventId = 1105, Level = LogLevel.Warning, Message = "The configuration now names another storage.database; the proxy keeps to {Old} until it is restarted")]
    private static partial void LogDatabaseNeedsRestart(ILogger logger, string old);

    [LoggerMessage(EventId = 1104, Level = LogLevel.Error,
        Message = "The changed configuration could not be taken up; the last good one stays in force")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
