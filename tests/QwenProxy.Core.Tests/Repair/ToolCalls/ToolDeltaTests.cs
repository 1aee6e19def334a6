using System.Text.Json;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

public sealed class ToolDeltaTests
{
    private static RepairRun Run(string sse, RepairMode mode = RepairMode.On, int limit = 4096)
    {
        int ids = 0;
        return RepairRun.Of(sse, RepairRun.NewContext(limit: limit), c => [new ToolDeltaStage(c, mode, () => $"minted_{++ids}")]);
    }

    private static string Call(string head, string? arguments) =>
        Sse.Tool("{" + head + (arguments is null ? "}" : $"{(head.Length > 0 ? "," : "")}\"function\":{{\"arguments\":{Sse.Quote(arguments)}}}}}"));

    private static string Named(string head, string name, string arguments) =>
        Sse.Tool($"{{{head}{(head.Length > 0 ? "," : "")}\"type\":\"function\",\"function\":{{\"name\":\"{name}\"," +
            $"\"arguments\":{Sse.Quote(arguments)}}}}}");

    private static string[] Ids(RepairRun run) => [.. run.Message.GetProperty("tool_calls").EnumerateArray().Select(c =>
        c.GetProperty("id").GetString()!)];

    private static int[] Indexes(RepairRun run) => [.. run.Message.GetProperty("tool_calls").EnumerateArray().Select(c =>
        c.GetProperty("index").GetInt32())];

    public static TheoryData<string> Healthy => new()
    {
        Named("\"index\":0,\"id\":\"call_1\"", "f", "") +
            Sse.Tool("{\"index\":0,\"id\":\"\",\"type\":\"function\",\"function\":{\"arguments\":\"{\\\"a\"}}") +
            Sse.Tool("{\"index\":0,\"id\":\"\",\"type\":\"function\",\"function\":{\"name\":null,\"arguments\":\"\\\":1}\"}}") +
            Sse.Tool("{\"index\":0,\"id\":\"\",\"type\":\"function\",\"function\":{}}") +
                Sse.Tool("{\"index\":0,\"function\":{\"name\":\"\",\"arguments\":null}}"),
        Named("\"index\":0,\"id\":\"call_1\"", "f", "{\"a\":1}") + Named("\"index\":1,\"id\":\"call_2\"", "f", "{\"a\":") + Call("\"index\":1", "2}"),
        Named("\"index\":0,\"id\":\"call_1\"", "f", "{\"a\":") + Call("\"index\":0,\"id\":\"call_1\"", "[{\"b\":\"}]\"}]}"),
        Named("\"index\":0,\"id\":\"call_1\"", "f", "{}"),
        Sse.Tool("{\"index\":0,\"id\":\"a\",\"extra\":1,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{" +
            "\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}"),
        Named("\"index\":0,\"id\":\"call_1\"", "f", " {\"text\":\"\\\"quoted\\\"\"}"),
    };

    [Theory]
    [MemberData(nameof(Healthy))]
    public void HealthyCall_PassesByteForByte(string calls)
    {
        string sse = Sse.Delta("\"role\":\"assistant\",\"content\":null") + calls + Sse.End("tool_calls");
        RepairRun run = Run(sse);
        Assert.Equal(sse, run.Stream);
        Assert.Empty(run.Context.Report.Decisions);
    }

    public static TheoryData<string, string, string[], string> Damaged => new()
    {
        { "index missing", Named("\"id\":\"a\"", "f", "{\"x\":") + Call("", "1}") + Named("\"id\":\"b\"", "g", "{}"), ["f({\"x\":1})", "g({})"],
            "a b" },
        { "one index, new ids", Named("\"index\":0,\"id\":\"a\"", "f", "{\"x\":1}") + Named("\"index\":0,\"id\":\"b\"", "f", "{\"x\":") +
            Call("\"index\":0", "2}"), ["f({\"x\":1})", "f({\"x\":2})"], "a b" },
        { "one index, no ids", Named("\"index\":0", "f", "{\"x\":1}") + Named("\"index\":0", "g", "{\"x\":") + Call("\"index\":0", "2}"),
            ["f({\"x\":1})", "g({\"x\":2})"], "minted_1 minted_2" },
        { "one index, no ids, same name", Named("\"index\":0", "f", "{\"x\":1}") + Named("\"index\":0", "f", "") + Call("\"index\":0", "{}"),
            ["f({\"x\":1})", "f({})"], "minted_1 minted_2" },
        { "interleaved by id", Named("\"index\":0,\"id\":\"a\"", "f", "{\"x\":") + Named("\"index\":0,\"id\":\"b\"", "g", "{\"y\":") +
            Call("\"index\":0,\"id\":\"a\"", "1}") + Call("\"index\":0,\"id\":\"b\"", "2}"), ["f({\"x\":1})", "g({\"y\":2})"], "a b" },
        { "name repeated", Named("\"index\":0,\"id\":\"a\"", "f", "{") + Named("\"index\":0,\"id\":\"a\"", "f", "\"x\":1") +
            Named("\"index\":0,\"id\":\"\"", "f", "}") + Named("\"index\":0,\"id\":\"a\"", "f", ""), ["f({\"x\":1})"], "a" },
        { "id late", Named("\"index\":0", "f", "{\"x\":") + Call("\"index\":0,\"id\":\"late\"", "1}"), ["f({\"x\":1})"], "minted_1" },
        { "finished id replayed", Named("\"index\":0,\"id\":\"a\"", "f", "{\"x\":1}") + Named("\"index\":1,\"id\":\"a\"", "f", "{\"x\":1}"),
            ["f({\"x\":1})"], "a" },
        { "id and name alone first, name later", Call("\"index\":0,\"id\":\"a\"", null) + Named("\"index\":0", "f", "{}"), ["f({})"], "a" },
        { "arguments before the name", Call("\"index\":0,\"id\":\"a\"", "{\"x\"") + Named("\"index\":0", "f", ":1}"), ["f({\"x\":1})"], "a" },
        { "first index is the tool's place", Named("\"index\":3,\"id\":\"a\"", "f", "{\"x\":") + Call("\"index\":3", "1}") +
            Named("\"index\":5,\"id\":\"b\"", "g", "{}"), ["f({\"x\":1})", "g({})"], "a b" },
        { "empty arguments", Named("\"index\":0,\"id\":\"a\"", "f", ""), ["f({})"], "a" },
        { "no arguments", Sse.Tool("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}"), ["f({})"], "a" },
        { "arguments as an object", Sse.Tool("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\": \"\\n\"}}}"),
            ["f({\"x\": \"\\n\"})"], "a" },
        { "wrapped", Named("\"index\":0,\"id\":\"a\"", "f", "\"{\\\"x\\\":") + Call("\"index\":0", " \\\"\\u4e2d\\\\n\\\"}") +
            Call("\"index\":0", "\""), ["f({\"x\": \"中\\n\"})"], "a" },
        { "wrapped twice", Named("\"index\":0,\"id\":\"a\"", "f", JsonSerializer.Serialize("\"{\\\"x\\\":1}\"")), ["f({\"x\":1})"], "a" },
        { "a string that holds no object", Named("\"index\":0,\"id\":\"a\"", "f", "\"hel") + Call("\"index\":0", "lo\""), ["f(\"hello\")"], "a" },
        { "missing everything", Sse.Tool("{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}") + Sse.Tool("{\"function\":{\"arguments\":\"}\"}}"),
            ["f({})"], "minted_1" },
        { "continuation under a foreign index", Named("\"index\":0,\"id\":\"a\"", "f", "{\"x\":") + Call("\"index\":7", "1}"), ["f({\"x\":1})"],
            "a" },
    };

    [Theory]
    [MemberData(nameof(Damaged))]
    public void DamagedCalls_AreMended(string damage, string calls, string[] expected, string ids)
    {
        foreach (string finish in (string[])["tool_calls", "stop"])
        {
            RepairRun run = Run(Sse.Delta("\"role\":\"assistant\"") + calls + Sse.End(finish));
            Assert.Equal(expected, run.Calls);
            Assert.Equal(ids, string.Join(' ', Ids(run)));
            Assert.Equal(Enumerable.Range(0, expected.Length), Indexes(run));
            Assert.Equal("tool_calls", run.FinishReason);
            Assert.Equal(0, run.Context.HeldBytes);
            Assert.NotEmpty(damage);
        }
    }

    [Theory]
    [MemberData(nameof(Damaged))]
    public void MendedCalls_RunThroughAgain_PassByteForByte(string damage, string calls, string[] expected, string ids)
    {
        Assert.NotEmpty(damage + ids + expected.Length);
        string once = Run(Sse.Delta("\"role\":\"assistant\"") + calls + Sse.End("tool_calls")).Stream;
        Assert.Equal(once, Run(once).Stream);
    }

    [Theory]
    [MemberData(nameof(Damaged))]
    public void ObserveMode_CountsAndEditsNothing(string damage, string calls, string[] expected, string ids)
    {
        Assert.NotEmpty(ids + expected.Length);
        string sse = Sse.Delta("\"role\":\"assistant\"") + calls + Sse.End("tool_calls");
        RepairRun run = Run(sse, RepairMode.Observe);
        Assert.Equal(sse, run.Stream);
        Assert.Equal(damage == "a string that holds no object", run.Context.Report.Decisions.Count == 0);
        Assert.All(run.Context.Report.Decisions, d => Assert.Equal(RepairAction.Observed, d.Action));
    }

    public static TheoryData<string, string, string> Endings => new()
    {
        { "{\"x\":", "tool_calls", "length" },
        { "{\"x\":\"", "stop", "length" },
        { "{\"x\":", "length", "length" },
        { "\"{\\\"x", "tool_calls", "length" },
        { "{\"x\":1}", "stop", "tool_calls" },
        { "{\"x\":1}", "content_filter", "content_filter" },
        { "", "length", "length" },
    };

    [Theory]
    [MemberData(nameof(Endings))]
    public void FinishReason_SaysWhetherTheArgumentsAreWhole(string arguments, string finish, string expected)
    {
        RepairRun run = Run(Named("\"index\":0,\"id\":\"a\"", "f", arguments) + Sse.End(finish));
        Assert.Equal(expected, run.FinishReason);
        Assert.Equal($"f({arguments})", Assert.Single(run.Calls));
    }

    [Fact]
    public void EmptyCallAndFinishInOneEvent_GetsItsArgumentsInPlace()
    {
        string sse = Sse.Delta("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]", "stop") +
            "data: [DONE]\n\n";
        RepairRun run = Run(sse);
        Assert.Equal("f({})", Assert.Single(run.Calls));
        Assert.Equal(2, run.Stream.Split("data: ").Length - 1);
    }

    [Fact]
    public void WrapperCutByTheEndOfTheStream_GoesOutAsItCame()
    {
        RepairRun run = Run(Named("\"index\":0,\"id\":\"a\"", "f", "\"{\\\"x") + Call("\"index\":0", "\\\":1"));
        Assert.Equal("f(\"{\\\"x\\\":1)", Assert.Single(run.Calls));
    }

    [Fact]
    public void LargeWrappedArguments_AreUnwrappedWithinTheHoldLimit()
    {
        string json = $"{{\"path\":\"a\",\"content\":{Sse.Quote(new string('x', 9000) + "\n\"中\" \\ 😀\n" + new string('y', 9000))}}}";
        string wrapped = JsonSerializer.Serialize(json);
        string sse = Named("\"index\":0,\"id\":\"a\"", "f", "") + string.Concat(Sse.Every(wrapped, 61).Select(p => Call("\"index\":0", p))) +
            Sse.End("tool_calls");
        int most = 0;
        RepairContext context = RepairRun.NewContext(limit: 512);
        RepairRun run = RepairRun.Of(sse, context, c => [new ToolDeltaStage(c, RepairMode.On, () => "m")], (_, _) =>
            most = Math.Max(most, context.HeldBytes));
        Assert.Equal($"f({json})", Assert.Single(run.Calls));
        Assert.Equal("tool_calls", run.FinishReason);
        Assert.InRange(most, 1, 512);
        Assert.Equal(0, context.HeldBytes);
    }

    [Fact]
    public void TwoChoices_KeepTheirCallsApart()
    {
        string sse = Sse.Delta("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]", null, 0) +
            Sse.Delta("\"tool_calls\":[{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}]", null, 1) +
            Sse.Delta("\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]", null, 0) + Sse.Delta("", "stop", 1) + Sse.Delta("", "stop", 0);
        RepairRun run = Run(sse);
        Assert.Equal("f({})", Assert.Single(run.Calls));
        Assert.Equal("tool_calls", run.FinishReason);
        Assert.Equal("length", run.Whole.GetProperty("choices")[1].GetProperty("finish_reason").GetString());
    }
}
