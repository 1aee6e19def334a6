using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Credentials;

/// <summary>The promises of a shared sign-in on a row, and what only a row has: seals, leases with a fence, and a database that goes away.</summary>
public sealed class SharedRowTests(PostgresServer postgres) : SharedSignInTests
{
    private static readonly SealingKeys s_keys = SealingKeys.Parse(new Secret(Convert.ToBase64String(Enumerable.Repeat((byte)1, 32).ToArray())))!;

    private readonly List<FleetDatabase> _databases = [];
    private readonly ListLogger _log = new();
    private string? _url;

    [Fact]
    public async Task TokensInTheDatabase_AreSealed()
    {
        QwenCredentials kept = Issue(TimeSpan.FromHours(1));
        await KeepAsync(kept);
        string row = (string)(await PostgresServer.ExecuteAsync(_url!, "SELECT (c.*)::text || encode(sealed, 'escape') FROM qwen_proxy.credentials c"))!;
        Assert.DoesNotContain(kept.AccessToken.Reveal(), row, StringComparison.Ordinal);
        Assert.DoesNotContain(kept.RefreshToken!.Reveal(), row, StringComparison.Ordinal);
        SealingKeys other = SealingKeys.Parse(new Secret(Convert.ToBase64String(new byte[32])))!;
        FleetCredentials stranger = await JoinAsync(_url!, other);
        CredentialsReading reading = stranger.StoreOf("me").Read();
        Assert.Null(reading.Credentials);
        Assert.Contains("which storage.secretKey does not hold", reading.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReplicaThatLostItsLease_WritesNothing()
    {
        await KeepAsync(Issue(TimeSpan.FromHours(1)));
        DatabaseCredentials first = (await JoinAsync(_url!)).StoreOf("me");
        DatabaseCredentials second = (await JoinAsync(_url!)).StoreOf("me");
        using LockAttempt held = await first.AcquireAsync(() => false, CancellationToken.None);
        await PostgresServer.ExecuteAsync(_url!, "UPDATE qwen_proxy.credentials SET lease_until = now() - interval '1 hour'");
        QwenCredentials newer = Issue(TimeSpan.FromHours(1));
        using (LockAttempt taken = await second.AcquireAsync(() => false, CancellationToken.None))
        {
            Assert.Equal(LockOutcome.Held, taken.Outcome);
            Assert.Equal("another replica has taken over the lease", (await first.SaveAsync(Issue(TimeSpan.FromHours(1)), CancellationToken.None)).Fault);
            Assert.Null((await second.SaveAsync(newer, CancellationToken.None)).Fault);
        }

        Assert.Equal("another replica has taken over the lease", (await first.SaveAsync(Issue(TimeSpan.FromHours(1)), CancellationToken.None)).Fault);
        Assert.Equal(newer.AccessToken, (await KeptAsync())!.AccessToken);
    }

    [Fact]
    public async Task ReplicaThatDiedWithALease_IsWaitedForUntilTheLeaseEnds()
    {
        await KeepAsync(Issue(TimeSpan.FromHours(1)));
        await using DatabaseLink link = new(postgres, _url!);
        DatabaseCredentials dead = (await JoinAsync(link.Url)).StoreOf("me");
        await dead.AcquireAsync(() => false, CancellationToken.None);
        link.Cut();
        await PostgresServer.ExecuteAsync(_url!, "UPDATE qwen_proxy.credentials SET lease_until = now() + interval '2 seconds'");
        DatabaseCredentials heir = (await JoinAsync(_url!)).StoreOf("me");
        long began = TimeProvider.System.GetTimestamp();
        using LockAttempt taken = await heir.AcquireAsync(() => false, CancellationToken.None);
        Assert.Equal(LockOutcome.Held, taken.Outcome);
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.FromSeconds(1), Soon);
    }

    /// <summary>One that stood still for longer than its lease has used the refresh token; the heir's refusal is no end of the sign-in, and no 401.</summary>
    [Fact]
    public async Task RefusalAfterATurnThatWasTakenOver_IsNotBelievedUntilTheFirstHasCome()
    {
        QwenCredentials kept = Issue(TimeSpan.FromSeconds(-1));
        await KeepAsync(kept);
        DatabaseCredentials first = (await JoinAsync(_url!)).StoreOf("me");
        using LockAttempt held = await first.AcquireAsync(() => false, CancellationToken.None);
        OAuthReply granted = await new OAuthClient(new Uri("https://chat.qwen.ai"), Http, TimeProvider.System, () => "id").RefreshAsync(kept.RefreshToken!, CancellationToken.None);
        await PostgresServer.ExecuteAsync(_url!, "UPDATE qwen_proxy.credentials SET lease_until = now() - interval '1 hour'");
        await using TokenBroker heir = await ProxyAsync();
        AccessTokenResult refused = await heir.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal((false, 502), (refused.IsSignedOut, refused.Error!.Status));
        Assert.Contains("may still come with new tokens", refused.Error.Message, StringComparison.Ordinal);
        using (LockAttempt again = await first.AcquireAsync(() => false, CancellationToken.None))
            Assert.Null((await first.SaveAsync(QwenCredentials.After(granted.Grant!, kept, TimeProvider.System.GetUtcNow()), CancellationToken.None)).Fault);
        await Until.TrueAsync(() => heir.State.CanServe, Soon);
        Assert.Equal(granted.Grant!.AccessToken.Reveal(), await TokenAsync(heir));
    }

    [Fact]
    public async Task SignInThatCouldNotBeReadYet_IsWaitedForAndNotToldToBeOver()
    {
        QwenCredentials kept = Issue(TimeSpan.FromHours(1));
        await KeepAsync(kept);
        FleetDatabase database = Database(_url!);
        FleetCredentials unread = new(database, s_keys, TokenBrokerOptions.RandomId, TimeProvider.System, static () => 0.5);
        TokenBrokerOptions options = new() { AccountName = "me", Store = unread.StoreOf("me"), OAuthBaseUrl = new Uri("https://oauth.test"), RequestBound = TimeSpan.FromSeconds(1) };
        await using TokenBroker proxy = Proxy(options);
        AccessTokenResult early = await proxy.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal((false, 503), (early.IsSignedOut, early.Error!.Status));
        Assert.NotNull(early.Error.RetryAfter);
        Assert.NotEqual(CredentialStateKind.SignedOut, proxy.State.Kind);
        Task<AccessTokenResult> waiting = proxy.GetValidAccessTokenAsync(CancellationToken.None).AsTask();
        await unread.ReadAsync(CancellationToken.None);
        Assert.True((await waiting).Error is null or { Status: 503 });
        Assert.Equal(kept.AccessToken.Reveal(), await TokenAsync(proxy));
    }

    [Fact]
    public async Task LeaseOfAHolderThatWorks_DoesNotEnd()
    {
        await KeepAsync(Issue(TimeSpan.FromHours(1)));
        DatabaseCredentials worker = (await JoinAsync(_url!)).StoreOf("me");
        DatabaseCredentials other = (await JoinAsync(_url!)).StoreOf("me");
        using LockAttempt held = await worker.AcquireAsync(() => false, CancellationToken.None);
        await PostgresServer.ExecuteAsync(_url!, "UPDATE qwen_proxy.credentials SET lease_until = now() + interval '5 seconds'");
        long began = TimeProvider.System.GetTimestamp();
        // Longer than what was left of it: only a renewal kept it.
        using LockAttempt refused = await other.AcquireAsync(() => TimeProvider.System.GetElapsedTime(began) > TimeSpan.FromSeconds(8), CancellationToken.None);
        Assert.Equal(LockOutcome.NotNeeded, refused.Outcome);
        Assert.Null((await worker.SaveAsync(Issue(TimeSpan.FromHours(1)), CancellationToken.None)).Fault);
    }

    [Fact]
    public async Task DatabaseAway_TokenInHandServesToItsEnd_AndNobodyRefreshes()
    {
        Server.Options.Lifetime = TimeSpan.FromSeconds(20);
        await KeepAsync(Issue(TimeSpan.FromSeconds(20)));
        await using DatabaseLink link = new(postgres, _url!);
        TokenBrokerOptions options = await OptionsAsync(link.Url);
        link.Cut();
        await using TokenBroker proxy = Proxy(options);
        string token = await TokenAsync(proxy);
        await Until.TrueAsync(() => proxy.State.Kind == CredentialStateKind.Expired, Soon);
        Assert.Equal(0, Server.RefreshCalls);
        AccessTokenResult over = await proxy.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.False(over.IsSignedOut);
        Assert.NotNull(over.Error);
        link.Mend();
        await Until.TrueAsync(() => proxy.State.CanServe, Soon);
        Assert.NotEqual(token, await TokenAsync(proxy));
        Assert.Equal((1, 0), (Server.RefreshesGranted, Server.RefreshTokensReused));
    }

    [Fact]
    public async Task DatabaseThatGoesAwayInMidRefresh_LosesNoLogin()
    {
        await KeepAsync(Issue(TimeSpan.FromSeconds(-1)));
        await using DatabaseLink link = new(postgres, _url!);
        TokenBrokerOptions[] options = [await OptionsAsync(link.Url), await OptionsAsync(link.Url)];
        Server.RefreshDecided = _ => link.Cut();
        Server.Plan(OAuthCall.Refresh, OAuthFault.Slow(TimeSpan.FromMilliseconds(300)));
        await using TokenBroker proxy = Proxy(options[0]);
        await using TokenBroker other = Proxy(options[1]);
        Task<AccessTokenResult>[] asked = [proxy.GetValidAccessTokenAsync(CancellationToken.None).AsTask(), other.GetValidAccessTokenAsync(CancellationToken.None).AsTask()];
        await Until.TrueAsync(() => proxy.State.IsUnsaved || other.State.IsUnsaved, Soon);
        Server.RefreshDecided = null;
        link.Mend();
        await Until.TrueAsync(() => !proxy.State.IsUnsaved && !other.State.IsUnsaved && proxy.State.CanServe && other.State.CanServe, TimeSpan.FromSeconds(60));
        await Task.WhenAll(asked);
        Assert.Equal((1, 0), (Server.RefreshesGranted, Server.RefreshTokensReused));
        string kept = (await KeptAsync())!.AccessToken.Reveal();
        Assert.True(Server.Accepts(kept));
        Assert.Equal((kept, kept), (await TokenAsync(proxy), await TokenAsync(other)));
    }

    private protected override async Task<TokenBrokerOptions> ShareAsync() => await OptionsAsync(await UrlAsync());

    private protected override LoginOptions CommandOptions(LoginOptions options)
    {
        FleetDatabase database = Database(_url!);
        FleetCredentials fleet = new(database, s_keys, TokenBrokerOptions.RandomId, TimeProvider.System, static () => 0.5);
        return options with { Store = fleet.StoreOf("me") };
    }

    private protected override async Task KeepAsync(QwenCredentials credentials)
    {
        DatabaseCredentials store = (await JoinAsync(await UrlAsync())).StoreOf("me");
        using LockAttempt attempt = await store.AcquireAsync(() => false, CancellationToken.None);
        Assert.Null((await store.SaveAsync(credentials, CancellationToken.None)).Fault);
    }

    private protected override async Task<QwenCredentials?> KeptAsync() => (await JoinAsync(await UrlAsync())).StoreOf("me").Read().Credentials;

    protected override async ValueTask EndAsync()
    {
        foreach (FleetDatabase database in _databases) await database.DisposeAsync();
    }

    private TokenBroker Proxy(TokenBrokerOptions options)
    {
        TokenBroker broker = new(options, Http, TimeProvider.System, new Random(7), _log);
        broker.Start();
        return broker;
    }

    private async Task<TokenBrokerOptions> OptionsAsync(string url) => new()
    {
        AccountName = "me",
        Store = (await JoinAsync(url)).StoreOf("me"),
        OAuthBaseUrl = new Uri("https://oauth.test"),
        RequestBound = Soon,
    };

    private async Task<FleetCredentials> JoinAsync(string url, SealingKeys? keys = null)
    {
        FleetDatabase database = Database(url);
        FleetCredentials fleet = new(database, keys ?? s_keys, TokenBrokerOptions.RandomId, TimeProvider.System, static () => 0.5);
        database.Notices.Watch(FleetCredentials.Topic, fleet.ReadAsync);
        database.Notices.Start();
        await fleet.FirstReading;
        return fleet;
    }

    private FleetDatabase Database(string url)
    {
        FleetDatabase database = new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance);
        lock (_databases) _databases.Add(database);
        return database;
    }

    private async Task<string> UrlAsync() => _url ??= await postgres.NewDatabaseAsync();
}
