using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>An upstream that speaks the client's dialect: what it sends reaches the client as it came, and what breaks is mended or told.</summary>
public sealed class NativeTests
{
    private const string Start = """
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_up","type":"message","role":"assistant","model":"qwen3.7-plus","content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}


        """;

    private const string Rest = """
        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

        : upstream comment

        event: content_block_delta
        data: {"index":0, "type":"content_block_delta","delta":{"type":"signature_delta","signature":"theirs"},"unknown":1.50}

        event: ping
        data: {"type":"ping"}

        event: content_block_stop
        data: {"type":"content_block_stop","index":0}

        event: content_block_start
        data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""},"cache":null}

        event: content_block_delta
        data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"H\u0069"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":1}

        event: content_block_start
        data: {"type":"content_block_start","index":2,"content_block":{"type":"something_new","data":[1,2]}}

        event: something_else
        data: {"type":"something_else"}

        event: content_block_stop
        data: {"type":"content_block_stop","index":2}


        """;

    private const string End = """
        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}

        event: message_stop
        data: {"type":"message_stop"}


        """;

    private const string Created = """
        event: response.created
        data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_up","object":"response","status":"in_progress","error":null,"output":[]}}

        event: response.output_text.delta
        data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"m","delta":"Hi"}


        """;

    private const string Completed = """
        event: response.completed
        data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp_up","status":"completed","usage":{"input_tokens":9,"output_tokens":3,"input_tokens_details":{"cached_tokens":4}}}}


        """;

    /// <summary>Thinking is shown to whom asks for it.</summary>
    private const string ThinkingMessage = """{"model":"m","max_tokens":9000,"stream":true,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"hi"}]}""";

    private const string StatelessResponse = """{"model":"up/qwen3.7-plus","stream":true,"store":false,"input":"hi","tools":[{"type":"function","name":"f","parameters":{}}]}""";

    [Fact]
    public async Task Messages_PassThroughByteForByteInEveryCut()
    {
        byte[] sent = Encoding.UTF8.GetBytes(Start + Rest + End);
        int cut = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(""));
            await exchange.SendAsync(sent.AsMemory(0, cut));
            await exchange.SendAsync(sent.AsMemory(cut));
        });
        await using RunningProxy proxy = await StartAsync(upstream);
        for (cut = 0; cut < sent.Length; cut += 13)
        {
            using HttpResponseMessage response = await proxy.PostAsync(ThinkingMessage, "/v1/messages?beta=true");
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly);
            Assert.Equal(Start + Rest + End, text);
        }

        Assert.All(upstream.Requests, r => Assert.Equal("POST /apps/anthropic/v1/messages?beta=true HTTP/1.1", r.RequestLine));
        await LoggedAsync(proxy, l => l.Contains("native=True", StringComparison.Ordinal) && l.Contains("inputTokens=15 outputTokens=7", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Request_GoesAsItCame_ButForTheModelTheBillingTextAndNoThinking()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Start + Rest + End));
        await using RunningProxy proxy = await StartAsync(upstream);
        const string asked = """{ "stream":true, "x":1.50, "system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2; "}, {"type":"text","text":"Be \u00e9"}],"model":"up/qwen3.7-plus","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}""";
        const string wanted = """{ "stream":true, "x":1.50, "system":[{"type":"text","text":"Be \u00e9"}],"model":"qwen3.7-plus","max_tokens":5,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"disabled"}}""";
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/messages") { Content = RunningProxy.Json(asked) };
        request.Headers.Add("anthropic-version", "2023-06-01");
        request.Headers.Add("x-api-key", "client-key");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.Equal(wanted, seen.BodyText);
        Assert.Equal("2023-06-01", seen.Header("anthropic-version"));
        Assert.Equal("Bearer key-of-up", seen.Header("authorization"));
        Assert.Null(seen.Header("x-api-key"));
    }

    [Fact]
    public async Task Responses_PassThroughByteForByte()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Created + Completed));
        await using RunningProxy proxy = await StartAsync(upstream);
        using HttpResponseMessage response = await proxy.PostAsync(StatelessResponse, "/v1/responses");
        Assert.Equal(Created + Completed, await response.Content.ReadAsStringAsync());
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.Equal(StatelessResponse.Replace("up/", "", StringComparison.Ordinal), seen.BodyText);
        Assert.Equal("POST /api/v2/apps/protocols/compatible-mode/v1/responses HTTP/1.1", seen.RequestLine);
        await LoggedAsync(proxy, l => l.Contains("native=True", StringComparison.Ordinal) && l.Contains("inputTokens=9 outputTokens=3", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Start + Rest, "cut")]
    [InlineData(Start + Rest + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n" + End, "overloaded")]
    [InlineData(Start + Rest + "data: {\"type\":\"content_block_delta\",\n\n" + End, "protocol_error")]
    public async Task MessagesThatBreak_EndInOneErrorAndAClosedConnection(string sent, string kind)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(sent));
        await using RunningProxy proxy = await StartAsync(upstream);
        using HttpResponseMessage response = await AskWithoutResumeAsync(proxy, ThinkingMessage, "/v1/messages");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly);
        Assert.StartsWith(Start, text, StringComparison.Ordinal);
        Assert.DoesNotContain("message_stop", text, StringComparison.Ordinal);
        Assert.Equal(2, text.Split("event: error\n").Length);
        await LoggedAsync(proxy, l => l.Contains($" {kind} ", StringComparison.Ordinal));
        Assert.Single(upstream.Requests);
    }

    [Fact]
    public async Task SilenceInTheMiddle_GetsPingsThenTheTimeout()
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(Start));
            await exchange.WaitForHangUpAsync();
        });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, timeouts: t => t with { Idle = TimeSpan.FromSeconds(1), KeepAlive = TimeSpan.FromMilliseconds(200) });
        using HttpResponseMessage response = await proxy.PostAsync(ThinkingMessage, "/v1/messages");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly);
        Assert.Contains("event: ping", text, StringComparison.Ordinal);
        Assert.EndsWith("\"code\":\"upstream_timeout\"}}\n\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ClientThatHangsUp_EndsTheUpstreamAtOnce()
    {
        TaskCompletionSource gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(Start + Rest));
            await exchange.WaitForHangUpAsync();
            gone.TrySetResult();
        });
        await using RunningProxy proxy = await StartAsync(upstream);
        using (HttpResponseMessage response = await proxy.PostAsync(ThinkingMessage, "/v1/messages"))
        {
            await (await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)).ReadExactlyAsync(new byte[Start.Length], TestContext.Current.CancellationToken);
        }

        await gone.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        await LoggedAsync(proxy, l => l.Contains(" 499 client_gone ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ResponseThatBreaks_FailsUnderItsOwnId()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Created));
        await using RunningProxy proxy = await StartAsync(upstream);
        using HttpResponseMessage response = await AskWithoutResumeAsync(proxy, StatelessResponse, "/v1/responses");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly);
        Assert.StartsWith(Created, text, StringComparison.Ordinal);
        using JsonDocument failed = JsonDocument.Parse(text[(text.LastIndexOf("data: ", StringComparison.Ordinal) + 6)..]);
        Assert.Equal("response.failed", failed.RootElement.GetProperty("type").GetString());
        Assert.Equal(2, failed.RootElement.GetProperty("sequence_number").GetInt32());
        JsonElement answer = failed.RootElement.GetProperty("response");
        Assert.Equal(("resp_up", "failed"), (answer.GetProperty("id").GetString(), answer.GetProperty("status").GetString()));
        Assert.Equal("upstream_protocol_error", answer.GetProperty("error").GetProperty("code").GetString());
    }

    /// <summary>Upstream's own failure is told once, under the next number: clients count.</summary>
    [Fact]
    public async Task ResponseThatUpstreamFails_IsNumberedWithoutAGap()
    {
        const string failed = """
            event: response.failed
            data: {"type":"response.failed","sequence_number":2,"response":{"id":"resp_up","status":"failed","error":{"code":"server_error","message":"model crashed"}}}


            """;
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Created + failed));
        await using RunningProxy proxy = await StartAsync(upstream);
        using HttpResponseMessage response = await AskWithoutResumeAsync(proxy, StatelessResponse, "/v1/responses");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly);
        List<JsonElement> events = StreamText.Events(text);
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => e.GetProperty("sequence_number").GetInt32()));
        JsonElement last = Assert.Single(events, e => e.GetProperty("type").GetString() == "response.failed");
        Assert.Contains("model crashed", last.GetProperty("response").GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    /// <summary>The connection closes, or nothing more comes on it, also when that is sooner than the wait for an end.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task StopReasonWithoutTheLastEvent_IsEndedForTheClient(bool staysOpen)
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(Start + Rest + End[..End.IndexOf("event: message_stop", StringComparison.Ordinal)]));
            if (staysOpen) await exchange.WaitForHangUpAsync();
        });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, timeouts: t => t with { Idle = TimeSpan.FromSeconds(1) });
        using HttpResponseMessage response = await proxy.PostAsync(ThinkingMessage, "/v1/messages");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly);
        Assert.Equal(Start + Rest + End, text);
    }

    /// <summary>Honest about what broke, rather than asked again.</summary>
    private static Task<HttpResponseMessage> AskWithoutResumeAsync(RunningProxy proxy, string body, string path)
    {
        HttpRequestMessage request = new(HttpMethod.Post, path) { Content = RunningProxy.Json(body) };
        request.Headers.Add("x-qwen-proxy-resume", "off");
        return proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    /// <summary>A request is logged when it is settled, which may be after the client has read its end.</summary>
    private static Task LoggedAsync(RunningProxy proxy, Func<string, bool> wanted) => Until.TrueAsync(() => proxy.Log.Lines.Any(wanted), TimeSpan.FromSeconds(20));

    private static Task<RunningProxy> StartAsync(RawUpstream upstream) => StartAsync(upstream.BaseUrl);

    private static Task<RunningProxy> StartAsync(Uri upstream, Func<AccountSnapshot, AccountSnapshot>? configure = null, Func<TimeoutsSnapshot, TimeoutsSnapshot>? timeouts = null)
    {
        AccountSnapshot account = RunningProxy.Account("up", upstream) with { Profile = Profiles.DashScope };
        return RunningProxy.StartAsync(new ProxySnapshot { Accounts = [configure?.Invoke(account) ?? account] }, s => s with { Timeouts = timeouts?.Invoke(s.Timeouts) ?? s.Timeouts });
    }
}
