using System.Globalization;
using System.Net;
using System.Text;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>No byte in a header of either side, and no character in a model's name, costs an answer.</summary>
public sealed class HeaderTests
{
    private const string Answer = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    private static readonly string[] Dialects = [Dialect.Chat, Dialect.Messages, Dialect.Responses];

    [Theory]
    [InlineData("alias", "通义千问", "%E9%80%9A%E4%B9%89%E5%8D%83%E9%97%AE")]
    [InlineData("acc/通义", "通义", "%E9%80%9A%E4%B9%89")]
    [InlineData("café", null, null)]
    [InlineData("\\ud83d\\ude00-model", null, null)]
    public async Task ModelNameThatIsNotAscii_IsServed(string asked, string? served, string? header)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            new ProxySnapshot { Accounts = [RunningProxy.Account("acc", upstream.BaseUrl)], Models = new ModelsSnapshot { Aliases = [new("alias", "通义千问")] } });
        foreach (string dialect in Dialects)
        {
            foreach (bool stream in new[] { true, false })
            {
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream, asked), Dialect.Path(dialect));
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal(header, response.Headers.TryGetValues("x-qwen-proxy-model", out IEnumerable<string>? values) ? values.Single() : null);
                using System.Text.Json.JsonDocument sent = System.Text.Json.JsonDocument.Parse(upstream.Requests.Last().Body);
                if (served is not null) Assert.Equal(served, sent.RootElement.GetProperty("model").GetString());
            }
        }
    }

    [Theory]
    [InlineData("a\\u0000b")]
    [InlineData("a\\nb")]
    [InlineData("\\u001b[31mred")]
    [InlineData("\\u0085next")]
    public async Task ModelNameWithControlCharacters_IsTheClientsMistake(string model)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string path in Dialects.Select(Dialect.Path).Append("/v1/embeddings"))
        {
            string dialect = Dialects.FirstOrDefault(d => Dialect.Path(d) == path) ?? Dialect.Chat;
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: false, model), path);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }

        Assert.Empty(upstream.Requests);
    }

    [Theory]
    [InlineData("Grüße", "Gr??e")]
    [InlineData("ctl\u0001\u001b[31m\u007f", "ctl??[31m?")]
    [InlineData("plain/1.0", "plain/1.0")]
    public async Task ClientsHeader_IsCleanedOnItsWayUpstream(string agent, string upstreamSees)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string path in new[] { "/v1/chat/completions", "/v1/embeddings" })
        {
            RawResponse response = await SendAsync(proxy, path, Encoding.UTF8.GetBytes($"User-Agent: {agent}\r\nX-Stainless-OS: {agent}\r\nAccept: {agent}\r\n"));
            Assert.Contains(" 200 ", response.Head, StringComparison.Ordinal);
            Assert.Equal(upstreamSees, upstream.Requests.Last().Header("User-Agent"));
            Assert.Equal(upstreamSees, upstream.Requests.Last().Header("X-Stainless-OS"));
        }
    }

    [Fact]
    public async Task AccountsOwnHeadersAndKey_MayHoldAnyCharacter()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { ApiKey = new Secret("schlüssel"), Headers = [new("X-Name", "通义")] };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [account] });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task AnyByteInAnUpstreamsHeader_IsCleaned()
    {
        // Every byte but those that end a header or the value's edges.
        byte[] every = [.. Enumerable.Range(1, 255).Select(b => (byte)b).Where(b => b is not ((byte)'\r' or (byte)'\n'))];
        foreach (string name in new[] { "X-RateLimit-Odd", "x-dashscope-odd", "ETag", "Cache-Control", "Last-Modified", "Content-Language", "Content-Disposition", "X-Request-Id", "Retry-After", "X-Odd" })
        {
            await using RawUpstream upstream = new(async exchange =>
            {
                await exchange.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{name}: a");
                await exchange.SendAsync(every);
                await exchange.SendAsync($"b\r\nConnection: close\r\n\r\n{Answer}");
            });
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
            foreach (string path in Dialects.Select(Dialect.Path).Append("/v1/embeddings"))
            {
                string dialect = Dialects.FirstOrDefault(d => Dialect.Path(d) == path) ?? Dialect.Chat;
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), path);
                Assert.True(response.StatusCode == HttpStatusCode.OK, $"{name} at {path}: {response.StatusCode} {await response.Content.ReadAsStringAsync()}");
            }

            Assert.DoesNotContain(proxy.Log.Lines, l => l.Contains("fault of this proxy", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task AnyByteInAClientsHeader_IsSurvived()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string name in new[] { "User-Agent", "anthropic-beta", "traceparent", "x-qwen-proxy-repair", "x-qwen-proxy-resume", "session_id", "Accept-Language", "X-Title", "X-Odd" })
        {
            foreach (byte odd in new byte[] { 1, 9, 27, 127, 128, 200, 255 })
            {
                RawResponse response = await SendAsync(proxy, "/v1/chat/completions", [.. Encoding.ASCII.GetBytes(name + ": a"), odd, .. "b\r\n"u8]);
                Assert.True(response.Head.Contains(" 200 ", StringComparison.Ordinal), $"{name} with {odd}: {response.Head}");
            }
        }
    }

    private static async Task<RawResponse> SendAsync(RunningProxy proxy, string path, byte[] headers)
    {
        string body = Dialect.Body(Dialect.Chat, stream: true);
        string length = body.Length.ToString(CultureInfo.InvariantCulture);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync((byte[])[.. Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n"), .. headers, .. Encoding.ASCII.GetBytes("\r\n" + body)]);
        return await client.ReadToEndAsync();
    }
}
