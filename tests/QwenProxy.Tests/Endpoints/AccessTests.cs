using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Simulator;
using QwenProxy.Tests.Proxying;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>Who may ask what: client keys in each dialect, foreign hosts and origins, and which headers cross.</summary>
public sealed class AccessTests
{
    private const string Key = "sk-client-canary-1";

    [Theory]
    [InlineData("Authorization", "Bearer " + Key, true)]
    [InlineData("authorization", "bearer " + Key, true)]
    [InlineData("x-api-key", Key, true)]
    [InlineData("api-key", Key, true)]
    [InlineData("Authorization", "Bearer wrong", false)]
    [InlineData("Authorization", Key, false)]
    [InlineData("Authorization", "Bearer " + Key + "x", false)]
    [InlineData("x-api-key", "", false)]
    [InlineData("cookie", Key, false)]
    public async Task ClientKey_IsAskedForInEveryDialectAndNeverForwarded(string header, string value, bool lets)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, WithKey);
        foreach (string path in new[] { "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/messages/count_tokens", "/v1/embeddings", "/v1/models" })
        {
            using HttpRequestMessage request = new(path == "/v1/models" ? HttpMethod.Get : HttpMethod.Post, path);
            string dialect = path.StartsWith("/v1/messages", StringComparison.Ordinal) ? Dialect.Messages : path == "/v1/responses" ? Dialect.Responses : Dialect.Chat;
            if (request.Method == HttpMethod.Post) request.Content = RunningProxy.Json(Dialect.Body(dialect, stream: true));
            request.Headers.TryAddWithoutValidation(header, value);
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            string text = await response.Content.ReadAsStringAsync();
            Assert.True((lets ? HttpStatusCode.OK : HttpStatusCode.Unauthorized) == response.StatusCode, $"{path}: {(int)response.StatusCode} {text}");
            if (lets) continue;
            Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
            using JsonDocument json = JsonDocument.Parse(text);
            JsonElement error = json.RootElement.GetProperty("error");
            if (dialect == Dialect.Messages)
            {
                Assert.Equal("error", json.RootElement.GetProperty("type").GetString());
                Assert.Equal("authentication_error", error.GetProperty("type").GetString());
            }
            else Assert.Equal("invalid_api_key", error.GetProperty("code").GetString());
        }

        Assert.Equal(lets, !upstream.Requests.IsEmpty);
        Assert.All(upstream.Requests, r => Assert.DoesNotContain(Key, r.Head, StringComparison.Ordinal));
        Assert.DoesNotContain(proxy.Log.Lines, l => l.Contains(Key, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/healthz", 200)]
    [InlineData("/readyz", 200)]
    [InlineData("/metrics", 200)]
    [InlineData("/nothing", 404)]
    [InlineData("/chat/completions", 404)]
    public async Task Operations_NeedNoKeyFromThisMachine(string path, int status)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), WithKey);
        using HttpResponseMessage response = await proxy.Client.GetAsync(path);
        Assert.Equal(status, (int)response.StatusCode);
    }

    [Theory]
    [InlineData("Host: evil.example\r\n", "421")]
    [InlineData("Host: evil.example:80\r\n", "421")]
    [InlineData("Host: localhost\r\nOrigin: http://evil.example\r\n", "403")]
    [InlineData("Host: localhost\r\nOrigin: null\r\n", "403")]
    [InlineData("Host: 127.0.0.1\r\nOrigin: http://localhost:1\r\n", "403")]
    [InlineData("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "403")]
    [InlineData("Host: localhost\r\n", "200")]
    [InlineData("Host: 127.0.0.1:PORT\r\nOrigin: http://127.0.0.2:PORT\r\n", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: http://127.0.0.1:PORT\r\n", "403")]
    [InlineData("Host: localhost\r\nX-Forwarded-For: 10.0.0.1\r\n", "401")]
    [InlineData("Host: localhost\r\nForwarded: for=10.0.0.1\r\n", "401")]
    [InlineData("Host: 127.0.0.1:PORT\r\nOrigin: http://127.0.0.1:PORT\r\n", "200")]
    [InlineData("Host: [::1]:PORT\r\nOrigin: http://[::1]:PORT\r\n", "200")]
    public async Task ForeignHostOrOrigin_IsKeptOutOfTheAdminApi(string headers, string status)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        foreach (string request in new[] { "GET /admin/status", "POST /admin/accounts/up/isolate", "GET /admin/requests", "GET /admin/usage", "GET /" })
        {
            using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
            await client.SendAsync($"{request} HTTP/1.1\r\n{headers.Replace("PORT", proxy.Server.Address.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal)}Connection: close\r\nContent-Length: 0\r\n\r\n");
            RawResponse response = await client.ReadToEndAsync();
            Assert.True(response.Head.Split(' ')[1] == status, $"{request}: {response.Head}");
            // A foreign page gets the words of a refusal, not the dashboard.
            Assert.Equal(status == "200" && request == "GET /", response.Body.StartsWith("<!doctype html>", StringComparison.Ordinal));
        }

        Assert.Equal(status == "200", proxy.Runtime.Router.Pool.Export(DateTimeOffset.UnixEpoch).Breakers.Length > 0);
    }

    [Fact]
    public async Task Headers_CrossByAllowListOnly()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            "Set-Cookie: a=b\r\nServer: secret-build\r\nX-RateLimit-Remaining: 7\r\nX-Request-Id: up-77\r\nAccess-Control-Allow-Origin: *\r\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpRequestMessage request = new(HttpMethod.Post, Dialect.Path(dialect)) { Content = RunningProxy.Json(Dialect.Body(dialect, stream: true)) };
            (string Name, string Value)[] sent =
            [
                ("User-Agent", "QwenCode/0.9 (linux; x64)"), ("Cookie", "session=1"), ("Authorization", "Bearer client"), ("x-api-key", "client"), ("api-key", "client"),
                ("X-Forwarded-For", "10.0.0.1"), ("Forwarded", "for=10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("Referer", "http://localhost/x"), ("Proxy-Authorization", "Basic eA=="),
            ];
            foreach ((string name, string value) in sent) request.Headers.TryAddWithoutValidation(name, value);
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            await response.Content.ReadAsStringAsync();
            RawExchange seen = upstream.Requests.Last();
            Assert.Equal("QwenCode/0.9 (linux; x64)", seen.Header("user-agent"));
            Assert.Equal("Bearer key-of-up", seen.Header("authorization"));
            foreach ((string name, _) in sent.Where(h => h.Name is not ("User-Agent" or "Authorization"))) Assert.Null(seen.Header(name));
            Assert.False(response.Headers.Contains("Set-Cookie"));
            Assert.False(response.Headers.Contains("Server"));
            Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
            Assert.Equal("7", Assert.Single(response.Headers.GetValues("X-RateLimit-Remaining")));
            Assert.Equal("up-77", Assert.Single(response.Headers.GetValues("x-upstream-request-id")));
            Assert.StartsWith("req_", Assert.Single(response.Headers.GetValues("x-request-id")), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AccountHeaders_OverrideWhatTheProxyWouldSend()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { Headers = [new("User-Agent", "Mine/1"), new("X-Extra", "yes"), new("Authorization", "Basic mine")] };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [account] });
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)) };
        request.Headers.TryAddWithoutValidation("User-Agent", "Client/2");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.Equal("Mine/1", seen.Header("User-Agent"));
        Assert.Equal("yes", seen.Header("X-Extra"));
        Assert.Equal("Basic mine", seen.Header("Authorization"));
        Assert.Single(seen.Head.Split("\r\n"), l => l.StartsWith("User-Agent:", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(307)]
    public async Task Redirect_IsNotFollowed(int status)
    {
        await using SimulatorServer elsewhere = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RawUpstream upstream = RawUpstream.Always($"HTTP/1.1 {status} X\r\nLocation: {elsewhere.BaseUrl}/chat/completions\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        foreach (string path in new[] { "/v1/chat/completions", "/v1/embeddings" })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true), path);
            Assert.True((int)response.StatusCode >= 300);
            if (path == "/v1/chat/completions") Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        }

        Assert.Empty(elsewhere.Requests);
    }

    private static ProxySnapshot WithKey(ProxySnapshot s) => s with { Clients = [new ClientSnapshot("alice", new Secret(Key)), new ClientSnapshot("bob", new Secret("sk-other"))] };
}
