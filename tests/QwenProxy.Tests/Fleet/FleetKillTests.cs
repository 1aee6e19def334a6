using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace QwenProxy.Tests.Fleet;

/// <summary>Replicas as processes of their own that are killed without a word.</summary>
public sealed class FleetKillTests(PostgresServer postgres) : IAsyncDisposable
{
    private const string SecretKey = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    private const int TokensOfAnAnswer = 50;

    private static readonly TimeSpan s_takeOver = TimeSpan.FromSeconds(50);

    private readonly TemporaryFolder _folder = new();
    private readonly ConcurrentDictionary<string, int> _tokensSeen = new();
    private readonly List<ProxyProcess> _processes = [];
    private string _url = "";
    private int _counted;
    private volatile TaskCompletionSource? _hold;

    [Fact]
    public async Task ReplicasKilledInMidRefreshAndMidStream_LoseNoLoginAndNoBudget()
    {
        OAuthSimulator oauth = new(TimeProvider.System, new OAuthSimulatorOptions());
        await using RawUpstream upstream = new(exchange => ServeAsync(exchange, oauth));
        await using OAuthSimulatorHost host = await OAuthSimulatorHost.StartAsync(oauth, TimeProvider.System, TestContext.Current.CancellationToken);
        oauth.Options.ResourceUrl = upstream.BaseUrl.GetLeftPart(UriPartial.Authority);
        oauth.Options.Lifetime = TimeSpan.FromMinutes(20);
        await using DatabaseLink database = await PrepareAsync(oauth);

        // Both see a token that is over; one of them goes to the sign-in server, which does not answer; both die.
        oauth.Stand(OAuthCall.Refresh, OAuthFault.Hung);
        Uri[] addresses = await Task.WhenAll(Start(database, host).AddressAsync(), Start(database, host).AddressAsync());
        await Until.TrueAsync(() => oauth.RefreshCalls > 0, TimeSpan.FromSeconds(30));
        foreach (ProxyProcess process in _processes) process.Signal("KILL");
        Assert.Equal(1, oauth.RefreshCalls);
        oauth.Stand(OAuthCall.Refresh, null);
        addresses = await Task.WhenAll(Start(database, host).AddressAsync(), Start(database, host).AddressAsync());
        using HttpClient client = new() { Timeout = TimeSpan.FromSeconds(90) };
        foreach (Uri address in addresses.Concat(addresses)) Assert.Equal(HttpStatusCode.OK, await AskAsync(client, address));
        Assert.Equal(1, oauth.RefreshesGranted);
        Assert.Single(_tokensSeen);

        // One is killed in the middle of an answer. The others go on, and what it may have spent stays booked.
        _hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<HttpStatusCode> broken = AskAsync(client, addresses[0]);
        await Until.TrueAsync(() => _counted == 5, TimeSpan.FromSeconds(20));
        _processes[2].Signal("KILL");
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => broken);
        _hold.SetResult();
        _hold = null;
        for (int i = 0; i < 10; i++) Assert.Equal(HttpStatusCode.OK, await AskAsync(client, addresses[1]));
        await Until.TrueAsync(async () => await NumberAsync("SELECT count(*) FROM qwen_proxy.replicas") == 1, s_takeOver);
        await Until.TrueAsync(async () => await NumberAsync("SELECT used + lost FROM qwen_proxy.limits WHERE key LIKE 'client:alice:tokens/%'") >= TokensOfAnAnswer * 15, s_takeOver);
        Assert.InRange(await NumberAsync("SELECT used FROM qwen_proxy.limits WHERE key LIKE 'client:alice:tokens/%'"), TokensOfAnAnswer * 10, TokensOfAnAnswer * 15);
        Assert.Single(_tokensSeen);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ProxyProcess process in _processes) process.Dispose();
        _folder.Dispose();
        await ValueTask.CompletedTask;
    }

    /// <summary>A database with a sign-in whose access token is over.</summary>
    private async Task<DatabaseLink> PrepareAsync(OAuthSimulator oauth)
    {
        _url = await postgres.NewDatabaseAsync();
        (string access, string refresh) = oauth.Issue();
        await using FleetDatabase database = new(PostgresServer.AddressOf(_url), TimeProvider.System, NullLogger.Instance);
        FleetCredentials credentials = new(database, SealingKeys.Parse(new Secret(SecretKey))!, TokenBrokerOptions.RandomId, TimeProvider.System, () => 0.5);
        DatabaseCredentials store = credentials.StoreOf("me");
        using LockAttempt turn = await store.AcquireAsync(() => false, CancellationToken.None);
        SaveResult saved = await store.SaveAsync(
            new QwenCredentials { AccessToken = new Secret(access), RefreshToken = new Secret(refresh), ResourceUrl = oauth.Options.ResourceUrl, ExpiresAt = TimeProvider.System.GetUtcNow().AddSeconds(-1) },
            CancellationToken.None);
        Assert.Null(saved.Fault);
        return new DatabaseLink(postgres, _url);
    }

    private ProxyProcess Start(DatabaseLink database, OAuthSimulatorHost host)
    {
        string home = _folder.Of($"home{_processes.Count}");
        Directory.CreateDirectory(home);
        File.WriteAllText(Path.Combine(home, "config.json"), """
            {
              "accounts": [{ "name": "me", "kind": "qwen-oauth" }],
              "clients": [{ "name": "alice", "key": "sk-of-alice-0123456789", "tokensPerDay": 1000000 }]
            }
            """);
        ProxyProcess process = ProxyProcess.Start(home, new Dictionary<string, string>
        {
            ["QWEN_PROXY_CONFIG"] = Path.Combine(home, "config.json"),
            ["QWEN_PROXY_DATA"] = Path.Combine(home, "data"),
            ["QWEN_PROXY_DATABASE"] = database.Url,
            ["QWEN_PROXY_SECRET_KEY"] = SecretKey,
            ["QWEN_OAUTH_BASE_URL"] = host.BaseUrl.AbsoluteUri,
            ["PORT"] = "0",
        }, "serve");
        _processes.Add(process);
        return process;
    }

    private async Task ServeAsync(RawExchange exchange, OAuthSimulator oauth)
    {
        string bearer = exchange.Header("Authorization")!["Bearer ".Length..];
        if (!oauth.Accepts(bearer))
        {
            await exchange.SendAsync(RawUpstream.Json(401, """{"error":{"message":"invalid access token","code":"invalid_access_token"}}"""));
            return;
        }

        _tokensSeen.AddOrUpdate(bearer, 1, (_, n) => n + 1);
        string answer = FleetWorld.Answer(TokensOfAnAnswer);
        int begin = answer.IndexOf("\n\n", StringComparison.Ordinal) + 2;
        await exchange.SendAsync(answer[..begin]);
        Interlocked.Increment(ref _counted);
        if (_hold is { } hold) await hold.Task;
        await exchange.SendAsync(answer[begin..]);
    }

    /// <summary>A replica that cannot refresh yet says so for a while, and never that the sign-in is over.</summary>
    private static async Task<HttpStatusCode> AskAsync(HttpClient client, Uri address)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using HttpRequestMessage request = new(HttpMethod.Post, new Uri(address, "/v1/chat/completions"))
            {
                Content = new StringContent("""{"model":"qwen3.7-plus","stream":true,"messages":[{"role":"user","content":"hello"}]}""", Encoding.UTF8, "application/json"),
            };
            request.Headers.Add("x-api-key", "sk-of-alice-0123456789");
            using HttpResponseMessage response = await client.SendAsync(request);
            bool isPassing = response.StatusCode is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable && response.Headers.RetryAfter is not null;
            if (!isPassing || TimeProvider.System.GetElapsedTime(began) > s_takeOver)
            {
                Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
                return response.StatusCode;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System);
        }
    }

    private async Task<long> NumberAsync(string sql) => Convert.ToInt64(await PostgresServer.ExecuteAsync(_url, sql), CultureInfo.InvariantCulture);
}
