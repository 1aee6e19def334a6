using System.Net;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Credentials;

/// <summary>One sign-in that several proxies share. The promises are the same whether they share it by a file or by a row.</summary>
public abstract class SharedSignInTests : IAsyncDisposable
{
    protected static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    private readonly List<TokenBroker> _brokers = [];
    private readonly OAuthHandler _handler;

    protected SharedSignInTests()
    {
        Server = new OAuthSimulator(TimeProvider.System, new OAuthSimulatorOptions { ResourceUrl = "portal.qwen.ai", ConfirmsAfterPolls = 1, IntervalSeconds = 1 });
        _handler = new OAuthHandler(Server);
        Http = new HttpMessageInvoker(_handler);
    }

    public OAuthSimulator Server { get; }

    protected HttpMessageInvoker Http { get; }

    [Fact]
    public async Task EightProxies_RefreshAnExpiredTokenOnce()
    {
        await KeepAsync(Issue(TimeSpan.FromSeconds(-1)));
        TokenBroker[] proxies = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ProxyAsync()));
        string[] tokens = await Task.WhenAll(proxies.Select(p => TokenAsync(p)));
        Assert.Single(tokens.Distinct());
        Assert.True(Server.Accepts(tokens[0]));
        Assert.Equal((1, 1, 0), (Server.RefreshCalls, Server.RefreshesGranted, Server.RefreshTokensReused));
        Assert.Equal(tokens[0], (await KeptAsync())!.AccessToken.Reveal());
    }

    [Fact]
    public async Task ThreeExpiries_AreThreeRefreshes()
    {
        Server.Options.Lifetime = TimeSpan.FromSeconds(6);
        await KeepAsync(Issue(TimeSpan.FromSeconds(-1)));
        TokenBroker[] proxies = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => ProxyAsync()));
        int asked = 0;
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task[] clients = [.. proxies.Select(p => Task.Run(async () =>
        {
            while (!end.IsCancellationRequested)
            {
                Assert.True(Server.Accepts(await TokenAsync(p)));
                Interlocked.Increment(ref asked);
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            }
        }))];
        await Until.TrueAsync(() => Server.RefreshesGranted >= 3, TimeSpan.FromSeconds(60));
        await end.CancelAsync();
        await Task.WhenAll(clients);
        Assert.Equal(0, Server.RefreshTokensReused);
        Assert.Equal(Server.RefreshCalls, Server.RefreshesGranted);
        Assert.InRange(asked, 20, int.MaxValue);
    }

    [Fact]
    public async Task NewLogin_IsTakenOverByAllWhoRun()
    {
        await KeepAsync(Issue(TimeSpan.FromHours(1)));
        TokenBroker[] proxies = await Task.WhenAll(ProxyAsync(), ProxyAsync());
        string before = await TokenAsync(proxies[0]);
        Assert.Equal(0, await LoginAsync());
        string now = (await KeptAsync())!.AccessToken.Reveal();
        Assert.NotEqual(before, now);
        foreach (TokenBroker proxy in proxies) await BecomesAsync(proxy, now);
    }

    [Fact]
    public async Task Logout_EndsItForAllWhoRun_AndASecondOneFindsNothing()
    {
        await KeepAsync(Issue(TimeSpan.FromHours(1)));
        TokenBroker[] proxies = await Task.WhenAll(ProxyAsync(), ProxyAsync());
        await TokenAsync(proxies[0]);
        Assert.Equal(0, await LogoutAsync());
        foreach (TokenBroker proxy in proxies) await Until.TrueAsync(() => proxy.State.Kind == CredentialStateKind.SignedOut, Soon);
        Assert.Contains("logout", proxies[0].State.Why, StringComparison.Ordinal);
        Assert.Equal(2, await LogoutAsync());
        Assert.Equal(0, await LoginAsync());
        foreach (TokenBroker proxy in proxies) await Until.TrueAsync(() => proxy.State.Kind == CredentialStateKind.Ready, Soon);
    }

    [Fact]
    public async Task RefusedRefresh_SignsOutAndWritesNothing()
    {
        QwenCredentials kept = Issue(TimeSpan.FromSeconds(-1));
        await KeepAsync(kept);
        Server.RevokeRefresh();
        TokenBroker proxy = await ProxyAsync();
        AccessTokenResult result = await proxy.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.True(result.IsSignedOut);
        Assert.Equal(kept.AccessToken, (await KeptAsync())!.AccessToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (TokenBroker broker in _brokers) await broker.DisposeAsync();
        await EndAsync();
        Http.Dispose();
        _handler.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Options of a proxy's broker for the shared place.</summary>
    private protected abstract Task<TokenBrokerOptions> ShareAsync();

    private protected abstract LoginOptions CommandOptions(LoginOptions options);

    private protected abstract Task KeepAsync(QwenCredentials credentials);

    private protected abstract Task<QwenCredentials?> KeptAsync();

    protected abstract ValueTask EndAsync();

    private protected QwenCredentials Issue(TimeSpan left)
    {
        (string access, string refresh) = Server.Issue();
        return new QwenCredentials
        {
            AccessToken = new Secret(access),
            RefreshToken = new Secret(refresh),
            ResourceUrl = "portal.qwen.ai",
            ExpiresAt = DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().Add(left).ToUnixTimeMilliseconds()),
        };
    }

    private protected async Task<TokenBroker> ProxyAsync()
    {
        TokenBroker broker = new(await ShareAsync(), Http, TimeProvider.System, new Random(7), NullLogger.Instance);
        broker.Start();
        lock (_brokers) _brokers.Add(broker);
        return broker;
    }

    private protected static async Task<string> TokenAsync(TokenBroker broker)
    {
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(TestContext.Current.CancellationToken);
        return result.Token?.Reveal() ?? throw new InvalidOperationException(result.Error!.Message);
    }

    private protected static async Task BecomesAsync(TokenBroker broker, string token)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (await TokenAsync(broker) != token)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Soon, "The new token was not taken over.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }
    }

    private Task<int> LoginAsync() => LoginCommand.RunAsync(Command(), TextWriter.Null, TextWriter.Null, CancellationToken.None);

    private Task<int> LogoutAsync() => LogoutCommand.RunAsync(Command(), TextWriter.Null, TextWriter.Null, CancellationToken.None);

    private LoginOptions Command() => CommandOptions(new LoginOptions { Name = "me", QwenHome = "", OAuthBaseUrl = new Uri("https://oauth.test"), OpensBrowser = false, Http = Http });

    /// <summary>The simulated server without sockets, by the real clock.</summary>
    private sealed class OAuthHandler(OAuthSimulator server) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Dictionary<string, string> form = [];
            foreach (string pair in (await request.Content!.ReadAsStringAsync(cancellationToken)).Split('&'))
            {
                string[] parts = pair.Split('=');
                form[Uri.UnescapeDataString(parts[0])] = Uri.UnescapeDataString(parts[1].Replace('+', ' '));
            }

            OAuthAnswer answer = server.Answer(request.RequestUri!.AbsolutePath == OAuthSimulatorEndpoints.DevicePath, form);
            await Task.Delay(answer.Delay > TimeSpan.Zero ? answer.Delay : TimeSpan.FromMilliseconds(30), TimeProvider.System, cancellationToken);
            if (answer.Resets) throw new HttpRequestException("connection reset");
            return new HttpResponseMessage((HttpStatusCode)answer.Status) { Content = new StringContent(answer.Body, Encoding.UTF8) };
        }
    }
}

public sealed class SharedFileTests : SharedSignInTests
{
    private readonly TemporaryFolder _folder = new();

    private CredentialsFile File => new(CredentialsPaths.For(_folder.Path, "me"), null, folderIsOurs: true, new DurableFiles(), TokenBrokerOptions.RandomId);

    private protected override Task<TokenBrokerOptions> ShareAsync() => Task.FromResult(new TokenBrokerOptions
    {
        AccountName = "me",
        CredentialsPath = CredentialsPaths.For(_folder.Path, "me"),
        OAuthBaseUrl = new Uri("https://oauth.test"),
        RequestBound = Soon,
    });

    private protected override LoginOptions CommandOptions(LoginOptions options) => options with { QwenHome = _folder.Path };

    private protected override Task KeepAsync(QwenCredentials credentials)
    {
        File.Save(credentials);
        return Task.CompletedTask;
    }

    private protected override Task<QwenCredentials?> KeptAsync() => Task.FromResult(File.Read().Credentials);

    protected override ValueTask EndAsync()
    {
        _folder.Dispose();
        return default;
    }
}
