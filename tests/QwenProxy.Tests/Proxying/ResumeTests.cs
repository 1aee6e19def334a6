using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Simulator;
using QwenProxy.Simulator.Answers;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Upstream breaks after the first byte, and the client reads one whole answer all the same, or an honest error.</summary>
public sealed class ResumeTests
{
    private static readonly byte[] ChatBody = Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: true));

    public static TheoryData<string> Breaks =>
    [
        "cut?events=2&how=rst", "cut?events=5&how=rst", "cut?events=20&how=fin", "cut?bytes=3333&how=rst", "cut?bytes=5001&how=fin", "stall?events=6", "stream-error-object?events=7",
        "stream-error-vllm?events=4", "stream-error-dashscope?events=4&status=500&code=InternalError", "stream-error-choice?events=9", "broken-event?events=5", "no-finish", "error-finish",
    ];

    [Theory]
    [MemberData(nameof(Breaks))]
    public async Task BrokenOnce_TheClientReadsOneWholeAnswer(string fault)
    {
        string wanted = SimulatedAnswers.Meant("healthy", ChatBody).Text;
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = $"sequence:{fault}|healthy" });
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, Brisk);
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly && StreamText.IsComplete(text), text);
            Assert.Null(StreamText.Error(text));
            Assert.Equal(wanted, StreamText.Content(text));
            Assert.Contains(": resumed", text, StringComparison.Ordinal);
            Assert.Equal(2, upstream.Requests.Count);
            Assert.Equal("1", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
            if (dialect == Dialect.Chat) AssertReadsAsOne(text);
            if (dialect == Dialect.Messages) Assert.Equal(1, Count(text, "event: message_start"));
            if (dialect == Dialect.Responses) Assert.Equal(1, Count(text, "event: response.created"));
        }
    }

    [Theory]
    [InlineData("thinking")]
    [InlineData("tools-1")]
    [InlineData("tools-2")]
    [InlineData("tool-after-text")]
    [InlineData("tool-after-thinking")]
    public async Task CutAnywhere_OfAnyAnswer_IsReplayedExactly(string answer)
    {
        SimulatedAnswer wanted = SimulatedAnswers.Meant(answer, ChatBody);
        for (int events = 1; events < 40; events += events < 12 ? 1 : 5)
        {
            await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = $"sequence:cut?answer={answer}&events={events}&how={(events % 2 == 0 ? "rst" : "fin")}|{answer}" });
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, Brisk);
            using HttpResponseMessage response = await proxy.PostAsync(Encoding.UTF8.GetString(ChatBody));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly && StreamText.IsComplete(text), $"{events}: {text}");
            Assert.Equal(wanted.Text, StreamText.Content(text));
            Assert.Equal(wanted.Reasoning, StreamText.Reasoning(text));
            for (int i = 0; i < wanted.ToolCalls.Count; i++) Assert.Equal(wanted.ToolCalls[i].Arguments, StreamText.Arguments(text, i));
            AssertReadsAsOne(text);
        }
    }

    [Fact]
    public async Task OtherAccountWithAnotherText_IsAnHonestError()
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "cut?events=8" });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "text?say=Something%20else%20altogether%20and%20long%20enough." });
        await using RunningProxy proxy = await RunningProxy.StartAsync(FailoverTests.Two(first, second), Brisk);
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
            await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream: true), Dialect.Path(dialect)));
            RawResponse response = await client.ReadToEndAsync();
            Assert.False(response.IsWhole || StreamText.IsComplete(response.Body));
            Assert.NotNull(StreamText.Error(response.Body));
            Assert.DoesNotContain("altogether", response.Body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task OtherAccountWithTheSameText_Continues()
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "cut?events=8" });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(FailoverTests.Two(first, second), Brisk);
        using HttpResponseMessage response = await proxy.PostAsync(Encoding.UTF8.GetString(ChatBody));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly);
        Assert.Equal(SimulatedAnswers.Meant("healthy", ChatBody).Text, StreamText.Content(text));
        Assert.Single(second.Requests);
        Assert.Equal(0, proxy.Runtime.Router.Pool.LeasesOut);
    }

    [Fact]
    public async Task StreamThatBreaksEachTime_IsResumedThreeTimesAndThenFails()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "cut?events=5&how=fin" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, Brisk);
        using HttpResponseMessage response = await proxy.PostAsync(Encoding.UTF8.GetString(ChatBody));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly || StreamText.IsComplete(text));
        Assert.Equal("upstream_protocol_error", StreamText.Error(text)!.Value.GetProperty("code").GetString());
        Assert.Equal(4, upstream.Requests.Count);
    }

    [Fact]
    public async Task StreamThatBreaksEachTime_HasTriedTheFallbackModel()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = r => r.BodyText.Contains("\"m\"", StringComparison.Ordinal) ? "cut?events=5" : "healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => FailoverTests.WithFallback(Brisk(s)));
        using HttpResponseMessage response = await proxy.PostAsync(Encoding.UTF8.GetString(ChatBody));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && StreamText.IsComplete(text), text);
        Assert.Equal(SimulatedAnswers.Meant("healthy", ChatBody).Text, StreamText.Content(text));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ResumeOff_IsAnErrorAfterOneStream(bool byHeader)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "cut?events=5" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => Brisk(s) with { Resume = byHeader });
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Encoding.UTF8.GetString(ChatBody)) };
        if (byHeader) request.Headers.Add("x-qwen-proxy-resume", "off");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly || StreamText.IsComplete(text));
        Assert.NotNull(StreamText.Error(text));
        Assert.Single(upstream.Requests);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Prefill_IsAskedWhereTheProfileCan_AndARefusalIsNeverShown(bool accepted)
    {
        const string begin = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"The ferry \"}}]}\n\n";
        const string rest = "data: {\"id\":\"c2\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"leaves.\"}}]}\n\ndata: {\"id\":\"c2\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
            + "data: {\"id\":\"c2\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\ndata: [DONE]\n\n";
        int calls = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            bool prefill = exchange.BodyText.Contains("\"partial\":true", StringComparison.Ordinal);
            if (Interlocked.Increment(ref calls) == 1) await exchange.SendAsync(RawUpstream.Sse(begin));
            else if (!prefill) await exchange.SendAsync(RawUpstream.Sse(begin + rest));
            else if (accepted) await exchange.SendAsync(RawUpstream.Sse(rest));
            else await exchange.SendAsync(RawUpstream.Json(400, """{"error":{"message":"The last message must be from user.","type":"invalid_request_error","code":"invalid_parameter_error"}}"""));
        });
        AccountSnapshot account = RunningProxy.Account("ds", upstream.BaseUrl) with { Profile = Profiles.ByName("dashscope")! };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [account] }, Brisk);
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"qwen3-coder-plus","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}""");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && StreamText.IsComplete(text), text);
        Assert.Equal("The ferry leaves.", StreamText.Content(text));
        Assert.Null(StreamText.Error(text));
        RawExchange[] seen = [.. upstream.Requests];
        Assert.Equal(accepted ? 2 : 3, seen.Length);
        Assert.Contains("{\"role\":\"assistant\",\"content\":\"The ferry \",\"partial\":true}", seen[1].BodyText, StringComparison.Ordinal);
        if (!accepted) Assert.Equal(seen[0].BodyText, seen[2].BodyText);
        AssertReadsAsOne(text);
        Assert.Equal(1, Count(text, "\"total_tokens\""));
    }

    [Fact]
    public async Task UsageOfAResumedAnswer_IsTheSumOfItsStreams()
    {
        const string begin = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"The ferry \"}}],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":2,\"total_tokens\":32}}\n\n";
        const string rest = "data: {\"id\":\"c2\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"leaves.\"},\"finish_reason\":\"stop\"}]}\n\n"
            + "data: {\"id\":\"c2\",\"choices\":[],\"usage\":{\"prompt_tokens\":31,\"completion_tokens\":5,\"total_tokens\":36}}\n\ndata: [DONE]\n\n";
        int calls = 0;
        await using RawUpstream upstream = new(async exchange => await exchange.SendAsync(RawUpstream.Sse(Interlocked.Increment(ref calls) == 1 ? begin : begin + rest)));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, Brisk);
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}""");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly);
        JsonElement usage = LastUsage(text);
        Assert.Equal((61, 7, 68), (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32()));
        Assert.Contains("inputTokens=61 outputTokens=7", HangUpTests.RequestLines(proxy)[0], StringComparison.Ordinal);
    }

    private static JsonElement LastUsage(string sse) => StreamText.Events(sse).Last(e => e.TryGetProperty("usage", out JsonElement u) && u.ValueKind == JsonValueKind.Object).GetProperty("usage");

    private static ProxySnapshot Brisk(ProxySnapshot s) => s with { Timeouts = s.Timeouts with { Idle = TimeSpan.FromSeconds(1), FirstToken = TimeSpan.FromSeconds(30) } };

    private static void AssertReadsAsOne(string text)
    {
        List<JsonElement> events = StreamText.Events(text);
        Assert.Single(events.Select(e => e.GetProperty("id").GetString()).Distinct());
        Assert.Equal(1, events.Count(e => e.GetProperty("choices").GetArrayLength() > 0 && e.GetProperty("choices")[0].TryGetProperty("finish_reason", out JsonElement f) && f.ValueKind == JsonValueKind.String));
        Assert.Equal(1, Count(text, "[DONE]"));
    }

    private static int Count(string text, string piece) => text.Split(piece).Length - 1;
}
