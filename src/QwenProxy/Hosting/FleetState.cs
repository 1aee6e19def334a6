using System.Buffers;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Clients;
using QwenProxy.Credentials;
using QwenProxy.Storage;

namespace QwenProxy.Hosting;

/// <summary>
/// What this replica knows of its fleet, each part read again when the database says so. Client keys are copied to a file of the data folder, from which
/// they are taken up like any other: a replica that starts while the database is away knows them too.
/// </summary>
internal sealed partial class FleetState : IAsyncDisposable
{
    /// <summary>How long a start waits for the database. Without it the replica begins with what it knows.</summary>
    private static readonly TimeSpan s_patienceAtStart = TimeSpan.FromSeconds(5);

    private readonly string _dataFolder;
    private readonly FleetKeys _keys;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource _keysAreRead = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private FleetState(FleetDatabase database, FleetCredentials? credentials, string dataFolder, ILogger logger)
    {
        Database = database;
        Credentials = credentials;
        _dataFolder = dataFolder;
        _logger = logger;
        _keys = new FleetKeys(database);
        database.Notices.Watch(FleetKeys.Topic, CopyKeysAsync);
        if (credentials is not null) database.Notices.Watch(FleetCredentials.Topic, ReadCredentialsAsync);
    }

    /// <summary>Raised when the accounts that have a sign-in may be others now.</summary>
    public event Action? AccountsChanged;

    public FleetDatabase Database { get; }

    /// <summary>Null without <c>storage.secretKey</c>: then no account signs in here.</summary>
    public FleetCredentials? Credentials { get; }

    /// <summary>Null on one machine.</summary>
    public static FleetState? Of(StorageSnapshot storage, TimeProvider time, Random random, ILogger logger)
    {
        if (storage.Database is not { } address) return null;
        FleetDatabase database = new(address, time, logger);
        return new FleetState(database, storage.SecretKeys is { } keys ? new FleetCredentials(database, keys, TokenBrokerOptions.RandomId, time, Chance) : null, storage.DataFolder, logger);

        double Chance()
        {
            lock (random) return random.NextDouble();
        }
    }

    /// <summary>Begins to listen, and waits a little for the first readings.</summary>
    public async Task StartAsync(CancellationToken stop)
    {
        Database.Notices.Start();
        Task first = Task.WhenAll(_keysAreRead.Task, Credentials?.FirstReading ?? Task.CompletedTask);
        await first.WaitAsync(s_patienceAtStart, TimeProvider.System, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>The configuration with the accounts that sign-ins in the database make, for a user who wrote none. After those that variables made.</summary>
    public ProxySnapshot WithSignedIn(ProxySnapshot snapshot)
    {
        if (!snapshot.AccountsWereDiscovered || Credentials is null) return snapshot;
        ImmutableArray<AccountSnapshot> accounts = snapshot.Accounts;
        foreach (string name in Credentials.Accounts.Where(n => !accounts.Any(a => a.Name.Equals(n, StringComparison.OrdinalIgnoreCase))).ToArray())
            accounts = accounts.Add(new AccountSnapshot { Name = name, Kind = AccountKind.QwenOAuth, Profile = Profiles.QwenPortal, Priority = accounts.Length });
        return snapshot with { Accounts = accounts };
    }

    public ValueTask DisposeAsync() => Database.DisposeAsync();

    private async Task ReadCredentialsAsync(CancellationToken stop)
    {
        ImmutableArray<string> before = Credentials!.Accounts;
        await Credentials.ReadAsync(stop);
        if (!Credentials.Accounts.SequenceEqual(before)) AccountsChanged?.Invoke();
    }

    private async Task CopyKeysAsync(CancellationToken stop)
    {
        KeyRing ring = await _keys.ReadAsync(stop);
        if (_dataFolder.Length > 0) Copy(ring);
        _keysAreRead.TrySetResult();
    }

    private void Copy(KeyRing ring)
    {
        string path = Path.Combine(_dataFolder, KeyFile.FleetName);
        ArrayBufferWriter<byte> json = new();
        KeyRingJson.Write(ring, json);
        try
        {
            DurableFiles disk = new();
            disk.EnsureFolder(_dataFolder, ours: true);
            // Replicas of one machine may share the folder.
            string temporary = $"{path}.{TokenBrokerOptions.RandomId()}.tmp";
            disk.WriteNew(temporary, json.WrittenSpan);
            disk.Replace(temporary, path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LogNotCopied(_logger, path, failure.Message);
            throw;
        }
    }

    [LoggerMessage(EventId = 4010, Level = LogLevel.Error, Message = "Client keys of the fleet cannot be copied to {Path}, and changes do not take effect here: {Problem}")]
    private static partial void LogNotCopied(ILogger logger, string path, string problem);
}
