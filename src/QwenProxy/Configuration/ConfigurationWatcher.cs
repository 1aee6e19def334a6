using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;

namespace QwenProxy.Configuration;

/// <summary>
/// Notices that the configuration file, a key file or the set of credentials files changed, and loads again. It compares contents once a second
/// rather than wait for file system events: those are lost on network drives and bind mounts, and editors that save by renaming confuse them.
/// A change is taken up once it stood still for one look, so that half a save is never read. A bad edit changes nothing and is told once.
/// </summary>
internal sealed partial class ConfigurationWatcher : IDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>What is larger than this is no configuration; its size stands for its content.</summary>
    private const long LargestHashedBytes = 4 * 1024 * 1024;

    private readonly ConfigurationSources _sources;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly string _firstHost;
    private readonly int _firstPort;
    private ConfigurationResult _watched;
    private string _loadedPrint;
    private string _lastPrint;
    private bool _isDisposed;

    /// <param name="sources">What the first result was loaded from.</param>
    /// <param name="loaded">The first result; it must hold a snapshot.</param>
    public ConfigurationWatcher(ConfigurationSources sources, ConfigurationResult loaded, TimeProvider time, ILogger logger)
    {
        Current = loaded.Snapshot ?? throw new ArgumentException("The first configuration must be a good one.", nameof(loaded));
        _sources = sources;
        _watched = loaded;
        _logger = logger;
        (_firstHost, _firstPort) = (Current.Host, Current.Port);
        _loadedPrint = _lastPrint = Fingerprint(loaded);
        _timer = time.CreateTimer(_ => Look(), null, Interval, Interval);
    }

    /// <summary>Raised after each good reload, one at a time, on the timer's thread.</summary>
    public event Action<ProxySnapshot>? Changed;

    /// <summary>The last good configuration.</summary>
    public ProxySnapshot Current { get; private set; }

    /// <summary>Where the values of <see cref="Current"/> came from.</summary>
    public IReadOnlyList<EffectiveValue> Values => _watched.Values;

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
            string print = Fingerprint(_watched);
            bool isSettled = print == _lastPrint;
            _lastPrint = print;
            if (isSettled && print != _loadedPrint) Reload(print);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Reload(string print)
    {
        ConfigurationResult result = ConfigurationLoader.Load(_sources);
        if (result.Snapshot is not { } snapshot)
        {
            // Watch on what decided this attempt too: the edit may name a key file that will appear.
            _watched = _watched with { WatchedFiles = [.. _watched.WatchedFiles.Union(result.WatchedFiles)] };
            _loadedPrint = _lastPrint = _watched.WatchedFiles.Count == result.WatchedFiles.Count ? print : Fingerprint(_watched);
            LogRefused(_logger, result.Faults.Count, string.Join("; ", result.Faults));
            return;
        }

        _watched = result;
        _loadedPrint = _lastPrint = Fingerprint(result);
        Current = snapshot;
        LogReloaded(_logger, result.ConfigFile ?? "environment", snapshot.Accounts.Length);
        if (snapshot.Host != _firstHost || snapshot.Port != _firstPort)
            LogNeedsRestart(_logger, snapshot.Host, snapshot.Port, _firstHost, _firstPort);
        Changed?.Invoke(snapshot);
    }

    private static string Fingerprint(ConfigurationResult result)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in result.WatchedFiles)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(file));
            hash.AppendData(Content(file));
        }

        foreach (string name in CredentialsFiles(result.WatchedCredentialsFolder)) hash.AppendData(Encoding.UTF8.GetBytes("\0" + name));
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    /// <summary>The hash of a file's content; a fixed mark for a file that is not there or cannot be read.</summary>
    private static byte[] Content(string file)
    {
        try
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return stream.Length > LargestHashedBytes ? BitConverter.GetBytes(stream.Length) : SHA256.HashData(stream);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [e is FileNotFoundException or DirectoryNotFoundException ? (byte)0 : (byte)1];
        }
    }

    /// <summary>Only their names: what is inside is the business of whoever signs in, and changes with every refresh.</summary>
    private static IEnumerable<string> CredentialsFiles(string? folder)
    {
        if (folder is null || !Directory.Exists(folder)) return [];
        string[] single = [DiscoveredAccounts.OwnCredentials, DiscoveredAccounts.QwenCodeCredentials];
        return single.Select(name => Path.Combine(folder, name)).Where(File.Exists)
            .Concat(Directory.EnumerateFiles(folder, DiscoveredAccounts.NamedCredentialsPattern).Order(StringComparer.Ordinal));
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
}
