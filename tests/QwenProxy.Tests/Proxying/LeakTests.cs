using System.Text.Json;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Calls and thinking in the wrong place, as clients of every dialect read them, streamed and whole.</summary>
public sealed class LeakTests
{
    private const string Call = "<tool_call>\n{\"name\": \"run\", \"arguments\": {\"command\": \"rm -r build\"}}\n</tool_call>";
    private const string Schema = """{"type":"object","properties":{"command":{"type":"string"}}}""";

    private static string Sse(params (string Field, string Text)[] pieces) => string.Concat(pieces.Select(p => Chunk($"\"{p.Field}\":{JsonSerializer.Serialize(p.Text)}"))) +
        Chunk("", "\"stop\"") + "data: [DONE]\n\n";

    private static string Chunk(string delta, string finish = "null") =>
        $"data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{finish}}}]}}\n\n";

    private static string Body(string dialect, bool stream)
    {
        string flag = stream ? "true" : "false";
        return dialect switch
        {
            Dialect.Messages => $$$"""{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2000},"stream":{{{flag}}},"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"run","input_schema":{{{Schema}}}}]}""",
            Dialect.Responses => $$$"""{"model":"m","stream":{{{flag}}},"input":"hi","tools":[{"type":"function","name":"run","parameters":{{{Schema}}}}]}""",
            _ => $$$"""{"model":"m","stream":{{{flag}}},"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"run","parameters":{{{Schema}}}}}]}""",
        };
    }

    private static async Task<string> AskAsync(RunningProxy proxy, string dialect, bool stream, string? body = null)
    {
        using HttpResponseMessage response = await proxy.PostAsync(body ?? Body(dialect, stream), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && response.IsSuccessStatusCode, text);
        return text;
    }

    private static string TextOf(string dialect, bool stream, string answer) => stream ? StreamText.Content(answer) : Dialect.TextOf(dialect, answer);

    private static string ThinkingOf(string dialect, string whole)
    {
        JsonElement root = JsonDocument.Parse(whole).RootElement;
        return dialect switch
        {
            Dialect.Messages => string.Concat(root.GetProperty("content").EnumerateArray().Where(b => b.GetProperty("type").GetString() == "thinking").Select(b => b.GetProperty("thinking").GetString())),
            Dialect.Responses => string.Concat(root.GetProperty("output").EnumerateArray().Where(o => o.GetProperty("type").GetString() == "reasoning").SelectMany(o => o.GetProperty("summary").EnumerateArray()).Select(s => s.GetProperty("text").GetString())),
            _ => root.GetProperty("choices")[0].GetProperty("message").TryGetProperty("reasoning_content", out JsonElement thinking) ? thinking.GetString()! : "",
        };
    }

    private static int CallsIn(string answer, bool stream, string dialect) => dialect switch
    {
        Dialect.Messages => answer.Split("\"type\":\"tool_use\"").Length - 1,
        Dialect.Responses when stream => answer.Split("event: response.function_call_arguments.done").Length - 1,
        Dialect.Responses => answer.Split("\"type\":\"function_call\"").Length - 1,
        _ => answer.Split("\"name\":\"run\"").Length - 1,
    };

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task CallInThinkingBeforeAnAnswer_IsNeverMade(string dialect, bool stream)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Sse(("reasoning_content", "I could run " + Call[..30]), ("reasoning_content", Call[30..] + " but that loses work"), ("content", "Done."))));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string answer = await AskAsync(proxy, dialect, stream);
        Assert.Equal("Done.", TextOf(dialect, stream, answer));
        Assert.Equal(0, CallsIn(answer, stream, dialect));
        if (!stream) Assert.Equal($"I could run {Call} but that loses work", ThinkingOf(dialect, answer));
    }

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task CallInThinkingAndNothingElse_IsMadeOnce(string dialect, bool stream)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Sse(("reasoning_content", "I run it. " + Call))));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string answer = await AskAsync(proxy, dialect, stream);
        Assert.Equal(1, CallsIn(answer, stream, dialect));
        Assert.DoesNotContain("tool_call>", answer, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Dialect.AllBothWays), MemberType = typeof(Dialect))]
    public async Task SameCallAsTextAndAsADelta_IsMadeOnce(string dialect, bool stream)
    {
        string real = Chunk("""
            "tool_calls":[{"index":0,"id":"r","type":"function","function":{"name":"run","arguments":"{\"command\":\"rm -r build\"}"}}]
            """.Trim());
        string text = Chunk($"\"content\":{JsonSerializer.Serialize(Call)}");
        foreach (string both in new[] { text + real, real + text })
        {
            await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(both + Chunk("", "\"tool_calls\"") + "data: [DONE]\n\n"));
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
            string answer = await AskAsync(proxy, dialect, stream);
            Assert.Equal(1, CallsIn(answer, stream, dialect));
            Assert.Equal("", TextOf(dialect, stream, answer));
        }
    }

    [Theory]
    [MemberData(nameof(Dialect.All), MemberType = typeof(Dialect))]
    public async Task WholeAnswerWithALoneClosingTag_IsSplit(string dialect)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Sse(("content", "thoughts,\n\nmany"), ("content", "\n</thi"), ("content", "nk>\n\nThe "), ("content", "answer."))));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string answer = await AskAsync(proxy, dialect, stream: false);
        Assert.Equal("The answer.", Dialect.TextOf(dialect, answer));
        Assert.Equal("thoughts,\n\nmany", ThinkingOf(dialect, answer));
    }

    [Theory]
    [MemberData(nameof(Dialect.All), MemberType = typeof(Dialect))]
    public async Task StreamsWithALoneClosingTag_AreReadAsThinkingFromTheThirdOn_UntilOneHasNone(string dialect)
    {
        bool closes = true;
        await using RawUpstream upstream = new(exchange => exchange.SendAsync(RawUpstream.Sse(closes ? Sse(("content", "thoughts"), ("content", "\n</think>\n\n"), ("content", "The answer.")) : Sse(("content", "Only "), ("content", "words.")))));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        for (int i = 0; i < 2; i++) Assert.Equal("thoughts\nThe answer.", StreamText.Content(await AskAsync(proxy, dialect, stream: true)));
        Assert.Equal("The answer.", StreamText.Content(await AskAsync(proxy, dialect, stream: true)));
        closes = false;
        Assert.Equal("Only words.", StreamText.Content(await AskAsync(proxy, dialect, stream: true)));
        closes = true;
        Assert.Equal("thoughts\nThe answer.", StreamText.Content(await AskAsync(proxy, dialect, stream: true)));
    }

    [Fact]
    public async Task StreamWithThinkingSwitchedOff_IsTextThoughTheModelWasSeenToThink()
    {
        bool closes = true;
        await using RawUpstream upstream = new(exchange => exchange.SendAsync(RawUpstream.Sse(closes ? Sse(("content", "thoughts\n</think>\n\nThe answer.")) : Sse(("content", "Only words.")))));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        for (int i = 0; i < 2; i++) await AskAsync(proxy, Dialect.Chat, stream: true);
        closes = false;
        foreach (string off in new[] { "\"enable_thinking\":false", "\"chat_template_kwargs\":{\"enable_thinking\":false}", "\"reasoning_effort\":\"none\"", "\"thinking\":{\"type\":\"disabled\"}" })
        {
            string answer = await AskAsync(proxy, Dialect.Chat, stream: true, Body(Dialect.Chat, true).Replace("\"stream\"", off + ",\"stream\"", StringComparison.Ordinal));
            Assert.Equal("", StreamText.Reasoning(answer));
            Assert.Equal("Only words.", StreamText.Content(answer));
        }

        Assert.Equal("Only words.", StreamText.Reasoning(await AskAsync(proxy, Dialect.Chat, stream: true)));
    }
}
