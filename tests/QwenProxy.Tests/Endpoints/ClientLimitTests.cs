using System.Globalization;
using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Clients;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>What a client's key allows, in each dialect, and what the client reads about it.</summary>
public sealed class ClientLimitTests
{
    private const string Key = "sk-alice";
    private const string Answer = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n"
        + "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task RequestsPerMinute_AreRefusedInTheDialectWithTheTrueWait(string dialect, bool stream)
    {
        FakeClock clock = new();
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { RequestsPerMinute = 2 }, clock);
        for (int i = 1; i >= 0; i--)
        {
            using HttpResponseMessage good = await AskAsync(proxy, dialect, stream);
            Assert.Equal(HttpStatusCode.OK, good.StatusCode);
            Assert.Equal(["2", i.ToString(CultureInfo.InvariantCulture), "1m0s"], Limits(good, "requests"));
            Assert.Equal(dialect == Dialect.Messages, good.Headers.Contains("anthropic-ratelimit-requests-remaining"));
            await good.Content.ReadAsStringAsync();
            clock.Advance(TimeSpan.FromSeconds(20));
        }

        using HttpResponseMessage refused = await AskAsync(proxy, dialect, stream);
        await AssertRefusedAsync(refused, dialect, 429, "client_limit", "requestsPerMinute");
        Assert.Equal(TimeSpan.FromSeconds(20), refused.Headers.RetryAfter!.Delta);
        Assert.Equal(["2", "0", "40s"], Limits(refused, "requests"));
        if (dialect == Dialect.Messages) Assert.Equal("2026-01-01T00:01:20Z", Assert.Single(refused.Headers.GetValues("anthropic-ratelimit-requests-reset")));
        Assert.Equal(2, upstream.Requests.Count);
        clock.Advance(TimeSpan.FromSeconds(20));
        using HttpResponseMessage again = await AskAsync(proxy, dialect, stream);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Dialect.All), MemberType = typeof(Dialect))]
    public async Task TokensPerDay_AreBookedAsUpstreamCountsThem(string dialect)
    {
        FakeClock clock = new();
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { TokensPerDay = 84 }, clock);
        for (int i = 0; i < 2; i++)
        {
            using HttpResponseMessage good = await AskAsync(proxy, dialect, stream: i == 0);
            Assert.Equal(HttpStatusCode.OK, good.StatusCode);
            await good.Content.ReadAsStringAsync();
        }

        using HttpResponseMessage refused = await AskAsync(proxy, dialect, stream: true);
        await AssertRefusedAsync(refused, dialect, 429, "client_limit", "tokensPerDay");
        Assert.Equal(["84", "0"], Limits(refused, "tokens")[..2]);
        DateTimeOffset local = clock.GetLocalNow();
        Assert.Equal(local.Date.AddDays(1) - local.DateTime, refused.Headers.RetryAfter!.Delta);
    }

    [Fact]
    public async Task CutAndFailover_BookWhatWasCountedInTheEnd()
    {
        int calls = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            // Text and then a cut: the second answer repeats it and is the one that is counted.
            if (Interlocked.Increment(ref calls) == 1) await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n"));
            else await exchange.SendAsync(RawUpstream.Sse(Answer));
        });
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { TokensPerDay = 42 });
        using HttpResponseMessage good = await AskAsync(proxy, Dialect.Chat, stream: true);
        (string text, bool orderly) = await RunningProxy.ReadAsync(good);
        Assert.True(orderly && text.Contains("[DONE]", StringComparison.Ordinal), text);
        using HttpResponseMessage refused = await AskAsync(proxy, Dialect.Chat, stream: true);
        await AssertRefusedAsync(refused, Dialect.Chat, 429, "client_limit", "tokensPerDay");
        Assert.Equal(2, calls);
    }

    [Fact]
    public async Task FailedRequest_CostsNothing()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(400, """{"error":{"message":"no"}}"""));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { TokensPerDay = 1, Concurrent = 1 });
        for (int i = 0; i < 5; i++)
        {
            using HttpResponseMessage response = await AskAsync(proxy, Dialect.Chat, stream: true);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }
    }

    [Theory]
    [MemberData(nameof(Dialect.All), MemberType = typeof(Dialect))]
    public async Task Concurrent_IsHeldWhileAnAnswerRunsAndLetGoWithIt(string dialect)
    {
        TaskCompletionSource open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await open.Task;
            await exchange.SendAsync(RawUpstream.Sse(Answer));
        });
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Concurrent = 1 });
        Task<HttpResponseMessage> first = AskAsync(proxy, dialect, stream: true);
        await Until.TrueAsync(() => !upstream.Requests.IsEmpty, TimeSpan.FromSeconds(30));
        using (HttpResponseMessage refused = await AskAsync(proxy, dialect, stream: true)) await AssertRefusedAsync(refused, dialect, 429, "client_limit", "concurrent");
        open.SetResult();
        using (HttpResponseMessage good = await first) await good.Content.ReadAsStringAsync();
        using HttpResponseMessage next = await AskAsync(proxy, dialect, stream: true);
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Dialect.All), MemberType = typeof(Dialect))]
    public async Task OtherModel_Is403ThatListsTheAllowed(string dialect)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Models = ["qwen3.7-*", "up/one"] });
        using HttpResponseMessage refused = await AskAsync(proxy, dialect, stream: true, model: "gpt-9");
        string text = await AssertRefusedAsync(refused, dialect, 403, "model_not_allowed", "model");
        Assert.Contains("qwen3.7-*, up/one", text, StringComparison.Ordinal);
        Assert.Empty(upstream.Requests);
        foreach (string allowed in new[] { "qwen3.7-plus", "up/one", "up/qwen3.7-max", "mine" })
        {
            using HttpResponseMessage good = await AskAsync(proxy, dialect, stream: true, model: allowed);
            Assert.Equal(HttpStatusCode.OK, good.StatusCode);
        }
    }

    [Theory]
    [InlineData("""{"model":"gpt-9","input":"x"}""", 403)]
    [InlineData("""{"input":"x"}""", 403)]
    [InlineData("no json", 403)]
    [InlineData("""{"model":"qwen3.7-plus","model":"gpt-9"}""", 400)]
    [InlineData("""{"model":"qwen3.7-plus","mod\u0065l":"gpt-9"}""", 400)]
    [InlineData("""{"model":"qwen3.7-plus","input":"x"}""", 200)]
    public async Task ForwardedRequest_IsForTheAllowedModelsToo(string body, int status)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Models = ["qwen3.7-*"] });
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/embeddings") { Content = RunningProxy.Json(body) };
        request.Headers.Add("x-api-key", Key);
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(status == 200 ? 1 : 0, upstream.Requests.Count);
    }

    [Theory]
    [InlineData("""{"model":"gpt-9","model":"qwen3.7-plus","messages":[{"role":"user","content":"hi"}]}""")]
    [InlineData("""{"model":"qwen3.7-plus","mod\u0065l":"gpt-9","messages":[{"role":"user","content":"hi"}]}""")]
    [InlineData("""{"model":"qwen3.7-plus","models":["gpt-9"],"messages":[{"role":"user","content":"hi"}]}""")]
    public async Task SecondModelInARequest_IsNotSmuggledPast(string body)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Models = ["qwen3.7-*"] });
        foreach (string path in new[] { "/v1/chat/completions", "/v1/messages", "/v1/embeddings" })
        {
            using HttpRequestMessage request = new(HttpMethod.Post, path) { Content = RunningProxy.Json(body.Replace("{\"model\"", "{\"max_tokens\":9,\"model\"", StringComparison.Ordinal)) };
            request.Headers.Add("x-api-key", Key);
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.Forbidden, $"{path}: {response.StatusCode}");
        }

        Assert.Empty(upstream.Requests);
    }

    [Fact]
    public async Task ModelList_ShowsTheAllowedOnly()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, """{"object":"list","data":[{"id":"qwen3.7-max","object":"model"},{"id":"other","object":"model"}]}"""));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Models = ["qwen3.7-*"] });
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        request.Headers.Add("x-api-key", Key);
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(["mine", "qwen3.7-max"], json.RootElement.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString()!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task FallbackModel_MustBeAllowedToo()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(400, """{"error":{"message":"Range of input length should be [1, 10]","code":"context_length_exceeded"}}"""));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Models = ["small"] }, configure: s => s with { Models = s.Models with { Fallbacks = s.Models.Fallbacks.Add("small", ["large"]) } });
        using HttpResponseMessage response = await AskAsync(proxy, Dialect.Chat, stream: true, model: "small");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Single(upstream.Requests);
    }

    [Fact]
    public async Task ExpiredKey_Is401AlsoForThePage()
    {
        FakeClock clock = new();
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        await using RunningProxy proxy = await StartAsync(upstream, new ClientLimits { Expires = clock.GetUtcNow().AddMinutes(1) }, clock);
        using (HttpResponseMessage good = await AskAsync(proxy, Dialect.Chat, stream: true)) Assert.Equal(HttpStatusCode.OK, good.StatusCode);
        Assert.Equal(HttpStatusCode.OK, await AdminAsync());
        clock.Advance(TimeSpan.FromMinutes(1));
        using HttpResponseMessage over = await AskAsync(proxy, Dialect.Chat, stream: true);
        await AssertRefusedAsync(over, Dialect.Chat, 401, "invalid_api_key", null);
        Assert.Equal(HttpStatusCode.Unauthorized, await AdminAsync());

        async Task<HttpStatusCode> AdminAsync()
        {
            using HttpRequestMessage request = new(HttpMethod.Get, "/admin/status");
            request.Headers.Add("x-api-key", Key);
            request.Headers.Add("X-Forwarded-For", "10.0.0.9");
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task KeyWithoutLimits_HasNoHeadersOfIts()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer, "X-RateLimit-Remaining-Requests: 7\r\n"));
        await using RunningProxy proxy = await StartAsync(upstream, ClientLimits.None);
        using HttpResponseMessage good = await AskAsync(proxy, Dialect.Messages, stream: true);
        Assert.Equal("7", Assert.Single(good.Headers.GetValues("x-ratelimit-remaining-requests")));
        Assert.False(good.Headers.Contains("x-ratelimit-limit-requests"));
    }

    private static Task<RunningProxy> StartAsync(RawUpstream upstream, ClientLimits limits, TimeProvider? time = null, Func<ProxySnapshot, ProxySnapshot>? configure = null) =>
        RunningProxy.StartAsync(
            new ProxySnapshot
            {
                Accounts = [RunningProxy.Account("up", upstream.BaseUrl)],
                Clients = [new ClientSnapshot("alice", new Secret(Key), IsAdmin: true) { Limits = limits }],
                Models = new ModelsSnapshot { Aliases = [new("mine", "qwen3.7-max")] },
            },
            configure,
            time);

    private static Task<HttpResponseMessage> AskAsync(RunningProxy proxy, string dialect, bool stream, string model = "m")
    {
        HttpRequestMessage request = new(HttpMethod.Post, Dialect.Path(dialect)) { Content = RunningProxy.Json(Dialect.Body(dialect, stream, model)) };
        request.Headers.Add("x-api-key", Key);
        return proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static string[] Limits(HttpResponseMessage response, string what) =>
        [.. ((string[])["limit", "remaining", "reset"]).Select(part => Assert.Single(response.Headers.GetValues($"x-ratelimit-{part}-{what}")))];

    private static async Task<string> AssertRefusedAsync(HttpResponseMessage response, string dialect, int status, string code, string? param)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(status == (int)response.StatusCode, text);
        using JsonDocument json = JsonDocument.Parse(text);
        JsonElement error = json.RootElement.GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        if (param is not null) Assert.Equal(param, error.GetProperty("param").GetString());
        if (dialect == Dialect.Messages) Assert.Equal(status switch { 429 => "rate_limit_error", 403 => "permission_error", _ => "authentication_error" }, error.GetProperty("type").GetString());
        return error.GetProperty("message").GetString()!;
    }
}
