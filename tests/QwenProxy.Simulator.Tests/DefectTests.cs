using System.Text;
using System.Text.Json;
using QwenProxy.Simulator.Answers;

namespace QwenProxy.Simulator.Tests;

public sealed class DefectTests
{
    private const string Text = "The%20Weight%20of%20Words%20is%20here";

    [Fact]
    public async Task StutterS1_FirstDeltaComesTwiceWithTheFirstShape()
    {
        List<string> deltas = await DeltasAsync($"text?say={Text}&with=stutter-s1&marks=1&role=0");
        Assert.Equal(["The", "The", " Weight of W", "ords is h", "ere"], deltas);
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, $"text?say={Text}&with=stutter-s1&marks=1&role=0");
        Assert.Equal(stream.Data[0], stream.Data[1]);
        Assert.StartsWith("""{"choices":[{"finish_reason":null,"logprobs":null,"delta":{"content":"The"},"index":0}]""", stream.Data[0]);
        Assert.StartsWith("""{"choices":[{"delta":{"content":" Weight of W"},"finish_reason":null,""", stream.Data[2]);
    }

    [Fact]
    public async Task StutterPatterns_HaveTheirDeltas()
    {
        Assert.Equal(["The", "The Weight of W", "ords is h", "ere"], await DeltasAsync($"text?say={Text}&with=stutter-s2&events=2"));
        Assert.Equal(["The", "The Weight of W", "The Weight of Words is h", "The", "ere"], await DeltasAsync($"text?say={Text}&with=stutter-s3"));
        Assert.Equal(["The", "The Weight of W", "The Weight of Words is h", "The Weight of Words is here"],
            await DeltasAsync($"text?say={Text}&with=stutter-s4"));
        Assert.Equal(["The", " Weight of W", "The Weight of Words is h", "The Weight of Words is here"],
            await DeltasAsync($"text?say={Text}&with=stutter-s5&from=2"));
        Assert.Equal(["The", "The Weight of W", "ords is h", "ere"], await DeltasAsync($"text?say={Text}&with=stutter-s6&events=2"));
    }

    [Fact]
    public async Task StutterS7AndS8_LastDeltaHoldsTheWhole()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading thinking = await upstream.ReadStreamAsync(Ask.Stream, "stutter-s7");
        Assert.EndsWith(SimulatedAnswers.Meant("thinking", Ask.Stream.Bytes()).Reasoning, thinking.Reasoning);
        Assert.Equal(SimulatedAnswers.Meant("thinking", Ask.Stream.Bytes()).Text, thinking.Content);
        StreamReading calls = await upstream.ReadStreamAsync(Ask.Tools, "stutter-s8?calls=2");
        IReadOnlyList<SimulatedToolCall> meant = SimulatedAnswers.Meant("stutter-s8?calls=2", Ask.Tools.Bytes()).ToolCalls;
        Assert.Equal(2, meant.Count);
        Assert.All(meant, (call, i) => Assert.EndsWith(call.Arguments, calls.Calls[i].Arguments));
        Assert.True(calls.Calls[0].Arguments.Length > meant[0].Arguments.Length);
    }

    [Theory]
    [InlineData("block=2", "The", " Weight of W", "The", " Weight of W", "ords is h", "ere")]
    [InlineData("block=0", "The", " Weight of W", "The", " Weight of W", "ords is h", "ere")]
    [InlineData("block=1", "The", " Weight of W", " Weight of W", "ords is h", "ere")]
    public async Task StutterIds_BlockComesAgain(string block, params string[] deltas) =>
        Assert.Equal(deltas, await DeltasAsync($"text?say={Text}&with=stutter-ids&after=3&{block}"));

    [Fact]
    public async Task StandingCounters_MarkTheRestatedDelta()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, $"text?say={Text}&with=stutter-s1&usage=1&role=0");
        Assert.Equal([3, 3, 6, 9, 12], stream.Data.Take(5).Select(d => d.Json().GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
    }

    [Theory]
    [InlineData("tool-no-index", """[{"id":"ID","type":"function","function":{"name":"read_file","arguments":""}}]""")]
    [InlineData("tool-id-later", """[{"index":0,"type":"function","function":{"name":"read_file","arguments":""}}]""")]
    [InlineData("tool-name-first", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file"}}]""")]
    [InlineData("tool-name-with-brace", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file","arguments":"{\"p"}}]""")]
    [InlineData("tool-index-declared", """[{"index":1,"id":"ID","type":"function","function":{"name":"read_file","arguments":""}}]""")]
    public async Task ToolDelta_OpeningHasItsShape(string scenario, string expected)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Tools, scenario);
        string id = SimulatedAnswers.Meant(scenario, Ask.Tools.Bytes()).ToolCalls[0].Id;
        Assert.Equal(expected.Replace("ID", id), ToolCalls(stream.Data[1]));
    }

    [Theory]
    [InlineData("tool-no-continuation-id", """[{"index":0,"type":"function","function":{"arguments":"{\"p"}}]""")]
    [InlineData("tool-name-null", """[{"index":0,"id":"","type":"function","function":{"name":null,"arguments":"{\"p"}}]""")]
    [InlineData("tool-name-empty", """[{"index":0,"id":"","type":"function","function":{"name":"","arguments":"{\"p"}}]""")]
    [InlineData("tool-id-repeated", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file","arguments":"{\"p"}}]""")]
    public async Task ToolDelta_ContinuationHasItsShape(string scenario, string expected)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Tools, scenario);
        string id = SimulatedAnswers.Meant(scenario, Ask.Tools.Bytes()).ToolCalls[0].Id;
        Assert.Equal(expected.Replace("ID", id), ToolCalls(stream.Data[2]));
    }

    [Theory]
    [InlineData("tool-arguments-first", """[{"index":0,"id":"ID","type":"function","function":{"arguments":ARGS}}]""", """[{"index":0,"type":"function","function":{"name":"read_file"}}]""")]
    [InlineData("tool-head-last", """[{"index":0,"type":"function","function":{"arguments":ARGS}}]""", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file"}}]""")]
    [InlineData("tool-placeholder", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file","arguments":"{}"}}]""", """[{"index":0,"id":"","type":"function","function":{"arguments":"{\"p"}}]""")]
    [InlineData("tool-arguments-twice", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file","arguments":ARGS}}]""", """[{"index":0,"type":"function","function":{"arguments":TWICE}}]""")]
    [InlineData("tool-surplus-brace", """[{"index":0,"id":"ID","type":"function","function":{"name":"read_file","arguments":ARGS}}]""", """[{"index":0,"type":"function","function":{"arguments":"\"}"}}]""")]
    [InlineData("tool-name-pieces", """[{"index":0,"id":"ID","type":"function","function":{"name":"read"}}]""", """[{"index":0,"id":"ID","type":"function","function":{"name":"_file","arguments":""}}]""")]
    public async Task ToolDelta_FirstTwoHaveTheirShape(string scenario, string first, string second)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Tools, scenario);
        SimulatedToolCall meant = SimulatedAnswers.Meant(scenario, Ask.Tools.Bytes()).ToolCalls[0];
        string Fill(string shape) => shape.Replace("ID", meant.Id).Replace("ARGS", Quote(meant.Arguments)).Replace("TWICE", Quote(Quote(meant.Arguments)));
        Assert.Equal(Fill(first), ToolCalls(stream.Data[1]));
        Assert.Equal(Fill(second), ToolCalls(stream.Data[2]));
    }

    [Fact]
    public async Task ToolDeltas_WithTheWrongIdsNamesAndEnds()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        IReadOnlyList<SimulatedToolCall> meant = SimulatedAnswers.Meant("tools-2", Ask.Tools.Bytes()).ToolCalls;
        StreamReading shared = await upstream.ReadStreamAsync(Ask.Tools, "tool-id-shared");
        Assert.Equal([meant[0].Id, meant[0].Id], shared.Calls.OrderBy(c => c.Key).Select(c => c.Value.Id));
        StreamReading constant = await upstream.ReadStreamAsync(Ask.Tools, "tool-id-constant");
        Assert.Equal(["call_1", "call_2"], constant.Calls.OrderBy(c => c.Key).Select(c => c.Value.Id));
        StreamReading each = await upstream.ReadStreamAsync(Ask.Tools, "tool-finish-each");
        Assert.True(each.Data.Count(d => d.Contains("\"finish_reason\":\"stop\"", StringComparison.Ordinal)) > 4);
        Assert.DoesNotContain($"\"name\":\"{meant[1].Name}\"", string.Concat((await upstream.ReadStreamAsync(Ask.Tools, "tool-nameless")).Data), StringComparison.Ordinal);
        Assert.EndsWith(",}", (await upstream.ReadStreamAsync(Ask.Tools, "tool-broken-arguments")).Calls[1].Arguments, StringComparison.Ordinal);
    }

    private static string Quote(string json) => "\"" + json.Replace("\\", "\\\\").Replace("\"", "\\\"") + "\"";

    [Fact]
    public async Task ToolDeltas_OfTheOtherKinds()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        IReadOnlyList<SimulatedToolCall> meant = SimulatedAnswers.Meant("tools-2", Ask.Tools.Bytes()).ToolCalls;
        StreamReading ollama = await upstream.ReadStreamAsync(Ask.Tools, "tool-ollama");
        Assert.Equal("stop", ollama.Finish);
        Assert.Equal(meant[0].Arguments + meant[1].Arguments, ollama.Calls[0].Arguments);
        Assert.Equal(5, ollama.Data.Count);
        StreamReading shared = await upstream.ReadStreamAsync(Ask.Tools, "tool-index-shared");
        Assert.Single(shared.Calls);
        StreamReading mixed = await upstream.ReadStreamAsync(Ask.Tools, "tool-interleaved");
        Assert.Equal(meant.Select(c => c.Arguments), mixed.Calls.OrderBy(c => c.Key).Select(c => c.Value.Arguments));
        Assert.Contains("\"index\":1", mixed.Data[2]);
        StreamReading again = await upstream.ReadStreamAsync(Ask.Tools, "tool-duplicate-finished");
        Assert.Equal(meant[0].Id + meant[0].Id, again.Calls[0].Id);
        StreamReading late = await upstream.ReadStreamAsync(Ask.Tools, "tool-id-later");
        Assert.Equal(meant.Select(c => c.Id), late.Calls.OrderBy(c => c.Key).Select(c => c.Value.Id));
        Assert.Equal("stop", (await upstream.ReadStreamAsync(Ask.Tools, "tool-finish-stop")).Finish);
        Assert.Contains("\"function\":{}", (await upstream.ReadStreamAsync(Ask.Tools, "tool-closing-null")).Data[^3]);
    }

    [Theory]
    [InlineData("leaked-hermes", "Let me look.\n\n<tool_call>\n{\"name\": \"list\", \"arguments\": {\"deep\":true}}\n</tool_call>\n")]
    [InlineData("leaked-xml", "Let me look.\n\n<tool_call>\n<function=list>\n<parameter=deep>\ntrue\n</parameter>\n</function>\n</tool_call>\n")]
    [InlineData("leaked-bare", "Let me look.\n\n<function=list>\n<parameter=deep>\ntrue\n</parameter>\n</function>\n")]
    [InlineData("leaked-unclosed", "Let me look.\n\n<tool_call>\n<function=list>\n<parameter=deep>\ntrue")]
    [InlineData("leaked-unclosed?form=hermes", "Let me look.\n\n<tool_call>\n{\"name\": \"list\", \"arguments\": {\"deep\":true}}")]
    public async Task LeakedCall_StandsInTheText(string scenario, string expected)
    {
        string body = """
            {"model":"m","stream":true,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"list",
            "parameters":{"type":"object","properties":{"deep":{"type":"boolean"}}}}}]}
            """;
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(body, scenario);
        Assert.Equal(expected, stream.Content);
        Assert.Equal(expected, SimulatedAnswers.Said(scenario, body.Bytes()).Text);
        Assert.Empty(stream.Calls);
        Assert.Equal("stop", stream.Finish);
        SimulatedToolCall meant = Assert.Single(SimulatedAnswers.Meant(scenario, body.Bytes()).ToolCalls);
        Assert.Equal(("list", """{"deep":true}"""), (meant.Name, meant.Arguments));
    }

    [Fact]
    public async Task SpoiledAnswers_AreSaidAsDescribed()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        SimulatedAnswer thinking = SimulatedAnswers.Meant("thinking", Ask.Stream.Bytes());
        Assert.Equal($"<think>\n{thinking.Reasoning}\n</think>\n\n{thinking.Text}",
            (await upstream.ReadStreamAsync(Ask.Stream, "think-tags")).Content);
        Assert.Equal($"{thinking.Reasoning}\n</think>\n\n{thinking.Text}", (await upstream.ReadStreamAsync(Ask.Stream, "lone-close-think")).Content);
        StreamReading inReasoning = await upstream.ReadStreamAsync(Ask.Stream, "everything-in-reasoning");
        Assert.Equal(("", thinking.Text), (inReasoning.Content, inReasoning.Reasoning));
        SimulatedToolCall call = SimulatedAnswers.Meant("tools-1", Ask.Tools.Bytes()).ToolCalls[0];
        string twice = (await upstream.ReadStreamAsync(Ask.Tools, "double-encoded-args")).Calls[0].Arguments;
        Assert.Equal(call.Arguments, twice.Json().GetString());
        Assert.Equal(call.Arguments[..(call.Arguments.Length / 2)],
            (await upstream.ReadStreamAsync(Ask.Tools, "truncated-tool-args")).Calls[0].Arguments);
        Assert.Contains("<tool_call>", (await upstream.ReadStreamAsync(Ask.Tools, "leaked-in-thinking")).Reasoning);
        StreamReading loop = await upstream.ReadStreamAsync(Ask.Stream, "loop?times=30");
        Assert.Equal(("length", 30), (loop.Finish, loop.Content.Split("again.").Length - 1));
    }

    [Fact]
    public async Task ReasoningFields_AreNamedAsAsked()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading renamed = await upstream.ReadStreamAsync(Ask.Stream, "reasoning-field");
        Assert.Equal("", renamed.Reasoning);
        Assert.Contains("\"reasoning\":\"", renamed.Data[1]);
        JsonElement delta = (await upstream.ReadStreamAsync(Ask.Stream, "reasoning-mirrored")).Data[1].Json()
            .GetProperty("choices")[0].GetProperty("delta");
        Assert.Equal(delta.GetProperty("reasoning").GetString(), delta.GetProperty("reasoning_content").GetString());
    }

    [Theory]
    [InlineData("crlf")]
    [InlineData("cr")]
    [InlineData("no-space")]
    [InlineData("comments")]
    [InlineData("bom")]
    [InlineData("multi-data-lines")]
    [InlineData("no-last-newline")]
    [InlineData("native-lines")]
    public async Task Framing_SaysTheSameInOtherBytes(string scenario)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        byte[] bytes = await upstream.ChatBytesAsync(Ask.Stream, scenario);
        StreamReading stream = StreamReading.Of(bytes);
        Assert.Equal(SimulatedAnswers.Meant("healthy", Ask.Stream.Bytes()).Text, stream.Content);
        Assert.True(stream.Done);
        string start = Encoding.UTF8.GetString(bytes.AsSpan(0, 40)), end = Encoding.UTF8.GetString(bytes.AsSpan(bytes.Length - 16)),
            all = Encoding.UTF8.GetString(bytes);
        Assert.True(scenario switch
        {
            "crlf" => end.EndsWith("data: [DONE]\r\n\r\n") && !all.Replace("\r\n", "").Contains('\n'),
            "cr" => end.EndsWith("data: [DONE]\r\r") && !all.Contains('\n'),
            "no-space" => start.StartsWith("data:{"),
            "comments" => start.StartsWith(": keep-alive\n\ndata: {") && all.Contains("\n: keep-alive\ndata: {"),
            "bom" => bytes.AsSpan().StartsWith((byte[])[0xEF, 0xBB, 0xBF]),
            "multi-data-lines" => all.Contains(",\ndata: \"id\""),
            "no-last-newline" => end.EndsWith("data: [DONE]"),
            _ => all.StartsWith("id:1\nevent:result\n:HTTP_STATUS/200\ndata: "),
        });
    }

    [Theory]
    [InlineData("no-done", "stop", false)]
    [InlineData("no-finish", null, false)]
    [InlineData("no-finish?done=1", null, true)]
    [InlineData("error-finish", "error_finish", true)]
    [InlineData("length", "length", true)]
    public async Task End_IsAsNamed(string scenario, string? finish, bool done)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, scenario);
        Assert.Equal((finish, done), (stream.Finish, stream.Done));
    }

    private static async Task<List<string>> DeltasAsync(string scenario)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, scenario);
        return [.. stream.Data.Where(d => d != "[DONE]").Select(d => d.Json().GetProperty("choices")).Where(c => c.GetArrayLength() > 0)
            .Select(c => c[0].GetProperty("delta").GetProperty("content").GetString()!).Where(c => c.Length > 0)];
    }

    private static string ToolCalls(string data) => data.Json().GetProperty("choices")[0].GetProperty("delta").GetProperty("tool_calls").GetRawText();
}
