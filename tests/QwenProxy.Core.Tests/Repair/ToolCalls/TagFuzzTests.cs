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
            string whole = text + "\n=> " + Run([text], field, finish).Seen;
            Assert.Equal(whole, text + "\n=> " + Run(Sse.Every(text, 1), field, finish).Seen);
            Assert.Equal(whole, text + "\n=> " + Run(Sse.Every(text, 2 + random.Next(9)), field, finish).Seen);
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

    private static RepairRun Run(string[] pieces, string field, string finish)
    {
        RepairRun run = RepairRun.Of(Sse.Stream(pieces, field, finish), RepairRun.NewContext(LeakedCallTests.Tools), Stages);
        Assert.Equal(0, run.Context.HeldBytes);
        return run;
    }

    private static RepairStage[] Stages(RepairContext c)
    {
        int ids = 0;
        string Mint() => $"id_{++ids}";
        return [new ThinkTagStage(c, RepairMode.On), new LeakedCallStage(c, RepairMode.On, Mint), new ToolDeltaStage(c, RepairMode.On, Mint)];
    }
}
