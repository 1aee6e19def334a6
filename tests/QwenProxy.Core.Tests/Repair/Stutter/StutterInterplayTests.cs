using System.Text;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Corpus;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.Stutter;

/// <summary>A stutter in front of the stages that read tags: what they make of the repaired stream is what they make of a healthy one.</summary>
public sealed class StutterInterplayTests
{
    private const string Tools =
        """[{"type":"function","function":{"name":"write","parameters":{"type":"object","properties":{"path":{"type":"string"},"body":{"type":"string"}}}}}]""";

    private static readonly string[] Texts =
    [
        "<think>Let me look at the file first.</think>The file holds two lines.",
        "I will write it now.\n<tool_call>\n{\"name\": \"write\", \"arguments\": {\"path\": \"a.txt\", \"body\": \"one\\ntwo\"}}\n</tool_call>",
        "<tool_call>\n<function=write>\n<parameter=path>\na.txt\n</parameter>\n<parameter=body>\nimport os\nimport os\n</parameter>\n</function>\n</tool_call>",
        "<think>A call it is.</think>\n\n<tool_call>{\"name\":\"write\",\"arguments\":{\"path\":\"a\",\"body\":\"b\"}}</tool_call>",
        "The tag `<tool_call>` opens a call, and `</think>` closes a thought.",
    ];

    public static TheoryData<int, int> Cases()
    {
        TheoryData<int, int> cases = [];
        for (int text = 0; text < Texts.Length; text++)
        {
            foreach (Pattern pattern in new[] { Pattern.FirstTwice, Pattern.GrowingStart, Pattern.Cumulative, Pattern.Late }) cases.Add(text, (int)pattern);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void StutterBeforeTags_ReadsAsTheHealthyStream(int text, int pattern)
    {
        string healthy = Seen(ChunkWriter.Stream(Lane.Content, [new Delta(Texts[text])]));
        Random random = new(StutterCorpus.FixedSeed + pattern);
        for (int i = 0; i < 60; i++)
        {
            List<string> pieces = CorpusStreams.CutLikeTokens(Texts[text], random);
            if (pieces.Count < 6) continue;
            List<Delta> deltas = CorpusStreams.Deltas((Pattern)pattern, pieces, random, mark: pattern is (int)Pattern.FirstTwice or (int)Pattern.GrowingStart);
            Assert.Equal(healthy, Seen(ChunkWriter.Stream(Lane.Content, deltas)));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void BlockUnderIdsAmongTags_ReadsAsTheHealthyStream(int text)
    {
        string healthy = Seen(ChunkWriter.Stream(Lane.Content, [new Delta(Texts[text])]));
        Random random = new(StutterCorpus.FixedSeed + text);
        for (int i = 0; i < 60; i++)
        {
            List<Delta> deltas = [.. CorpusStreams.Cut(Texts[text], random).Select((p, n) => new Delta(p) { FrameId = $"{n}" })];
            if (deltas.Count < 3) continue;
            int at = random.Next(3, deltas.Count + 1), block = random.Next(1, at + 1);
            deltas.InsertRange(at, deltas.GetRange(at - block, block));
            Assert.Equal(healthy, Seen(ChunkWriter.Stream(Lane.Content, deltas)));
        }
    }

    [Fact]
    public void CumulativeCallThatRepeatsItsName_ReadsAsTheHealthyOne()
    {
        static string Call(string arguments, string id) => ChunkWriter.Chunk(
            $"{{\"tool_calls\":[{{\"index\":0,{id}\"type\":\"function\",\"function\":{{\"name\":\"write\",\"arguments\":{ChunkWriter.Quote(arguments)}}}}}]}}");
        string end = ChunkWriter.Chunk("{}", finish: "\"tool_calls\"") + "data: [DONE]\n\n";
        foreach (string id in new[] { "", "\"id\":\"\",", "\"id\":\"call_a\"," })
        {
            string cumulative = Call("", id) + Call("{\"pa", id) + Call("{\"path\":\"a", id) + Call("{\"path\":\"a\"}", id) + end;
            Assert.Equal("||write({\"path\":\"a\"})|tool_calls", Seen(cumulative));
        }
    }

    [Fact]
    public void ThinkingThatIsDecidedByTheEventItSharesWithText_KeepsTheText()
    {
        // Both need unescaping, and the thinking that waits is decided while the text of the same event is at hand.
        static string Both(string thinking, string text) => Sse.Delta($"\"reasoning_content\":{Sse.Quote(thinking)},\"content\":{Sse.Quote(text)}");
        string stream = Sse.Text("a\"b", "reasoning_content") + Both("a\"b", "Say \"yes\" now") + Sse.Text(" or \"no\"") + Sse.End();
        Assert.Equal("Say \"yes\" now or \"no\"|a\"ba\"b||stop", Seen(stream));
    }

    private static string Seen(string sse) => RepairRun.Of(
        sse, new RepairContext { Report = new RepairReport(), Tools = Encoding.UTF8.GetBytes(Tools), KeyOrderMark = true }, Stages).Seen.Trim();

    private static RepairStage[] Stages(RepairContext context)
    {
        int calls = 0;
        string NewId() => $"call_{calls++}";
        return
        [
            new StutterStage(context, StutterMode.Auto), new AnswerTextStage(context, RepairMode.On, TextTags.Thinking | TextTags.Calls, NewId),
            new ToolDeltaStage(context, RepairMode.On, NewId),
        ];
    }
}
