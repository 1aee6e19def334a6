using System.Net;
using QwenProxy.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Where an answer ends, what counts as one, and what an event stream is, in every dialect, streamed and whole.</summary>
public sealed class EndTests
{
    private const string Role = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
    private const string Hello = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello \"},\"finish_reason\":null}]}\n\n";
    private const string World = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"world\"},\"finish_reason\":null}]}\n\n";
    private const string Usage = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}}\n\n";
    private const string Done = "data: [DONE]\n\n";

    private static string Stop => End("stop");

    public static TheoryData<string> TextAfterAnEnd =>
    [
        Role + Hello + Stop + World + Stop + Usage + Done,
        Role + Hello + Stop + World + End("length").Replace("length", "stop", StringComparison.Ordinal),
        Role + Hello + Stop + Usage + World + Done,
        Role + Hello + End("") + World + End("null") + Stop + Done,
        Role + Hello.Replace("\"finish_reason\":null", "\"finish_reason\":\"stop\"", StringComparison.Ordinal) + World.Replace("\"finish_reason\":null", "\"finish_reason\":\"stop\"", StringComparison.Ordinal) + Done,
    ];

    [Theory]
    [MemberData(nameof(TextAfterAnEnd))]
    public async Task TextBehindAFinishReason_BelongsToTheAnswer(string sse)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(sse));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            (string streamed, string whole) = await AskAsync(proxy, dialect);
            Assert.Equal("hello world", StreamText.Content(streamed));
            Assert.True(StreamText.IsComplete(streamed), streamed);
            Assert.Equal(1, streamed.Split(dialect switch { Dialect.Chat => "\"finish_reason\":\"stop\"", Dialect.Messages => "\"end_turn\"", _ => "event: response.completed" }).Length - 1);
            Assert.Equal("hello world", Dialect.TextOf(dialect, whole));
        }
    }

    [Fact]
    public async Task TextBehindAFinishReasonAndThenACut_IsACut()
    {
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            foreach (bool stream in new[] { true, false })
            {
                int asked = 0;
                await using RawUpstream upstream = new(exchange => exchange.SendAsync(RawUpstream.Sse(Interlocked.Increment(ref asked) == 1 ? Role + Hello + Stop + World : Role + Hello + World + Stop + Done)));
                await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
                (string text, bool orderly) = await RunningProxy.ReadAsync(response);
                Assert.True(orderly, text);
                Assert.Equal("hello world", stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
                Assert.Equal(2, asked);
            }
        }
    }

    [Fact]
    public async Task TextBehindAFinishReasonAndThenACut_WithoutResume_IsNoSuccess()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Role + Hello + Stop + World));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Resume = false, Retry = s.Retry with { MaxAttempts = 1 } });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.False(orderly || StreamText.IsComplete(text), text);
            Assert.NotNull(StreamText.Error(text));
            using HttpResponseMessage whole = await proxy.PostAsync(Dialect.Body(dialect, stream: false), Dialect.Path(dialect));
            Assert.Equal(HttpStatusCode.BadGateway, whole.StatusCode);
        }
    }

    [Fact]
    public async Task HealthyStream_IsByteForByteWhatUpstreamSent()
    {
        const string sse = ": hi\n\n" + Role + Hello + World + "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" + Usage + Done;
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(sse));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}""");
        Assert.Equal(sse, (await RunningProxy.ReadAsync(response)).Text);
    }

    [Fact]
    public async Task FirstWords_DoNotWaitForTheNextEvent()
    {
        TaskCompletionSource seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(Role + Hello));
            await seen.Task;
            await exchange.SendAsync(World + Stop + Done);
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        string text = "";
        while (!text.Contains("hello ", StringComparison.Ordinal)) text += await reader.ReadLineAsync() + "\n";
        Assert.StartsWith(Role, text, StringComparison.Ordinal);
        seen.SetResult();
        Assert.Contains("world", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task AnswerThatSaysNothing_IsAskedForOnceMore_AtAnotherAccountFirst(string dialect, bool stream)
    {
        await using RawUpstream empty = RawUpstream.Always(RawUpstream.Sse(Role + Stop + Usage + Done));
        await using RawUpstream good = RawUpstream.Always(RawUpstream.Sse(Role + Hello + Stop + Usage + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(empty, good));
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly);
        Assert.Equal("hello ", stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
        Assert.Single(empty.Requests);
        Assert.Single(good.Requests);
        Assert.Equal("b", Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")));
        Assert.Equal("2", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
        // It works, it only had nothing to say: that is no fault a breaker counts.
        Assert.DoesNotContain(proxy.Log.Lines, line => line.Contains("Open", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task AnswerThatSaysNothingTwice_PassesAsItIs(string dialect, bool stream)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Role + Stop + Usage + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(orderly);
        Assert.Equal("", stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
        Assert.True(!stream || StreamText.IsComplete(text));
        Assert.Equal(2, upstream.Requests.Count);
    }

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task AnswerThatSaysNothing_IsBetterThanAFailureOfTheSecondAttempt(string dialect, bool stream)
    {
        await using RawUpstream empty = RawUpstream.Always(RawUpstream.Sse(Role + Stop + Usage + Done));
        await using RawUpstream broken = RawUpstream.Always(RawUpstream.Json(401, """{"error":{"message":"no such key","code":"invalid_api_key"}}"""));
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(empty, broken), s => s with { Retry = s.Retry with { MaxAttempts = 2 } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(orderly && (!stream || StreamText.IsComplete(text)), text);
        Assert.Equal("a", Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")));
        Assert.Single(broken.Requests);
    }

    [Theory]
    [InlineData("length", 1)]
    [InlineData("content_filter", 1)]
    [InlineData("stop", 2)]
    [InlineData("tool_calls", 2)]
    public async Task NothingSaid_IsExplainedByItsReason(string reason, int asked)
    {
        foreach (bool stream in new[] { true, false })
        {
            await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Role + End(reason) + Done));
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream));
            (string text, _) = await RunningProxy.ReadAsync(response);
            Assert.Contains($"\"finish_reason\":\"{reason}\"", text, StringComparison.Ordinal);
            Assert.Equal(asked, upstream.Requests.Count);
        }
    }

    [Fact]
    public async Task NoRetry_AndAnAnswerThatSaysNothing_PassesAsItIs()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Role + Stop + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        (string streamed, string whole) = await AskAsync(proxy, Dialect.Chat);
        Assert.Equal(Role + Stop + Done, streamed);
        Assert.Equal("", Dialect.TextOf(Dialect.Chat, whole));
        Assert.Equal(2, upstream.Requests.Count);
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("text/plain; charset=utf-8")]
    [InlineData("application/octet-stream")]
    [InlineData("text/html")]
    [InlineData("")]
    public async Task EventStreamUnderAnyType_IsRead_AndIsNoFault(string type)
    {
        string header = type.Length == 0 ? "" : $"Content-Type: {type}\r\n";
        string[] beginnings = ["", ": hello\n\n", "\uFEFF", "\r\n\r\n", "id: 1\nevent: x\nretry: 3\n", "event:message\n"];
        foreach (string beginning in beginnings)
        {
            await using RawUpstream upstream = RawUpstream.Always($"HTTP/1.1 200 OK\r\n{header}Connection: close\r\n\r\n{beginning}{Role}{Hello}{World}{Stop}{Done}");
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Breaker = new BreakerSnapshot { Failures = 1, OpenSeconds = 60 }, Retry = s.Retry with { MaxAttempts = 1 } });
            foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
            {
                (string streamed, string whole) = await AskAsync(proxy, dialect);
                Assert.Equal("hello world", StreamText.Content(streamed));
                Assert.Equal("hello world", Dialect.TextOf(dialect, whole));
            }
        }
    }

    [Fact]
    public async Task EventStreamUnderAWrongType_IsReadAsItComes_ByteByByte()
    {
        TaskCompletionSource seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
            foreach (char one in Role + Hello) await exchange.SendAsync(one.ToString());
            await seen.Task;
            await exchange.SendAsync(World + Stop + Done);
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        string text = "";
        while (!text.Contains("hello ", StringComparison.Ordinal)) text += await reader.ReadLineAsync() + "\n";
        seen.SetResult();
        Assert.Contains("world", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/event-stream")]
    [InlineData("application/json")]
    [InlineData("text/plain")]
    public async Task WholeAnswerUnderAnyType_IsRead(string type)
    {
        const string json = """ {"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello world"},"finish_reason":"stop"}]}""";
        await using RawUpstream upstream = RawUpstream.Always($"HTTP/1.1 200 OK\r\nContent-Type: {type}\r\nContent-Length: {json.Length}\r\nConnection: close\r\n\r\n{json}");
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        (string streamed, string whole) = await AskAsync(proxy, Dialect.Chat);
        Assert.Equal("hello world", StreamText.Content(streamed));
        Assert.Equal("hello world", Dialect.TextOf(Dialect.Chat, whole));
    }

    [Theory]
    [InlineData("""{"id":"c","choices":[]}""")]
    [InlineData("""{"id":"c","object":"chat.completion.chunk","choices":[],"usage":null}""")]
    [InlineData("""{"id":"c","choices":[],"prompt_filter_results":[{"prompt_index":0}]}""")]
    [InlineData("""{"id":"c","object":"chat.completion.chunk"}""")]
    public async Task EventWithoutChoicesAndUsage_ReachesNoClient(string empty)
    {
        string frame = $"data: {empty}\n\n";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(frame + Role + frame + Hello + frame + Stop + frame + Usage + frame + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (bool usage in new[] { true, false })
        {
            string options = usage ? "\"stream_options\":{\"include_usage\":true}," : "";
            using HttpResponseMessage response = await proxy.PostAsync($$"""{"model":"m","stream":true,{{options}}"messages":[{"role":"user","content":"hi"}]}""");
            Assert.Equal(Role + Hello + Stop + (usage ? Usage : "") + Done, (await RunningProxy.ReadAsync(response)).Text);
        }
    }

    private static string End(string reason) => $"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n";

    private static ProxySnapshot Two(RawUpstream first, RawUpstream second) =>
        new() { Accounts = [RunningProxy.Account("a", first.BaseUrl, 1), RunningProxy.Account("b", second.BaseUrl, 2)] };

    private static async Task<(string Streamed, string Whole)> AskAsync(RunningProxy proxy, string dialect)
    {
        using HttpResponseMessage streamed = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(streamed);
        Assert.True(orderly, text);
        using HttpResponseMessage whole = await proxy.PostAsync(Dialect.Body(dialect, stream: false), Dialect.Path(dialect));
        Assert.Equal(HttpStatusCode.OK, whole.StatusCode);
        return (text, await whole.Content.ReadAsStringAsync());
    }
}
