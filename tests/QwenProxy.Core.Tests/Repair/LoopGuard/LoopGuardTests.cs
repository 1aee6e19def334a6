using System.Text;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.LoopGuard;

public sealed class LoopGuardTests
{
    private static RepairRun Run(string sse, out LoopGuardStage stage, RepairMode mode = RepairMode.On)
    {
        LoopGuardStage? made = null;
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(), c => [made = new LoopGuardStage(c, mode)]);
        stage = made!;
        return run;
    }

    public static TheoryData<string, int> Loops => new()
    {
        { "I will now check the file again and see.\n", 400 },
        { "Let me think about this from the beginning. ", 400 },
        { "Wait,\n", 2000 },
        { "!", 40_000 },
        { "步骤一：检查文件。\n步骤二：再检查一次。\n", 400 },
    };

    [Theory]
    [MemberData(nameof(Loops))]
    public void BlockRepeatedWithoutEnd_EndsWithLengthAndNothingMore(string block, int times)
    {
        string intro = "Here is my plan. First I read, then I write.\n\n";
        string text = intro + string.Concat(Enumerable.Repeat(block, times));
        string sse = Sse.Stream(Sse.Every(text, 11));
        RepairRun run = Run(sse, out LoopGuardStage stage);
        Assert.True(stage.Triggered);
        Assert.Equal("length", run.FinishReason);
        Assert.StartsWith(run.Content, text, StringComparison.Ordinal);
        Assert.True(run.Content.Length < text.Length);
        Assert.EndsWith("data: [DONE]\n\n", run.Stream, StringComparison.Ordinal);
        RepairRun observed = Run(sse, out LoopGuardStage observer, RepairMode.Observe);
        Assert.Equal(sse, observed.Stream);
        Assert.False(observer.Triggered);
        Assert.Single(observed.Context.Report.Decisions);
    }

    [Fact]
    public void LoopInThinking_IsStoppedToo()
    {
        string text = string.Concat(Enumerable.Repeat("Hmm, let me reconsider the whole question once more.\n", 300));
        RepairRun run = Run(Sse.Stream(Sse.Every(text, 20), "reasoning_content"), out LoopGuardStage stage);
        Assert.True(stage.Triggered);
        Assert.Equal("length", run.FinishReason);
    }

    public static TheoryData<string> Honest => new()
    {
        string.Concat(Enumerable.Range(0, 3000).Select(i => $"| {i} | 0 | 0 | 0 |\n")),
        new string('-', 8000) + "\nend",
        string.Concat(Enumerable.Repeat("the same line is written twenty times here\n", 20)),
        string.Concat(Enumerable.Repeat("x = 1\n", 500)) + "done",
        string.Concat(Enumerable.Repeat(new string('\n', 1) + "    ", 900)),
    };

    [Theory]
    [MemberData(nameof(Honest))]
    public void TextWithRepetitionButAnEnd_PassesByteForByte(string text)
    {
        string sse = Sse.Stream(Sse.Every(text, 13));
        RepairRun run = Run(sse, out LoopGuardStage stage);
        Assert.False(stage.Triggered, Encoding.UTF8.GetByteCount(text).ToString());
        Assert.Equal(sse, run.Stream);
    }

    [Fact]
    public void LoopInToolArguments_IsNotJudged()
    {
        StringBuilder sse = new(Sse.Tool("{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{" +
            "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[\"}}"));
        for (int i = 0; i < 2000; i++) sse.Append(Sse.Tool("{\"index\":0,\"function\":{\"arguments\":\"[0, 0, 0, 0, 0, 0, 0, 0],\"}}"));
        sse.Append(Sse.End());
        Assert.Equal(sse.ToString(), Run(sse.ToString(), out _).Stream);
    }
}
