using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>Arguments that nothing mends: what counts as JSON, and what is said of what does not.</summary>
public sealed class BrokenArgumentsTests
{
    public static TheoryData<string, string, bool, string> Broken => new()
    {
        { "{\"x\":1,}", "tool_calls", true, "tool_calls" },
        { "{'x':1}", "stop", true, "tool_calls" },
        { "{\"x\":1}{\"y\":2}", "tool_calls", true, "tool_calls" },
        { "{\"x\":1} and so on", "tool_calls", true, "tool_calls" },
        { "ls -la", "tool_calls", true, "tool_calls" },
        { "{\"x\":\"\\q\"}", "tool_calls", true, "tool_calls" },
        { "{\"x\":01}", "tool_calls", true, "tool_calls" },
        { "{\"x\":tru}", "tool_calls", true, "tool_calls" },
        { "{\"x\":[1,2}", "tool_calls", true, "length" },
        { "{\"x\":\"", "stop", true, "length" },
        { "{\"x\":\"", "length", false, "length" },
        { "{\"x\":1,}", "content_filter", false, "content_filter" },
        { "{\"x\":[-1.5e+3,true,null,\"\\u00e9\\n\"]}", "tool_calls", false, "tool_calls" },
        { "\"text\"", "tool_calls", false, "tool_calls" },
        { "[\"a\",\"b\"]", "tool_calls", false, "tool_calls" },
        { "5", "stop", false, "tool_calls" },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void ArgumentsThatAreNoJson_PassAndAreNoted(string arguments, string finish, bool broken, string reason)
    {
        foreach (int size in (int[])[int.MaxValue, 1, 3])
        {
            ToolDeltaStage? stage = null;
            string[] pieces = Sse.Every(arguments, size);
            string head = $"{{\"index\":0,\"id\":\"a\",\"function\":{{\"name\":\"f\",\"arguments\":{Sse.Quote(pieces[0])}}}}}";
            string sse = Sse.Tool(head) + string.Concat(pieces.Skip(1).Select(p => Sse.Tool($"{{\"index\":0,\"function\":{{\"arguments\":{Sse.Quote(p)}}}}}"))) + Sse.End(finish);
            RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(), c => [stage = new ToolDeltaStage(c, RepairMode.On, () => "m")]);
            Assert.Equal($"f({arguments})", Assert.Single(run.Calls));
            Assert.Equal(reason, run.FinishReason);
            Assert.Equal(broken, stage!.HasBrokenArguments);
            stage.NotePassed();
            Assert.Equal(broken, run.Context.Report.Counts.ContainsKey(("tool-deltas", "broken-arguments", RepairAction.Passed)));
        }
    }

    /// <summary>The running check says of every text what a whole JSON reader says of it.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(20260111)]
    public void JsonCheck_AgreesWithAJsonReader(int seed)
    {
        Random random = new(seed);
        const string Letters = "{}[]\",:\\ 0123.eE+-tfnrualsu\n";
        string[] tokens = ["{\"a\":", "\"b\"", "true", "false", "null", "1.5e-3", "[1, 2]", "{}", "\\u00e9"];
        int whole = 0;
        for (int i = 0; i < 60_000; i++)
        {
            string text = "";
            for (int n = random.Next(1, 7); n > 0; n--) text += random.Next(3) == 0 ? tokens[random.Next(tokens.Length)] : Letters[random.Next(Letters.Length)];
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
            bool isJson = ValueCoercion.IsJson(bytes) && text.Trim().Length > 0;
            JsonCheck check = default;
            int cut = random.Next(bytes.Length);
            check.Add(bytes.AsSpan(0, cut));
            check.Add(bytes.AsSpan(cut));
            Assert.True(isJson == check.IsWhole, text);
            whole += isJson ? 1 : 0;
        }

        Assert.True(whole > 1000, $"{whole}");
    }
}
