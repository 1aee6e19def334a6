using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>Texts made of pieces of tags in any order: whatever comes out must not depend on how upstream cut it.</summary>
public sealed class TagFuzzTests
{
    private static readonly string[] Pieces =
    [
        "<tool_call>", "</tool_call>", "<function=", "read_file", ">", "<function=read_file>", "</function>", "<parameter=", "path",
            "<parameter=path>", "</parameter>", "<parameter=limit>",
        "{\"name\": \"read_file\", \"arguments\": ", "{\"path\": \"a\"}", "{", "}", "\"", "\\", ": ", ", ", "\"name\"", "\"arguments\"", "\n", "\n\n",
            "\r\n", " ", "`", "```", "<", "</", "5", "汉", "😀",
        "<invoke name=\"read_file\">", "<parameter name=\"path\">", "</invoke>", "<function_calls>", "</function_calls>", "</parameter>\n</function>",
        "\n</think>\n", "\"<think>", "``` ",
        "<think>", "</think>", "<thinking>", "word", "list_all", "<function=list_all>", "\\u00e9", "[1, 2]", "    ", "~~~\n", "'",
            "<tool_call>\n<function=read_file>\n<parameter=path>\n",
    ];

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(20260106)]
    public void AnyMixOfTags_GivesTheSameHoweverItIsCut(int seed)
    {
        Random random = new(seed);
        for (int i = 0; i < 1500; i++)
        {
            string text = string.Concat(Enumerable.Range(0, 1 + random.Next(14)).Select(_ => Pieces[random.Next(Pieces.Length)]));
            string field = random.Next(3) == 0 ? "reasoning_content" : "content";
            string finish = random.Next(4) == 0 ? "length" : "stop";
            bool isWhole = random.Next(3) == 0, beginsThinking = random.Next(4) == 0;
            string expected = text + "\n=> " + Run([text]);
            Assert.Equal(expected, text + "\n=> " + Run(Sse.Every(text, 1)));
            Assert.Equal(expected, text + "\n=> " + Run(Sse.Every(text, 2 + random.Next(9))));

            string Run(string[] pieces) => TagFuzzTests.Run(pieces, field, finish, isWhole, beginsThinking).Seen;
        }
    }

    [Theory]
    [InlineData(13)]
    [InlineData(20260107)]
    public void AnyMixOfTagsWithoutDeclaredTools_WithTimersFiring_LosesNothing(int seed)
    {
        Random random = new(seed);
        for (int i = 0; i < 1500; i++)
        {
            string text = "x " + string.Concat(Enumerable.Range(0, 1 + random.Next(14)).Select(_ =>
                Pieces[random.Next(Pieces.Length)])).Replace("think", "thing", StringComparison.Ordinal);
            string tools = random.Next(2) == 0 ? "" : "[{\"function\":{\"name\":\"other\"}}]";
            string sse = Sse.Stream(Sse.Every(text, 1 + random.Next(7)));
            RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(tools, limit: 24), Stages, (chain, number) =>
            {
                if (number % 3 == 0) chain.LetGo();
            });
            Assert.Equal(sse, run.Stream);
        }
    }

    private static RepairRun Run(string[] pieces, string field, string finish, bool isWhole, bool beginsThinking)
    {
        RepairContext context = RepairRun.NewContext(LeakedCallTests.Tools, whole: isWhole, beginsThinking: beginsThinking);
        RepairRun run = RepairRun.Of(Sse.Stream(pieces, field, finish), context, Stages);
        Assert.Equal(0, run.Context.HeldBytes);
        return run;
    }

    private static RepairStage[] Stages(RepairContext c)
    {
        int ids = 0;
        string Mint() => $"id_{++ids}";
        return [new AnswerTextStage(c, RepairMode.On, TextTags.Thinking | TextTags.Calls, Mint), new ToolDeltaStage(c, RepairMode.On, Mint)];
    }
}
