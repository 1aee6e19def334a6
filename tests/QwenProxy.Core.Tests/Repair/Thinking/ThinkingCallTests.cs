using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;
using QwenProxy.Core.Tests.Repair.ToolCalls;

namespace QwenProxy.Core.Tests.Repair.Thinking;

/// <summary>A call in thinking is real only when no visible text and no real call follows; the same call twice is one.</summary>
public sealed class ThinkingCallTests
{
    private const string Run = "<tool_call>\n{\"name\": \"run\", \"arguments\": {\"command\": \"rm -r build\"}}\n</tool_call>";
    private const string RunTags = "<tool_call>\n<function=run>\n<parameter=command>\nrm -r build\n</parameter>\n</function>\n</tool_call>";

    public static TheoryData<string, string, string> Thoughts => new()
    {
        { $"I could run {Run} but that loses work", "Done.", $"Done.|I could run {Run} but that loses work||stop" },
        { $"I could run {RunTags} but that loses work", "Done.", $"Done.|I could run {RunTags} but that loses work||stop" },
        { $"Hm. {Run}", "\n\nDone.", $"\n\nDone.|Hm. {Run}||stop" },
        { $"Hm. {Run}", RunTags, $"|Hm. {Run}|run({{\"command\":\"rm -r build\"}})|tool_calls" },
        { $"Hm. {Run}", "", "|Hm. |run({\"command\": \"rm -r build\"})|tool_calls" },
        { $"Hm. {Run}\nSo be it.", "", "|Hm. \nSo be it.|run({\"command\": \"rm -r build\"})|tool_calls" },
        { $"Hm. {Run}", "\n \n", "|Hm. |run({\"command\": \"rm -r build\"})|tool_calls" },
    };

    private static RepairRun Of(string sse, bool whole = false, RepairMode mode = RepairMode.On, Action<RepairChain, int>? after = null, int limit = 4096) =>
        RepairRun.Of(sse, RepairRun.NewContext(RunTools, limit, whole: whole), c => Stages(c, mode), after);

    internal static RepairStage[] Stages(RepairContext context, RepairMode mode)
    {
        int ids = 0;
        string Mint() => $"call_{++ids}";
        AnswerTextStage text = new(context, mode, TextTags.Thinking | TextTags.Calls, Mint);
        return [text, new ToolDeltaStage(context, mode, Mint), new RepeatedCallStage(context, mode, text.HasMade)];
    }

    internal const string RunTools = """
        [{"type":"function","function":{"name":"run","parameters":{"type":"object",
           "properties":{"command":{"type":"string"},"list":{"type":"array"},"map":{"type":"object"}}}}}]
        """;

    private static string Stream(IEnumerable<string> thinking, IEnumerable<string> content, string finish = "stop") =>
        Sse.Delta("\"role\":\"assistant\"") + string.Concat(thinking.Select(t => Sse.Text(t, "reasoning_content"))) +
        string.Concat(content.Select(t => Sse.Text(t))) + Sse.End(finish);

    [Theory]
    [MemberData(nameof(Thoughts))]
    public void CallInTheThinkingField_CutAnywhere_IsRealOnlyWhenNothingFollows(string thinking, string content, string seen)
    {
        foreach (string[] pieces in Sse.Cuts(thinking))
        {
            RepairRun run = Of(Stream(pieces, content.Length == 0 ? [] : Sse.Every(content, pieces.Length)));
            Assert.Equal(seen, Trimmed(run));
            Assert.Equal(0, run.Context.HeldBytes);
        }
    }

    [Theory]
    [MemberData(nameof(Thoughts))]
    public void CallInThinkTags_CutAnywhere_IsRealOnlyWhenNothingFollows(string thinking, string content, string seen)
    {
        string text = $"<think>\n{thinking}\n</think>\n\n{content}";
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Of(Sse.Stream(pieces));
            Assert.Equal(seen.TrimStart('\n'), Trimmed(run).TrimStart('\n'));
            Assert.Equal(0, run.Context.HeldBytes);
        }
    }

    /// <summary>White space where a call was taken out is free.</summary>
    private static string Trimmed(RepairRun run) => run.Calls.Length == 0 ? run.Seen : $"{run.Content.Trim()}|{run.Reasoning}|{string.Join('+', run.Calls)}|{run.FinishReason}";

    [Theory]
    [MemberData(nameof(Thoughts))]
    public void WholeEvent_SaysTheSame(string thinking, string content, string seen)
    {
        string sse = Sse.Delta($"\"role\":\"assistant\",\"reasoning_content\":{Sse.Quote(thinking)},\"content\":{Sse.Quote(content)}", "stop");
        Assert.Equal(seen, Trimmed(Of(sse)));
        Assert.Equal(seen, Trimmed(Of(sse, whole: true)));
    }

    [Fact]
    public void RealCallBehindThinking_IsTheOnlyOne()
    {
        string real = Sse.Tool("{\"index\":0,\"id\":\"r\",\"type\":\"function\",\"function\":{\"name\":\"run\",\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"}}");
        RepairRun run = Of(Sse.Text($"Hm. {Run}", "reasoning_content") + real + Sse.End("tool_calls"));
        Assert.Equal($"|Hm. {Run}|run({{\"command\":\"ls\"}})|tool_calls", run.Seen);
    }

    [Theory]
    [InlineData("length")]
    [InlineData("content_filter")]
    public void AnswerThatWasCutInThinking_MakesNoCall(string finish) =>
        Assert.Equal($"|Hm. {Run}||{finish}", Of(Stream([$"Hm. {Run}"], [], finish)).Seen);

    [Fact]
    public void WordsOfTheCall_AreShownAsThinkingBeforeTheAnswerThatFollows()
    {
        string stream = Of(Stream(Sse.Every($"Hm. {Run}\nNo.", 5), ["Done."])).Stream;
        Assert.True(stream.LastIndexOf("\"reasoning_content\"", StringComparison.Ordinal) < stream.IndexOf("Done.", StringComparison.Ordinal));
    }

    [Fact]
    public void CallTooLargeToWithhold_IsShownAsThinking_AndIsRealAllTheSame()
    {
        string command = new('x', 600);
        string call = RunTags.Replace("rm -r build", command, StringComparison.Ordinal);
        int most = 0;
        RepairContext context = RepairRun.NewContext(RunTools, limit: 200);
        RepairRun run = RepairRun.Of(Stream(Sse.Every("Hm. " + call, 20), []), context, c => Stages(c, RepairMode.On),
            (_, _) => most = Math.Max(most, context.HeldBytes));
        Assert.Equal($"run({{\"command\":\"{command}\"}})", Assert.Single(run.Calls));
        Assert.Equal("Hm. " + call, run.Reasoning);
        Assert.InRange(most, 1, 200);
        Assert.Equal($"ok|Hm. {call}||stop", Of(Stream(Sse.Every("Hm. " + call, 20), ["ok"]), limit: 200).Seen);
    }

    [Fact]
    public void Observed_NothingIsChanged()
    {
        string sse = Stream(Sse.Every($"Hm. {Run}", 7), ["Done."]);
        Assert.Equal(sse, Of(sse, mode: RepairMode.Observe, after: (chain, _) => Assert.False(chain.IsHolding)).Stream);
    }

    [Theory]
    [InlineData("<think>\nI write it.\n<tool_call>\n<function=run>\n<parameter=command>\necho '\n</think>\n'\n</parameter>\n</function>\n</tool_call>\n</think>",
        "|I write it.\n|run({\"command\":\"echo '\\n</think>\\n'\"})|tool_calls")]
    [InlineData("<think>\nI write it.\n<tool_call>\n<function=run>\n<parameter=command>\nls\n</think>\n\nThe answer.",
        "The answer.|I write it.\n<tool_call>\n<function=run>\n<parameter=command>\nls||stop")]
    [InlineData("<tool_call>\n<function=run>\n<parameter=command>\nsed '\n</think>\n' \"<think>not a thought</think>\"\n</parameter>\n</function>\n</tool_call>",
        "||run({\"command\":\"sed '\\n</think>\\n' \\\"<think>not a thought</think>\\\"\"})|tool_calls")]
    public void ThinkTagsInACall_AreText(string text, string seen)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            Assert.Equal(seen, Collapse(Of(Sse.Stream(pieces))));
            Assert.Equal(seen, Collapse(Of(Sse.Stream(pieces), whole: true)));
        }
    }

    private static string Collapse(RepairRun run) => run.Calls.Length == 0 ? run.Seen.Replace("ls\n|", "ls|", StringComparison.Ordinal)
        : $"{run.Content.Trim()}|{run.Reasoning.Replace("\n\n", "\n", StringComparison.Ordinal)}|{string.Join('+', run.Calls)}|{run.FinishReason}";

    private static string Real(string json, string id = "r", int index = 0, int cut = 6) =>
        Sse.Tool($"{{\"index\":{index},\"id\":\"{id}\",\"type\":\"function\",\"function\":{{\"name\":\"run\",\"arguments\":{Sse.Quote(json[..cut])}}}}}") +
        Sse.Tool($"{{\"index\":{index},\"function\":{{\"arguments\":{Sse.Quote(json[cut..])}}}}}");

    [Theory]
    [InlineData("{\"command\": \"rm -r build\"}")]
    [InlineData("{ \"command\" : \"rm -r\\u0020build\" }")]
    public void SameCallInTextAndAsARealOne_IsOne(string json)
    {
        string head = Sse.Delta("\"role\":\"assistant\"");
        foreach (string[] pieces in Sse.Cuts(RunTags))
        {
            string text = string.Concat(pieces.Select(p => Sse.Text(p)));
            RepairRun textFirst = Of(head + text + Real(json) + Sse.End("tool_calls"));
            Assert.Equal("||run({\"command\":\"rm -r build\"})|tool_calls", textFirst.Seen);
            RepairRun realFirst = Of(head + Real(json) + text + Sse.End());
            Assert.Equal($"||run({json})|tool_calls", realFirst.Seen);
            RepairRun thinking = Of(head + Real(json) + Sse.Text(RunTags, "reasoning_content") + Sse.End());
            Assert.Equal($"||run({json})|tool_calls", thinking.Seen);
        }
    }

    [Fact]
    public void OtherArguments_AreAnotherCall()
    {
        RepairRun run = Of(Sse.Text(RunTags) + Real("{\"command\": \"ls\"}") + Real("{\"command\": \"rm -r build\"}", "s", 1) +
            Real("{\"command\": \"rm -r build\"}", "t", 2) + Sse.End("tool_calls"));
        Assert.Equal("||run({\"command\":\"rm -r build\"})+run({\"command\": \"ls\"})+run({\"command\": \"rm -r build\"})|tool_calls", run.Seen);
        Assert.Equal([0, 1, 2], run.Message.GetProperty("tool_calls").EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
    }

    [Fact]
    public void RepetitionThatComesInTurnsWithAnotherCall_IsFound()
    {
        static string Piece(int index, string json, string head = "") => Sse.Tool($"{{\"index\":{index}{head},\"function\":{{{(head.Length > 0 ? "\"name\":\"run\"," : "")}\"arguments\":{Sse.Quote(json)}}}}}");
        string turns = Piece(0, "{\"command\": ", ",\"id\":\"a\"") + Piece(1, "{\"command\": ", ",\"id\":\"b\"") + Piece(0, "\"rm -r build\"}") + Piece(1, "\"ls\"}");
        RepairRun run = Of(Sse.Text(RunTags) + turns + Sse.End("tool_calls"));
        Assert.Equal("||run({\"command\":\"rm -r build\"})+run({\"command\": \"ls\"})|tool_calls", run.Seen);
    }

    [Fact]
    public void TwoEqualCallsOfOneKind_AreTwo()
    {
        string twice = Real("{\"command\": \"ls\"}") + Real("{\"command\": \"ls\"}", "s", 1);
        string sse = Sse.Delta("\"role\":\"assistant\"") + twice + Sse.End("tool_calls");
        Assert.Equal(sse, Of(sse).Stream);
        Assert.Equal(2, Of(Sse.Text(RunTags + RunTags) + Sse.End()).Calls.Length);
    }

    [Fact]
    public void RealCallThatMayRepeat_IsSaidAtTheEndOfAStreamWithoutFinish()
    {
        RepairRun run = Of(Sse.Text(RunTags) + Real("{\"command\": \"ls\"}"));
        Assert.Equal(2, run.Calls.Length);
    }

    [Theory]
    [InlineData("{\"a\":[1,{\"b\":null}],\"c\":\"x\\ny\"}", "{ \"c\" : \"x\\u000ay\", \"a\" : [ 1, {\"b\" : null} ] }", true)]
    [InlineData("{\"e\":\"😀é\"}", "{\"e\":\"\\ud83d\\ude00\\u00e9\"}", true)]
    [InlineData("{}", " { } ", true)]
    [InlineData("{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false)]
    [InlineData("{\"a\":[1,2]}", "{\"a\":[2,1]}", false)]
    [InlineData("{\"a\":\"1\"}", "{\"a\":1}", false)]
    [InlineData("{\"a\":[]}", "{\"a\":{}}", false)]
    [InlineData("{\"a\":{\"b\":1}}", "{\"a\":1,\"b\":1}", false)]
    [InlineData("{\"a\":\"x\"}", "{\"a\":\"x\"", false)]
    [InlineData("{\"a\":true}", "{\"a\":false}", false)]
    public void Digest_TellsWhatJsonSays(string one, string two, bool same)
    {
        JsonDigest first = new(), second = new();
        first.Add(System.Text.Encoding.UTF8.GetBytes(one));
        foreach (byte value in System.Text.Encoding.UTF8.GetBytes(two)) second.Add([value]);
        Assert.Equal(same, first.IsSame(second));
    }
}
