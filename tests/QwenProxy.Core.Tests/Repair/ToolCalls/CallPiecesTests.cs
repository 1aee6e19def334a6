using System.Text;
using System.Text.Json;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>Calls whose id, name and arguments come in any order and number of pieces.</summary>
public sealed class CallPiecesTests
{
    private const string Doc = "{\"path\":\"a.txt\",\"content\":\"one \\\"two\\\" {three}\"}";

    private static readonly string Tools = "[" + string.Join(',', new[] { "bash", "write_file", "read", "read_file", "list", "f", "g" }.Select(n =>
        $"{{\"type\":\"function\",\"function\":{{\"name\":\"{n}\",\"parameters\":{{}}}}}}")) + "]";

    public sealed record Piece(int? Index = 0, string? Id = null, string? Name = null, string? Arguments = null)
    {
        public string Json => "{" + string.Join(',', Members()) + "}";

        private IEnumerable<string> Members()
        {
            if (Index is { } index) yield return $"\"index\":{index}";
            if (Id is not null) yield return $"\"id\":\"{Id}\"";
            yield return "\"type\":\"function\"";
            string name = Name is null ? "" : $"\"name\":\"{Name}\"";
            string arguments = Arguments is null ? "" : $"\"arguments\":{Sse.Quote(Arguments)}";
            yield return "\"function\":{" + string.Join(',', new[] { name, arguments }.Where(m => m.Length > 0)) + "}";
        }
    }

    private static string Wrapped(string json) => JsonSerializer.Serialize(json);

    private static RepairContext NewContext(string history = "", string? tools = null) => new()
    {
        Report = new RepairReport(),
        Tools = Encoding.UTF8.GetBytes(tools ?? Tools),
        Messages = Encoding.UTF8.GetBytes(history),
    };

    private static RepairRun Run(string sse, RepairContext? context = null, RepairMode mode = RepairMode.On)
    {
        int ids = 0;
        return RepairRun.Of(sse, context ?? NewContext(), c => [new ToolDeltaStage(c, mode, () => $"minted_{++ids}")]);
    }

    private static string Stream(IEnumerable<Piece> pieces, string finish = "tool_calls") =>
        Sse.Delta("\"role\":\"assistant\"") + string.Concat(pieces.Select(p => Sse.Tool(p.Json))) + Sse.End(finish);

    /// <summary>The same pieces with each one's arguments cut again: the head keeps the first part, the rest follows as continuations.</summary>
    private static IEnumerable<Piece> Cut(IEnumerable<Piece> pieces, int size)
    {
        foreach (Piece piece in pieces)
        {
            string[] cuts = piece.Arguments is { Length: > 0 } text ? Sse.Every(text, size) : [];
            yield return cuts.Length == 0 ? piece : piece with { Arguments = cuts[0] };
            foreach (string cut in cuts.Skip(1)) yield return new Piece(piece.Index, null, null, cut);
        }
    }

    private static string Ids(RepairRun run) => run.Message.TryGetProperty("tool_calls", out JsonElement calls)
        ? string.Join(' ', calls.EnumerateArray().Select(c => c.GetProperty("id").GetString())) : "";

    public static TheoryData<string, Piece[], string[], string> Pieces => new()
    {
        { "arguments, then the name", [new(0, "a", null, Doc), new(0, null, "bash")], [$"bash({Doc})"], "a" },
        { "arguments, then id and name", [new(0, null, null, Doc), new(0, "a", "bash")], [$"bash({Doc})"], "a" },
        { "arguments without an index, then id and name", [new(null, null, null, Doc), new(0, "a", "bash")], [$"bash({Doc})"], "a" },
        { "arguments, id, name", [new(0, null, null, Doc), new(0, "a"), new(0, null, "bash")], [$"bash({Doc})"], "a" },
        { "name, arguments, id", [new(0, null, "bash"), new(0, null, null, Doc), new(0, "a")], [$"bash({Doc})"], "minted_1" },
        { "name, id, arguments", [new(0, null, "bash"), new(0, "a"), new(0, null, null, Doc)], [$"bash({Doc})"], "minted_1" },
        { "half the arguments before the name", [new(0, "a", null, Doc[..9]), new(0, "a", "bash"), new(0, null, null, Doc[9..])], [$"bash({Doc})"], "a" },
        { "two calls, arguments first", [new(0, null, null, Doc), new(1, null, null, "{\"y\":1}"), new(0, "a", "bash"), new(1, "b", "g")],
            [$"bash({Doc})", "g({\"y\":1})"], "a b" },
        { "two calls on one index, arguments first", [new(0, null, null, Doc), new(0, "a", "bash"), new(0, null, null, "{\"y\":1}"), new(0, "b", "g")],
            [$"bash({Doc})", "g({\"y\":1})"], "a b" },
        { "placeholder", [new(0, "a", "f", "{}"), new(0, null, null, "{\"p\": \".\"}")], ["f({\"p\": \".\"})"], "a" },
        { "placeholder alone", [new(0, "a", "f", "{}")], ["f({})"], "a" },
        { "placeholder with repeated head", [new(0, "a", "f", "{}"), new(0, "a", "f", "{\"p\":1}")], ["f({\"p\":1})"], "a" },
        { "placeholder before the name", [new(0, "a", null, "{}"), new(0, null, null, "{\"p\":1}"), new(0, null, "f")], ["f({\"p\":1})"], "a" },
        { "placeholder, name, arguments", [new(0, "a", null, "{}"), new(0, null, "f"), new(0, null, null, "{\"p\":1}")], ["f({\"p\":1})"], "a" },
        { "placeholder, then a wrapper", [new(0, "a", "f", "{}"), new(0, null, null, Wrapped("{\"p\":1}"))], ["f({\"p\":1})"], "a" },
        { "placeholder twice", [new(0, "a", "f", "{}"), new(0, null, null, "{}"), new(0, null, null, "{\"p\":1}")], ["f({\"p\":1})"], "a" },
        { "placeholder in a wrapper", [new(0, "a", "f", "\"{}\""), new(0, null, null, "{\"p\":1}")], ["f({\"p\":1})"], "a" },
        { "null for a placeholder", [new(0, "a", "f", "null"), new(0, null, null, "{\"p\":1}")], ["f({\"p\":1})"], "a" },
        { "nothing but null", [new(0, "a", "f", "null")], ["f({})"], "a" },
        { "nothing but an empty string", [new(0, "a", "f", "\"\"")], ["f({})"], "a" },
        { "placeholders of two calls", [new(0, "a", "f", "{}"), new(1, "b", "g", "{}"), new(0, null, null, "{\"x\":1}"), new(1, null, null, "{\"y\":2}")],
            ["f({\"x\":1})", "g({\"y\":2})"], "a b" },
        { "placeholders of two calls, one stays", [new(0, "a", "f", "{}"), new(1, "b", "g", "{}"), new(1, null, null, "{\"y\":2}")], ["f({})", "g({\"y\":2})"], "a b" },
        { "said again as a string", [new(0, "a", "f", Doc), new(0, null, null, Wrapped(Doc))], [$"f({Doc})"], "a" },
        { "said again", [new(0, "a", "f", Doc), new(0, null, null, Doc)], [$"f({Doc})"], "a" },
        { "said again in one piece", [new(0, "a", "f", Doc + Wrapped(Doc))], [$"f({Doc})"], "a" },
        { "said again with other spaces", [new(0, "a", "f", "{\"x\":[1,2]}"), new(0, null, null, "{ \"x\": [1, 2] }")], ["f({\"x\":[1,2]})"], "a" },
        { "said again and cut", [new(0, "a", "f", Doc), new(0, null, null, Wrapped(Doc)[..12])], [$"f({Doc})"], "a" },
        { "wrapper, then the object", [new(0, "a", "f", Wrapped(Doc)), new(0, null, null, Doc)], [$"f({Doc})"], "a" },
        { "a brace too many", [new(0, "a", "f", Doc), new(0, null, null, "}")], [$"f({Doc})"], "a" },
        { "a quote and a brace too many", [new(0, "a", "f", Doc), new(0, null, null, "\"}")], [$"f({Doc})"], "a" },
        { "all too many", [new(0, "a", "f", Doc + "\"]}\n}")], [$"f({Doc})".Replace(")", "\n)", StringComparison.Ordinal)], "a" },
        { "a brace too many behind no arguments", [new(0, "a", "f", "{}"), new(0, null, null, "}")], ["f({})"], "a" },
        { "a brace too many, then the next call", [new(0, "a", "f", Doc + "}"), new(0, "b", "g", "{\"y\":1}")], [$"f({Doc})", "g({\"y\":1})"], "a b" },
        { "name in pieces", [new(0, "a", "wri"), new(0, null, "te_file"), new(0, null, null, Doc)], [$"write_file({Doc})"], "a" },
        { "name in pieces with the id", [new(0, "a", "wri", ""), new(0, "a", "te_file", ""), new(0, "a", null, Doc)], [$"write_file({Doc})"], "a" },
        { "name in three pieces, arguments between", [new(0, "a", "wri"), new(0, null, "te_", Doc), new(0, null, "file")], [$"write_file({Doc})"], "a" },
        { "name in pieces, the first is a name", [new(0, "a", "read"), new(0, null, "_file"), new(0, null, null, Doc)], [$"read_file({Doc})"], "a" },
        { "name in pieces, the first is a name, no id", [new(0, null, "read", ""), new(0, null, "_file", Doc)], [$"read_file({Doc})"], "minted_1" },
        { "name said further each time", [new(0, "a", "wri"), new(0, "a", "write_f"), new(0, "a", "write_file", Doc)], [$"write_file({Doc})"], "a" },
        { "a name that is the beginning of another", [new(0, "a", "read", ""), new(0, null, null, Doc)], [$"read({Doc})"], "a" },
        { "two declared names", [new(0, null, "read"), new(0, null, "list")], ["read({})", "list({})"], "minted_1 minted_2" },
        { "a name no tool has", [new(0, "a", "wri"), new(0, null, null, Doc)], [$"wri({Doc})"], "a" },
        { "one id for two calls", [new(0, "a", "f", "{\"x\":1}"), new(1, "a", "g", "{\"x\":1}")], ["f({\"x\":1})", "g({\"x\":1})"], "a minted_1" },
        { "one id for two calls of one tool", [new(0, "a", "f", ""), new(1, "a", "f", ""), new(0, null, null, "{\"x\":1}"), new(1, null, null, "{\"x\":2}")],
            ["f({\"x\":1})", "f({\"x\":2})"], "a minted_1" },
        { "one id for two calls, heads repeated", [new(0, "a", "f", "{\"x\":"), new(0, "a", "f", "1}"), new(1, "a", "f", "{\"x\":"), new(1, "a", "f", "2}")],
            ["f({\"x\":1})", "f({\"x\":2})"], "a minted_1" },
        { "one id and one index for two calls", [new(0, "a", "f", "{\"x\":1}"), new(0, "a", "f", "{\"x\":2}")], ["f({\"x\":1})", "f({\"x\":2})"], "a minted_1" },
        { "one id for three calls", [new(0, "a", "f", "{\"x\":1}"), new(1, "a", "f", "{\"x\":2}"), new(2, "a", "f", "{\"x\":3}")],
            ["f({\"x\":1})", "f({\"x\":2})", "f({\"x\":3})"], "a minted_1 minted_2" },
        { "a finished call said again", [new(0, "a", "f", Doc), new(1, "a", "f", Doc)], [$"f({Doc})"], "a" },
        { "a finished call's head said again", [new(0, "a", "f", Doc), new(1, "a", "f", "")], [$"f({Doc})"], "a" },
        { "a head under another index", [new(3, "a", "f", ""), new(0, "a", "f", Doc)], [$"f({Doc})"], "a" },
        { "an id of its own for every piece", [new(0, "a", "f", ""), new(0, "b", null, Doc[..9]), new(0, "c", null, Doc[9..])], [$"f({Doc})"], "a" },
        { "an id and the name for every piece", [new(0, "a", "f", Doc[..9]), new(0, "b", "f", Doc[9..20]), new(0, "c", "f", Doc[20..])], [$"f({Doc})"], "a" },
        { "an index of its own for every piece", [new(0, "a", "f", Doc[..9]), new(1, "", "f", Doc[9..20]), new(2, null, null, Doc[20..])], [$"f({Doc})"], "a" },
        { "a call without a name", [new(0, "a", "f", Doc), new(1, "b", null, "{\"x\":1}")], [$"f({Doc})"], "a" },
    };

    [Theory]
    [MemberData(nameof(Pieces))]
    public void Pieces_MakeTheCallsThatWereMeant(string kind, Piece[] pieces, string[] calls, string ids)
    {
        Assert.NotEmpty(kind);
        foreach (string finish in (string[])["stop", "tool_calls"])
        {
            foreach (int size in (int[])[int.MaxValue, 1, 2, 3, 7])
            {
                RepairRun run = Run(Stream(Cut(pieces, size), finish));
                Assert.Equal(calls, run.Calls);
                Assert.Equal(ids, Ids(run));
                Assert.Equal("tool_calls", run.FinishReason);
                Assert.Equal(0, run.Context.HeldBytes);
                Assert.All(run.Calls, c => JsonDocument.Parse(c[(c.IndexOf('(', StringComparison.Ordinal) + 1)..^1]).Dispose());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Pieces))]
    public void MendedPieces_RunThroughAgain_ByteForByte(string kind, Piece[] pieces, string[] calls, string ids)
    {
        Assert.NotEmpty(kind + ids + calls.Length);
        string once = Run(Stream(pieces)).Stream;
        Assert.Equal(once, Run(once).Stream);
    }

    [Theory]
    [MemberData(nameof(Pieces))]
    public void Observing_ChangesNothing(string kind, Piece[] pieces, string[] calls, string ids)
    {
        Assert.NotEmpty(kind + ids + calls.Length);
        string sse = Stream(pieces);
        RepairRun run = Run(sse, mode: RepairMode.Observe);
        Assert.Equal(sse, run.Stream);
        Assert.All(run.Context.Report.Decisions, d => Assert.Equal(RepairAction.Observed, d.Action));
    }

    public static TheoryData<string, Piece[]> HealthyPieces => new()
    {
        { "no arguments, then another call", [new(0, "a", "f", "{}"), new(1, "b", "g", ""), new(1, "", null, "{\"y\":"), new(1, "", null, "1}")] },
        { "no arguments in pieces", [new(0, "a", "f", ""), new(0, null, null, "{"), new(0, null, null, "}"), new(0, null, null, "")] },
        { "no arguments, interleaved", [new(0, "a", "f", "{\"x\":"), new(1, "b", "g", "{}"), new(0, null, null, "1}")] },
        { "a name that may go on", [new(0, "a", "read", ""), new(1, "b", "read_file", ""), new(0, null, null, "{\"x\":1}"), new(1, null, null, "{}")] },
        { "a name that may go on, no arguments", [new(0, "a", "read", ""), new(0, "", "", null), new(0, null, null, "{}")] },
        { "white space behind", [new(0, "a", "f", "{\"x\":1}"), new(0, null, null, "\n"), new(0, null, null, " ")] },
        { "an undeclared tool", [new(0, "a", "other", "{\"x\":1}")] },
    };

    [Theory]
    [MemberData(nameof(HealthyPieces))]
    public void HealthyCalls_PassByteForByte(string kind, Piece[] pieces)
    {
        RepairRun run = Run(Stream(pieces));
        Assert.True(run.Stream == Stream(pieces), kind);
        Assert.Empty(run.Context.Report.Decisions);
    }

    [Fact]
    public void CallWithoutArguments_IsShownWithTheNextWords()
    {
        string call = Sse.Tool(new Piece(0, "a", "f", "{}").Json), comment = ": still here\n\n", text = Sse.Text("Well.");
        List<bool> holding = [];
        RepairRun run = RepairRun.Of(call + comment + text, NewContext(), c => [new ToolDeltaStage(c, RepairMode.On, () => "")], (chain, _) => holding.Add(chain.IsHolding));
        Assert.Equal(comment + call + text, run.Stream);
        Assert.All(holding, Assert.False);
    }

    public static TheoryData<string, string> Histories => new()
    {
        { "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]", "minted_1" },
        { "[{\"role\":\"tool\", \"tool_call_id\" : \"call_1\",\"content\":\"\"}]", "minted_1" },
        { "[{\"role\":\"user\",\"content\":\"\\\"id\\\":\\\"call_1\\\"\"}]", "call_1" },
        { "[{\"role\":\"user\",\"content\":\"call_1\"}]", "call_1" },
        { "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_10\"}]}]", "call_1" },
    };

    [Theory]
    [MemberData(nameof(Histories))]
    public void IdOfTheHistory_BecomesANewOne(string history, string id)
    {
        Piece[] pieces = [new(0, "call_1", "f", ""), new(0, "call_1", "f", "{\"x\":"), new(0, "call_1", null, "1}")];
        RepairRun run = Run(Stream(pieces), NewContext(history));
        Assert.Equal("f({\"x\":1})", Assert.Single(run.Calls));
        Assert.Equal(id, Ids(run));
        Assert.Equal(id == "call_1", run.Stream.Contains("call_1", StringComparison.Ordinal));
    }

    [Fact]
    public void RawLineEndsInAString_BecomeEscapes()
    {
        foreach (int size in (int[])[int.MaxValue, 1, 3])
        {
            RepairRun run = Run(Stream(Cut([new(0, "a", "f", "{\n\t\"text\": \"one\ntwo\tthree\"\n}")], size)));
            Assert.Equal("f({\n\t\"text\": \"one\\ntwo\\tthree\"\n})", Assert.Single(run.Calls));
        }
    }

    [Theory]
    [InlineData("tool_calls", "stop")]
    [InlineData("stop", "stop")]
    [InlineData("length", "length")]
    public void NothingButACallWithoutAName_IsNoCall(string finish, string expected)
    {
        RepairRun run = Run(Stream([new(0, "a", null, Doc)], finish));
        Assert.Empty(run.Calls);
        Assert.Equal(expected, run.FinishReason);
        Assert.Contains(("tool-deltas", "nameless", RepairAction.Removed), run.Context.Report.Counts.Keys);
    }

    [Fact]
    public void ArgumentsLargerThanTheHoldLimit_WaitForTheirName()
    {
        string json = $"{{\"content\":{Sse.Quote(new string('x', 60_000))}}}";
        RepairRun run = Run(Stream(Cut([new(0, null, null, json), new(0, "a", "bash")], 97)));
        Assert.Equal($"bash({json})", Assert.Single(run.Calls));
        Assert.Equal($"f({json})", Assert.Single(Run(Stream(Cut([new(0, "a", "f", json), new(0, null, null, Wrapped(json))], 97))).Calls));
    }

    [Fact]
    public void WhatIsKeptForADecision_IsBounded()
    {
        string json = $"{{\"content\":{Sse.Quote(new string('x', 600_000))}}}";
        string large = $"{{\"content\":{Sse.Quote(new string('x', 1_200_000))}}}";
        RepairRun nameless = Run(Stream(Cut([new(0, null, null, large), new(0, "a", "bash")], 5000)));
        Assert.Empty(nameless.Calls);
        RepairRun foreign = Run(Stream(Cut([new(0, "a", "f", "{\"x\":1}"), new(0, null, null, json + json)], 5000)));
        Assert.Equal($"f({{\"x\":1}}{json}{json})", Assert.Single(foreign.Calls));
    }
}
