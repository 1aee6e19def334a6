using QwenProxy.Configuration;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Requests;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>What the configuration asks for holds natively too: the loop guard, and the user's word on thinking.</summary>
public sealed class NativeRepairTests
{
    private const string Thoughtful = """
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_up","type":"message","role":"assistant","model":"qwen3.7-max","content":[],"usage":{"input_tokens":10,"output_tokens":1}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":0}

        event: content_block_start
        data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"A title"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":1}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}

        event: message_stop
        data: {"type":"message_stop"}


        """;

    private const string Disabled = "\"thinking\":{\"type\":\"disabled\"}";

    [Theory]
    [InlineData(Dialect.Messages, true)]
    [InlineData(Dialect.Messages, false)]
    [InlineData(Dialect.Responses, true)]
    [InlineData(Dialect.Responses, false)]
    public async Task ModelThatRepeatsItselfWithoutEnd_IsEndedAsTooLong(string dialect, bool stream)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "loop?times=4000" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, s => s with { Repair = s.Repair with { LoopGuard = SwitchMode.On } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly, text);
        AnswerMeaning read = stream ? AnswerMeaning.OfStream(text) : AnswerMeaning.OfWhole(dialect, text);
        Assert.Equal("length", read.End);
        Assert.InRange(read.Text.Length, 100, 40_000);
        Assert.All(upstream.Requests, r => Assert.DoesNotContain("chat", r.Target, StringComparison.Ordinal));
        await Until.TrueAsync(() => proxy.Log.Lines.Any(l => l.Contains("native=True", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));
    }

    /// <summary>Setting, the client's own word, what upstream is told, and whether the client sees thinking.</summary>
    [Theory]
    [InlineData(ThinkingPolicy.Client, "", Disabled, false)]
    [InlineData(ThinkingPolicy.Client, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}", "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}", true)]
    [InlineData(ThinkingPolicy.Client, "\"thinking\": { \"type\": \"disabled\" }", "\"thinking\": { \"type\": \"disabled\" }", false)]
    [InlineData(ThinkingPolicy.On, "", "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4500}", true)]
    [InlineData(ThinkingPolicy.On, Disabled, Disabled, false)]
    [InlineData(ThinkingPolicy.Off, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}", Disabled, false)]
    [InlineData(ThinkingPolicy.Off, "", Disabled, false)]
    public async Task Thinking_IsSettledByTheSettingAndTheClient(ThinkingPolicy policy, string said, string told, bool shown)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Thoughtful));
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, s => s with { Models = new ModelsSnapshot { Thinking = new ThinkingPolicies([KeyValuePair.Create("*", policy)]) } });
        foreach (bool stream in (bool[])[true, false])
        {
            string body = Dialect.Body(Dialect.Messages, stream, "qwen3.7-max");
            if (said.Length > 0) body = $"{body[..^1]},{said}}}";
            using HttpResponseMessage response = await proxy.PostAsync(body, "/v1/messages");
            string text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, text);
            Assert.Equal(shown, text.Contains("Hm.", StringComparison.Ordinal));
            Assert.Equal(shown, text.Contains("thinking", StringComparison.Ordinal));
            Assert.Contains("A title", text, StringComparison.Ordinal);
            RawExchange seen = upstream.Requests.Last();
            Assert.Contains("anthropic", seen.RequestLine, StringComparison.Ordinal);
            string wanted = said.Length > 0 ? body.Replace(said, told, StringComparison.Ordinal) : $"{body[..^1]},{told}}}";
            Assert.Equal(wanted.Replace("\"stream\":false", "\"stream\":true", StringComparison.Ordinal), seen.BodyText);
        }
    }

    /// <summary>A model nobody knew to think always: the client gets its answer natively, and the next request is right at once.</summary>
    [Fact]
    public async Task ModelThatRefusesNotToThink_IsAskedAgainWithoutThatWord()
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            bool refused = exchange.BodyText.Contains("disabled", StringComparison.Ordinal);
            await exchange.SendAsync(refused ? RawUpstream.Json(400, """{"type":"error","error":{"type":"invalid_request_error","message":"thinking.type disabled is not supported for this model"}}""") : RawUpstream.Sse(Thoughtful));
        });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, s => s);
        foreach ((string said, string attempts) in new[] { ("", "2"), ("", "1"), ("," + Disabled, "1") })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, true, "qwen9-max")[..^1] + said + "}", "/v1/messages");
            string text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, text);
            Assert.Equal(attempts, Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
            Assert.DoesNotContain("Hm.", text, StringComparison.Ordinal);
        }

        Assert.All(upstream.Requests, r => Assert.Contains("anthropic", r.RequestLine, StringComparison.Ordinal));
        Assert.Equal(Dialect.Body(Dialect.Messages, true, "qwen9-max"), upstream.Requests.Last().BodyText);
    }

    private static Task<RunningProxy> StartAsync(Uri upstream, Func<ProxySnapshot, ProxySnapshot> configure) =>
        RunningProxy.StartAsync(new ProxySnapshot { Accounts = [RunningProxy.Account("up", upstream) with { Profile = Profiles.DashScope }] }, configure);
}
