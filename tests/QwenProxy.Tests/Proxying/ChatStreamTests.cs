using System.Net;
using System.Text;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

public sealed class ChatStreamTests
{
    private const string Request = """{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}""";

    /// <summary>Fields the proxy does not know, odd numbers, escapes and Chinese: all of it must come out as it went in.</summary>
    private const string Events =
        "data: {\"choices\":[{\"delta\":{\"content\":\"\",\"role\":\"assistant\"},\"finish_reason\":null,\"index\":0}],\"x\":1.50,\"id\":\"c1\"}\n\n"
        + "data: {\"choices\":[{\"delta\":{\"content\":\"你好 \\u00e9\\/ 🙂\"},\"index\":0,\"zz\":[1e3]}],\"id\":\"c1\"}\n\n"
        + ": upstream's comment\n\n"
        + "data: {\"choices\":[{\"delta\":{\"content\":\" world\"},\"finish_reason\":\"stop\",\"index\":0}],\"id\":\"c1\"}\n\n";

    private const string Usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7},\"id\":\"c1\"}\n\n";
    private const string Done = "data: [DONE]\n\n";

    [Fact]
    public async Task HealthyStream_ReachesTheClientByteForByte()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Events + Usage + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Request);
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(Events + Done, text);
        Assert.True(orderly);
    }

    [Fact]
    public async Task UsageEvent_IsShownToThoseWhoAsked()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Events + Usage + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Request.Replace("\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}", StringComparison.Ordinal));
        Assert.Equal(Events + Usage + Done, (await RunningProxy.ReadAsync(response)).Text);
    }

    [Fact]
    public async Task Request_IsSplicedNotRebuilt()
    {
        const string body = """{ "messages" : [ {"role":"user","content":"\u4f60 你 1.0"} ], "temperature":0.70, "unknown":{"a":[1E2]}, "stream":true , "model" : "m" }""";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Events + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(body, "/v1/chat/completions?trace=1&x=%2F");
        await RunningProxy.ReadAsync(response);
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.Equal(body[..^1] + ""","stream_options":{"include_usage":true}}""", seen.BodyText);
        Assert.Equal("POST /v1/chat/completions?trace=1&x=%2F HTTP/1.1", seen.RequestLine);
        Assert.Equal("Bearer key-of-up", seen.Header("authorization"));
    }

    [Fact]
    public async Task Stream_CutAtEveryByte_NeverLooksComplete()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Events);
        int cut = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(""));
            await exchange.SendAsync(bytes.AsMemory(0, cut));
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Retry = s.Retry with { MaxAttempts = 1 }, Resume = false, Breaker = s.Breaker with { Failures = 10_000 } });
        int finish = Events.IndexOf("\"stop\"", StringComparison.Ordinal);
        int lastEvent = Encoding.UTF8.GetByteCount(Events[..Events.LastIndexOf("}\n\n", StringComparison.Ordinal)]) + 1;
        for (cut = 0; cut < bytes.Length; cut += cut < lastEvent - 5 ? 7 : 1)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Request);
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            if (cut >= lastEvent)
            {
                // The last event is whole, only its blank line is missing: the answer is complete.
                Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
                continue;
            }

            Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
            Assert.Contains("\"error\"", text, StringComparison.Ordinal);
            Assert.True(response.StatusCode != HttpStatusCode.OK || !orderly, $"Cut at {cut}: the client sees an orderly end.");
        }

        Assert.True(finish > 0);
    }

    [Fact]
    public async Task CleanEndAfterFinish_WithoutDone_IsCompletedWithDone()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Events));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Request);
        Assert.Equal((Events + Done, true), await RunningProxy.ReadAsync(response));
    }

    [Fact]
    public async Task ResetAfterFinish_ChangesNothing()
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(Events));
            exchange.Reset();
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Request);
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.EndsWith(Done, text, StringComparison.Ordinal);
        Assert.True(orderly);
    }

    [Fact]
    public async Task NonStreaming_IsTheFoldOfTheStream()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Events + Usage + Done));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Request.Replace("true", "false", StringComparison.Ordinal));
        using System.Text.Json.JsonDocument answer = System.Text.Json.JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal("你好 é/ 🙂 world", answer.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", answer.RootElement.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(7, answer.RootElement.GetProperty("usage").GetProperty("total_tokens").GetInt32());
        Assert.Equal("1.50", answer.RootElement.GetProperty("x").GetRawText());
        Assert.Contains("\"stream\":true", upstream.Requests.Single().BodyText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UpstreamThatCannotStream_IsReadAllTheSame()
    {
        const string whole = """{"id":"c9","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"plain"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}""";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, whole));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage folded = await proxy.PostAsync(Request.Replace("true", "false", StringComparison.Ordinal));
        Assert.Contains("\"content\":\"plain\"", await folded.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using HttpResponseMessage streamed = await proxy.PostAsync(Request);
        (string text, _) = await RunningProxy.ReadAsync(streamed);
        Assert.Contains("\"delta\":{\"role\":\"assistant\",\"content\":\"plain\"}", text, StringComparison.Ordinal);
        Assert.EndsWith(Done, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ClientHangsUp_UpstreamIsCancelledAtOnce()
    {
        TaskCompletionSource hungUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(Events[..Events.IndexOf(": upstream", StringComparison.Ordinal)]));
            await exchange.WaitForHangUpAsync();
            hungUp.TrySetResult();
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using (HttpResponseMessage response = await proxy.PostAsync(Request))
        {
            Stream body = await response.Content.ReadAsStreamAsync();
            Assert.True(await body.ReadAsync(new byte[100]) > 0);
        }

        await hungUp.Task.WaitAsync(TimeSpan.FromSeconds(20));
    }
}
