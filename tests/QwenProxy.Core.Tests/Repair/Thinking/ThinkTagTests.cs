using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.Thinking;

public sealed class ThinkTagTests
{
    private static RepairRun Run(string sse, RepairMode mode = RepairMode.On, bool unify = false, Action<RepairChain, int>? afterEvent = null) =>
        RepairRun.Of(sse, RepairRun.NewContext(unify: unify), c => [new AnswerTextStage(c, mode, TextTags.Thinking, () => "")], afterEvent);

    public static TheoryData<string, string, string> Tagged => new()
    {
        { "<think>\nI look.\n</think>\n\nThe answer.", "I look.", "The answer." },
        { "<think>I look.</think>The answer.", "I look.", "The answer." },
        { "<thinking>\nI look.\n</thinking>\n\nThe answer.", "I look.", "The answer." },
        { "\n<think>\r\nI look.\r\n</think>\r\n\r\nThe answer.", "I look.", "The answer." },
        { "<think>\n\n</think>\n\nThe answer.", "", "The answer." },
        { "<think>a < b, the `</think>` tag\n\nand more\n</think>\nyes </think> stays", "a < b, the `</think>` tag\n\nand more",
            "yes </think> stays" },
        { "<think>\n```\n a </think> b\n```\nend\n</think>\n\nok", "```\n a </think> b\n```\nend", "ok" },
        { "<think>\n```\n</think>\nThe answer.", "```", "The answer." },
        { "<think>\nWait. ``` \n\n</think>\nThe answer is 4.", "Wait. ``` \n", "The answer is 4." },
        { "Wait. ``` \n</think>\n\nThe answer", "", "Wait. ``` \nThe answer" },
        { "<think>He said \"<think>x</think>\" and \"</think>\".</think>ok", "He said \"<think>x</think>\" and \"</think>\".", "ok" },
        { "<think>He said \"no\"</think>ok", "He said \"no\"", "ok" },
        { "He typed \"<think>\" first.\n</think>\n\nok", "", "He typed \"<think>\" first.\nok" },
        { "<think>\n```\nopen fence\n</think>\n\nok", "```\nopen fence", "ok" },
        { "<think>never closed 😀", "never closed 😀", "" },
        { "<think>思考</think>\n\n\n汉字", "思考", "\n汉字" },
        { "I look.\n</think>\n\nThe answer.", "", "I look.\nThe answer." },
        { "I look.</think>The answer.", "", "I look.The answer." },
        { "</think>\n\nThe answer.", "", "The answer." },
        { "I think so </think> 42", "", "I think so  42" },
        { "I think so. </think>\n\nYes.", "", "I think so. Yes." },
    };

    [Theory]
    [MemberData(nameof(Tagged))]
    public void ThinkTagsInContent_CutAnywhere_BecomeReasoning(string text, string reasoning, string content)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Run(Sse.Stream(pieces));
            Assert.Equal($"{content}|{reasoning}||stop", run.Seen);
            Assert.Equal(0, run.Context.HeldBytes);
        }
    }

    public static TheoryData<string> Plain => new()
    {
        "The </think> tag closes what <think> opens.",
        "Write `</think>` at the end.",
        "```\n<think>\nx\n</think>\n```\n",
        "Sure: <think>x</think> is how it looks.",
        "a < b </thing> <thin <t",
        "<thin",
        "\n\nHello",
        "\n",
        "    indented\n        more",
        "<div>think</div>",
        "`<think>` opens (</think>) and \"</think>\" closes",
        "The answer begins after </think>\nand nowhere else.",
        "The answer begins after </think>\r\nand nowhere else.",
        "He typed \"<think>hi</think>\" twice.",
        "Er schrieb „</think>“, dann 「</think>」, **</think>** und [</think>].",
    };

    [Theory]
    [MemberData(nameof(Plain))]
    public void TextThatIsNoThinking_CutAnywhere_PassesByteForByte(string text)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            string sse = Sse.Stream(pieces);
            Assert.Equal(sse, Run(sse).Stream);
        }
    }

    [Theory]
    [MemberData(nameof(Tagged))]
    public void ObserveMode_CountsAndEditsNothing(string text, string reasoning, string content)
    {
        Assert.NotNull(reasoning + content);
        string sse = Sse.Stream(Sse.Every(text, 3));
        RepairRun run = Run(sse, RepairMode.Observe, afterEvent: (chain, _) => Assert.False(chain.IsHolding));
        Assert.Equal(sse, run.Stream);
        Assert.Single(run.Context.Report.Counts, c => c.Key.Action == RepairAction.Observed);
    }

    [Fact]
    public void WholeAnswerInOneEvent_IsSplitInOrder()
    {
        string sse = Sse.Delta("\"role\":\"assistant\",\"content\":\"<think>a</think>b\"", "stop") + "data: [DONE]\n\n";
        RepairRun run = Run(sse);
        Assert.Equal("b|a||stop", run.Seen);
        Assert.True(run.Stream.IndexOf("\"reasoning_content\":\"a\"", StringComparison.Ordinal) < run.Stream.IndexOf("\"content\":\"b\"",
            StringComparison.Ordinal));
        Assert.True(run.Stream.IndexOf("\"content\":\"b\"", StringComparison.Ordinal) < run.Stream.IndexOf("\"stop\"", StringComparison.Ordinal));
    }

    [Fact]
    public void NewlineOfAnAnswerAfterThinkingInItsField_IsNotHeld()
    {
        string sse = Sse.Text("hm", "reasoning_content") + Sse.Text("\n\n") + Sse.Text("Hello") + Sse.End();
        Assert.Equal(sse, Run(sse, afterEvent: (chain, _) => Assert.False(chain.IsHolding)).Stream);
    }

    [Fact]
    public void TimeIsUpForAPossibleTag_ItPassesAsItCameAndTheRestIsText()
    {
        string sse = Sse.Text("<th") + Sse.Text("ink>a") + Sse.End();
        RepairRun run = Run(sse, afterEvent: (chain, number) =>
        {
            Assert.Equal(number == 1, chain.IsHolding);
            chain.LetGo();
            Assert.False(chain.IsHolding);
        });
        Assert.Equal(sse, run.Stream);
    }

    [Fact]
    public void MirroredReasoning_IsShownInOneField()
    {
        string sse = Sse.Delta("\"reasoning\":\"a\\n\",\"reasoning_content\":\"a\\n\"") +
            Sse.Delta("\"reasoning_content\":\"b\",\"reasoning\":\"b\"") + Sse.Text("c") + Sse.End();
        RepairRun run = Run(sse);
        Assert.Equal("c|a\nb||stop", run.Seen);
        Assert.DoesNotContain("\"reasoning\":\"", run.Stream, StringComparison.Ordinal);
        Assert.Equal(sse, Run(sse, RepairMode.Observe).Stream);
    }

    [Fact]
    public void LoneReasoningField_StaysAsItCame_OrIsRenamedWhenAsked()
    {
        string sse = Sse.Delta("\"reasoning\":\"a\"") + Sse.Delta("\"content\":\"c\",\"reasoning\":\"b\"") + Sse.End();
        Assert.Equal(sse, Run(sse).Stream);
        RepairRun unified = Run(sse, unify: true);
        Assert.Equal("c|ab||stop", unified.Seen);
        Assert.DoesNotContain("\"reasoning\":\"", unified.Stream, StringComparison.Ordinal);
    }

    [Fact]
    public void TwoChoices_AreSplitSeparately()
    {
        string sse = Sse.Delta("\"content\":\"<thi\"", null, 0) + Sse.Delta("\"content\":\"x < \"", null, 1) +
            Sse.Delta("\"content\":\"y\"", null, 1) +
            Sse.Delta("\"content\":\"nk>a</think>b\"", null, 0) + Sse.Delta("", "stop", 1) + Sse.Delta("", "stop", 0) + "data: [DONE]\n\n";
        RepairRun run = Run(sse);
        Assert.Equal("b|a||stop", run.Seen);
        Assert.Equal("x < y", run.Whole.GetProperty("choices")[1].GetProperty("message").GetProperty("content").GetString());
    }
}
