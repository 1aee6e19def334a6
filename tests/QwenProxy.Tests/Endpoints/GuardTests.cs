using System.Globalization;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>What stands before every route: foreign hosts, foreign pages, paths that mean others, and methods that are nobody's.</summary>
public sealed class GuardTests
{
    private const string App = "https://app.example.com";
    private const string Answer = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    private static readonly string[] Routes =
    [
        "POST /v1/chat/completions", "POST /v1/messages", "POST /v1/messages/count_tokens", "POST /v1/responses", "GET /v1/responses/resp_1", "GET /v1/models", "GET /v1/models/m",
        "POST /v1/embeddings", "GET /v1/files", "DELETE /v1/files/f", "GET /metrics", "GET /", "GET /admin/status", "POST /admin/accounts/up/isolate", "GET /nothing",
    ];

    [Theory]
    [InlineData("Host: evil.example", "421")]
    [InlineData("Host: evil.example:PORT", "421")]
    [InlineData("Host: localhost.evil.example", "421")]
    [InlineData("Host: notlocalhost", "421")]
    [InlineData("Host: 127.0.0.1.evil.example", "421")]
    [InlineData("Host: ", "421")]
    [InlineData("Host: localhost:PORT\r\nOrigin: http://evil.example", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: http://localhost:1", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: http://127.0.0.1:PORT", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: https://localhost:PORT", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: null", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: http://localhost:PORT.evil.example", "403")]
    [InlineData("Host: localhost:PORT\r\nOrigin: file://", "403")]
    [InlineData("Host: 127.0.0.1:PORT\r\nSec-Fetch-Site: cross-site", "403")]
    [InlineData("Host: 127.0.0.1:PORT\r\nSec-Fetch-Site: same-site", "403")]
    public async Task ForeignHostOrPage_IsRefusedOnEveryRouteBeforeAnythingIsAsked(string headers, string status)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string route in Routes)
        {
            // As a form of a page would be sent: a body that needs no leave.
            RawResponse response = await AskAsync(proxy, route, headers + "\r\nContent-Type: text/plain");
            Assert.True(response.Head.Split(' ')[1] == status, $"{route}: {response.Head}");
            Assert.DoesNotContain("Access-Control-Allow-Origin", response.Head, StringComparison.OrdinalIgnoreCase);
            using JsonDocument body = JsonDocument.Parse(response.Body);
            string message = body.RootElement.GetProperty("error").GetProperty("message").GetString()!;
            if (headers.Contains("http://evil", StringComparison.Ordinal)) Assert.Contains("\"allowedOrigins\": [\"http://evil.example\"]", message, StringComparison.Ordinal);
            if (headers.StartsWith("Host: evil", StringComparison.Ordinal)) Assert.Contains("\"allowedHosts\": [\"evil.example\"]", message, StringComparison.Ordinal);
        }

        Assert.Empty(upstream.Requests);
        foreach (string route in new[] { "GET /healthz", "GET /readyz" }) Assert.Equal("200", Status(await AskAsync(proxy, route, headers)));
    }

    [Theory]
    [InlineData("Host: 127.0.0.1:PORT")]
    [InlineData("Host: [::1]:PORT")]
    [InlineData("Host: LOCALHOST:PORT")]
    [InlineData("Host: localhost.:PORT")]
    [InlineData("Host: qwen.localhost:PORT")]
    [InlineData("Host: 192.168.1.7")]
    [InlineData("Host: Proxy.Example.com")]
    [InlineData("Host: localhost:PORT\r\nOrigin: http://localhost:PORT\r\nSec-Fetch-Site: same-origin")]
    [InlineData("Host: 127.0.0.1:PORT\r\nOrigin: http://127.0.0.1:PORT")]
    [InlineData("Host: proxy.example.com\r\nX-Forwarded-Proto: https\r\nOrigin: https://proxy.example.com")]
    public async Task OwnNamesAndOwnPages_GoOn(string headers)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { AllowedHosts = ["proxy.example.com"] });
        foreach (string route in new[] { "POST /v1/chat/completions", "GET /v1/models", "POST /v1/embeddings", "GET /admin/status", "GET /metrics" })
        {
            Assert.Equal("200", Status(await AskAsync(proxy, route, headers)));
        }
    }

    [Fact]
    public async Task WithAClientKey_AnyHostWillDoButNoForeignPage()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Clients = [new ClientSnapshot("alice", new Secret("sk-alice-1"), IsAdmin: true)] });
        const string key = "\r\nAuthorization: Bearer sk-alice-1";
        foreach (string route in new[] { "POST /v1/chat/completions", "GET /v1/models", "GET /admin/status", "GET /metrics" })
        {
            Assert.Equal("200", Status(await AskAsync(proxy, route, "Host: proxy.example" + key)));
            Assert.Equal("403", Status(await AskAsync(proxy, route, "Host: proxy.example\r\nOrigin: http://evil.example" + key)));
            Assert.Equal("403", Status(await AskAsync(proxy, route, "Host: proxy.example\r\nSec-Fetch-Site: cross-site" + key)));
        }

        // This machine needs no key for the pages, so there the name counts as before.
        foreach (string route in new[] { "GET /", "GET /admin/status" }) Assert.Equal("421", Status(await AskAsync(proxy, route, "Host: evil.example")));
        Assert.Equal("401", Status(await AskAsync(proxy, "GET /metrics", "Host: evil.example")));
    }

    [Theory]
    [InlineData("POST /v1/messages", "anthropic-version, anthropic-beta, x-api-key, content-type, anthropic-dangerous-direct-browser-access")]
    [InlineData("POST /v1/chat/completions", "authorization,content-type,x-stainless-os")]
    [InlineData("GET /v1/models", "authorization")]
    [InlineData("DELETE /v1/files/f", "")]
    public async Task AllowedOrigin_IsAnsweredItsPreflightHereAndMayReadTheAnswer(string route, string wanted)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { AllowedOrigins = [App] });
        string path = route.Split(' ')[1];
        string preflight = $"Host: localhost:PORT\r\nOrigin: {App}\r\nSec-Fetch-Site: cross-site\r\nAccess-Control-Request-Method: {route.Split(' ')[0]}\r\nAccess-Control-Request-Private-Network: true"
            + (wanted.Length > 0 ? $"\r\nAccess-Control-Request-Headers: {wanted}" : "");
        RawResponse leave = await AskAsync(proxy, "OPTIONS " + path, preflight);
        Assert.Equal("204", Status(leave));
        Assert.Equal(App, leave.Header("Access-Control-Allow-Origin"));
        Assert.Contains(route.Split(' ')[0], leave.Header("Access-Control-Allow-Methods"), StringComparison.Ordinal);
        if (wanted.Length > 0) Assert.Equal(wanted, leave.Header("Access-Control-Allow-Headers"));
        Assert.Equal("true", leave.Header("Access-Control-Allow-Private-Network"));
        Assert.Null(leave.Header("Access-Control-Allow-Credentials"));
        Assert.Empty(upstream.Requests);
        RawResponse answer = await AskAsync(proxy, route, $"Host: localhost:PORT\r\nOrigin: {App}\r\nSec-Fetch-Site: cross-site");
        Assert.Equal("200", Status(answer));
        Assert.Equal(App, answer.Header("Access-Control-Allow-Origin"));
        Assert.Equal("Origin", answer.Header("Vary"));
        string exposed = answer.Header("Access-Control-Expose-Headers")!;
        foreach (string name in new[] { "x-request-id", "x-qwen-proxy-account", "x-qwen-proxy-attempts", "x-qwen-proxy-model" }) Assert.Contains(name, exposed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AllowedOrigin_ReadsRefusalsTooButNeverReachesTheAdminApi()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), s => s with { AllowedOrigins = [App], Clients = [new ClientSnapshot("a", new Secret("sk-alice-1"))] });
        RawResponse refused = await AskAsync(proxy, "POST /v1/chat/completions", $"Host: localhost:PORT\r\nOrigin: {App}");
        Assert.Equal("401", Status(refused));
        Assert.Equal(App, refused.Header("Access-Control-Allow-Origin"));
        foreach (string route in new[] { "GET /", "GET /admin/status", "POST /admin/accounts/up/isolate", "GET /metrics", "OPTIONS /admin/status" })
        {
            RawResponse response = await AskAsync(proxy, route, $"Host: localhost:PORT\r\nOrigin: {App}");
            Assert.Equal("403", Status(response));
            Assert.Null(response.Header("Access-Control-Allow-Origin"));
        }
    }

    [Theory]
    [InlineData("OPTIONS /v1/chat/completions", "", "204")]
    [InlineData("OPTIONS /v1/files", "", "204")]
    [InlineData("OPTIONS *", "", "204")]
    [InlineData("OPTIONS /v1/files", "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST", "403")]
    [InlineData("TRACE /v1/files", "", "405")]
    [InlineData("CONNECT evil.example:443", "", "405")]
    [InlineData("PROPFIND /v1/files", "", "405")]
    [InlineData("GET /v1/realtime?model=m", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "426")]
    [InlineData("GET /v1/responses", "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket", "426")]
    [InlineData("GET /v1/files", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "200")]
    public async Task OtherMethodsAndProtocols_EndHere(string route, string headers, string status)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string host = route.StartsWith("CONNECT", StringComparison.Ordinal) ? "Host: evil.example:443" : "Host: localhost:PORT";
        RawResponse response = await AskAsync(proxy, route, headers.Length == 0 ? host : $"{host}\r\n{headers}");
        if (route.StartsWith("CONNECT", StringComparison.Ordinal)) Assert.StartsWith("4", Status(response), StringComparison.Ordinal);
        else Assert.Equal(status, Status(response));
        if (status is "204" or "405" && Status(response) == status) Assert.NotNull(response.Header("Allow"));
        if (status == "200")
        {
            RawExchange asked = Assert.Single(upstream.Requests);
            Assert.Null(asked.Header("Upgrade"));
            Assert.Null(asked.Header("HTTP2-Settings"));
            return;
        }

        Assert.Empty(upstream.Requests);
    }

    [Theory]
    [InlineData("/v1/../admin/status")]
    [InlineData("/v1/%2e%2e/admin/status")]
    [InlineData("/v1/%2E./admin/status")]
    [InlineData("/v1/.%2e/.%2e/admin/status")]
    [InlineData("/v1/./chat/completions")]
    [InlineData("/v1/..")]
    [InlineData("/v1/x/..%2f..%2fadmin/status")]
    [InlineData("/v1/..%5cadmin")]
    [InlineData("/v1/%252e%252e/admin/status")]
    [InlineData("/v1/..;/admin/status")]
    [InlineData("/../v1/models")]
    [InlineData("http://localhost:PORT/v1/../admin/status")]
    public async Task DotSegments_AreRefused(string target)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        RawResponse response = await AskAsync(proxy, "GET " + target, "Host: localhost:PORT");
        Assert.Equal("400", Status(response));
        Assert.DoesNotContain("uptimeSeconds", response.Body, StringComparison.Ordinal);
        Assert.Empty(upstream.Requests);
    }

    [Theory]
    [InlineData("/v1/files/..hidden?path=/../x", "/v1/files/..hidden?path=/../x")]
    [InlineData("/v1/files/a.b%2fc", "/v1/files/a.b%2fc")]
    [InlineData("/v1/files/...", "/v1/files/...")]
    [InlineData("/v1/files/100%25", "/v1/files/100%25")]
    public async Task DotsInNames_AreNoSegments(string target, string upstreamSees)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        Assert.Equal("200", Status(await AskAsync(proxy, "GET " + target, "Host: localhost:PORT")));
        Assert.Contains(upstreamSees, Assert.Single(upstream.Requests).Head.Split("\r\n")[0], StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Refusals_AreLoggedOnceForEachNameAndBounded()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        for (int i = 0; i < 40; i++)
        {
            foreach (int _ in Enumerable.Range(0, 2)) await AskAsync(proxy, "GET /v1/models", $"Host: localhost\r\nOrigin: http://evil{i}.example");
        }

        Assert.Equal(32, proxy.Log.Lines.Count(l => l.Contains("allowedOrigins", StringComparison.Ordinal)));
    }

    private static string Status(RawResponse response) => response.Head.Split(' ')[1];

    private static async Task<RawResponse> AskAsync(RunningProxy proxy, string route, string headers)
    {
        string port = proxy.Server.Address.Port.ToString(CultureInfo.InvariantCulture);
        string dialect = route.Contains("/v1/messages", StringComparison.Ordinal) ? Dialect.Messages : route.Contains("/v1/responses", StringComparison.Ordinal) ? Dialect.Responses : Dialect.Chat;
        string body = route.StartsWith("POST", StringComparison.Ordinal) ? Dialect.Body(dialect, stream: true) : "";
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        string connection = headers.Contains("Connection:", StringComparison.Ordinal) ? "" : "Connection: close\r\n";
        await client.SendAsync($"{route} HTTP/1.1\r\n{headers}\r\n{connection}Content-Length: {body.Length}\r\n\r\n{body}".Replace("PORT", port, StringComparison.Ordinal));
        if (connection.Length > 0) return await client.ReadToEndAsync();
        return RawResponse.Parse(Encoding.Latin1.GetBytes(await client.ReadUntilAsync("\r\n\r\n")), fin: true);
    }
}
