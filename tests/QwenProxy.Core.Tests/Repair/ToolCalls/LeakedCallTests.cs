using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

public sealed class LeakedCallTests
{
    internal const string Tools = """
        [{"type":"function","function":{"name":"read_file","description":"d",
          "parameters":{"type":"object","properties":{
          "path":{"type":"string"},"limit":{"type":"integer"},"ratio":{"type":"number"},"deep":{"type":"boolean"},
          "tags":{"type":"array","items":{"type":"string"}},"options":{"$ref":"#/$defs/Options"},"note":{"type":["string","null"]},
          "any":{"anyOf":[{"type":"integer"},{"type":"null"}]},"mode":{"enum":["a","b"]},"free":{}},
          "$defs":{"Options":{"type":"object","properties":{"x":{"type":"integer"}}}},"required":["path"]}}},
         {"type":"function","function":{"name":"write_file",
          "parameters":{"type":"object","properties":{"path":{"type":"string"},"content":{"type":"string"}}}}},
         {"type":"function","function":{"name":"list_all","parameters":{"type":"object","properties":{}}}}]
        """;

    internal static RepairRun Run(string sse, string tools = Tools, int limit = 4096, Action<RepairChain, int>? afterEvent = null,
        RepairMode mode = RepairMode.On)
    {
        int ids = 0;
        return RepairRun.Of(sse, RepairRun.NewContext(tools, limit), c => [new AnswerTextStage(c, mode, TextTags.Calls, () => $"call_{++ids}")], afterEvent);
    }

    public static TheoryData<string, string> Leaks => new()
    {
        { "<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}\n</tool_call>", "|read_file({\"path\": \"a.txt\"})" },
        { "Let me look.\n\n<tool_call>{\"name\":\"read_file\",\"arguments\":{\"path\":\"a\"}}</tool_call>",
            "Let me look.\n\n|read_file({\"path\":\"a\"})" },
        { "<tool_call>{\"arguments\": {\"path\": \"a\"}, \"name\": \"read_file\"}</tool_call>", "|read_file({\"path\": \"a\"})" },
        { "<tool_call>{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}}", "|read_file({\"path\": \"a\"})" },
        { "<tool_call>{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}</tool_call>", "|read_file({\"path\": \"a\"})" },
        { "<tool_call>{\"name\": \"read_file\", \"arguments\": {\"options\": {\"x\": 1}</tool_call> ok", "ok|read_file({\"options\": {\"x\": 1}})" },
        { "<tool_call>{\"name\": \"list_all\"}</tool_call>", "|list_all({})" },
        { "<tool_call>{\"name\": \"list_all\", \"arguments\": {}}</tool_call>", "|list_all({})" },
        { "<tool_call>{\"name\": \"read_file\", \"arguments\": \"{\\\"path\\\": \\\"\\u00e9\\ud83d\\ude00\\\\n\\\"}\"}</tool_call>",
            "|read_file({\"path\": \"é😀\\n\"})" },
        { "<tool_call>{\"name\": \"write_file\", \"arguments\": {\"content\": \"line\nnext\ttab\"}}</tool_call>",
            "|write_file({\"content\": \"line\\nnext\\ttab\"})" },
        {
            "<tool_call>{\"name\":\"write_file\",\"arguments\":{\"content\":\"</tool_call></parameter> \\\"}}\\\" 汉字\"}}</tool_call>",
            "|write_file({\"content\":\"</tool_call></parameter> \\\"}}\\\" 汉字\"})"
        },
        { "<tool_call>\n<function=read_file>\n<parameter=path>\na.txt\n</parameter>\n</function>\n</tool_call>", "|read_file({\"path\":\"a.txt\"})" },
        { "<function=read_file>\n<parameter=path>\na.txt\n</parameter>\n</function>", "|read_file({\"path\":\"a.txt\"})" },
        { "<function=read_file><parameter=path>a.txt</parameter></function>", "|read_file({\"path\":\"a.txt\"})" },
        { "<function=read_file>\n<parameter=path>\na.txt\n", "|read_file({\"path\":\"a.txt\"})" },
        { "<tool_call>\n<function=read_file>\n<parameter=path>\na.txt\n</parameter>\n", "|read_file({\"path\":\"a.txt\"})" },
        { "<tool_call>\n<function=read_file>\n<parameter=path>\na.txt\n</function>\n</tool_call>", "|read_file({\"path\":\"a.txt\"})" },
        { "<function=read_file>\n<parameter=path>\na\n<parameter=limit>\n5\n</parameter>\n</function>", "|read_file({\"path\":\"a\",\"limit\":5})" },
        { "<tool_call>\n<function=list_all>\n</function>\n</tool_call>", "|list_all({})" },
        { "<function=read_file>{\"path\": \"a\"}</function>", "|read_file({\"path\": \"a\"})" },
        {
            "<tool_call>\n<function=read_file>\n<parameter=path>\na\n</parameter>\n" +
                "<parameter=limit>\n12\n</parameter>\n<parameter=ratio>\n1.5\n</parameter>\n" +
            "<parameter=deep>\nTrue\n</parameter>\n<parameter=tags>\n[\"x\", \"y\"]\n</parameter>\n<parameter=options>\n{\"x\": 3}\n</parameter>\n" +
            "<parameter=note>\nnull\n</parameter>\n<parameter=any>\n7\n</parameter>\n<parameter=mode>\nb\n" +
                "</parameter>\n<parameter=free>\n9\n</parameter>\n</function>\n</tool_call>",
            "|read_file({\"path\":\"a\",\"limit\":12,\"ratio\":1.5,\"deep\":true,\"tags\":[\"x\", \"y\"]," +
                "\"options\":{\"x\": 3},\"note\":null,\"any\":7,\"mode\":\"b\",\"free\":\"9\"})"
        },
        { "<function=read_file>\n<parameter=limit>\n5.0\n</parameter>\n<parameter=any>\nno\n</parameter>\n</function>",
            "|read_file({\"limit\":5,\"any\":\"no\"})" },
        {
            "<function=write_file>\n<parameter=content>\n<a>\n  <parameter>1</parameter>\n</a> if a < b\n\n</parameter>\n</function>",
            "|write_file({\"content\":\"<a>\\n  <parameter>1</parameter>\\n</a> if a < b\\n\"})"
        },
        { "<function=write_file>\r\n<parameter=content>\r\nx\r\ny\r\n</parameter>\r\n</function>", "|write_file({\"content\":\"x\\r\\ny\"})" },
        {
            "<tool_call>{\"name\":\"read_file\",\"arguments\":{\"path\":\"a\"}}</tool_call>\n" +
                "<tool_call>{\"name\":\"read_file\",\"arguments\":{\"path\":\"b\"}}</tool_call>",
            "|read_file({\"path\":\"a\"})+read_file({\"path\":\"b\"})"
        },
        {
            "One.<function=list_all></function>\n\nTwo. a<b <function=read_file><parameter=path>p</parameter></function>",
            "One.\n\nTwo. a<b |list_all({})+read_file({\"path\":\"p\"})"
        },
    };

    [Theory]
    [MemberData(nameof(Leaks))]
    public void LeakedCall_CutAnywhere_BecomesTheSameRealCall(string text, string expected)
    {
        string seen = expected.Replace("|", "||", StringComparison.Ordinal) + "|tool_calls";
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Run(Sse.Stream(pieces));
            Assert.Equal(Normal(seen), Normal(run.Seen));
            Assert.Equal(0, run.Context.HeldBytes);
        }
    }

    [Theory]
    [MemberData(nameof(Leaks))]
    public void LeakedCallInThinking_CutAnywhere_BecomesTheSameRealCall(string text, string expected)
    {
        string seen = "|" + expected + "|tool_calls";
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = Run(Sse.Stream(pieces, "reasoning_content"));
            Assert.Equal(Normal(seen), Normal(run.Seen));
        }
    }

    /// <summary>White space around a removed call is free.</summary>
    private static string Normal(string seen) => seen.Replace(" ok", "ok", StringComparison.Ordinal);

    public static TheoryData<string> Negatives => new()
    {
        "The model writes <tool_call> tags around its calls.",
        "Qwen's template uses `<tool_call>{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}}</tool_call>` for calls.",
        "Example:\n```\n<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>\n```\nThat is it.",
        "Example:\n```xml\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n```",
        "~~~\n<function=read_file><parameter=path>a</parameter></function>\n~~~",
        "- item\n  ```\n  <function=read_file><parameter=path>a</parameter></function>\n  ```\n",
        "Text.\n\n    <function=read_file><parameter=path>a</parameter></function>\n",
        "if a < b && c <d: <e> <f",
        "<tool_call>{\"name\": \"unknown\", \"arguments\": {\"path\": \"a\"}}</tool_call>",
        "<tool_call>\n<function=unknown>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
        "<function=unknown><parameter=path>a</parameter></function>",
        "<function>read_file</function> and <functional> <tool> <tool_calls> <function name=\"read_file\">",
        "<tool_call>{\"name\": \"read_file\", \"arguments\": {...}}</tool_call>",
        "<tool_call>{\"name\": \"read_file\", \"arguments\": {\"path\": ...}}</tool_call>",
        "<tool_call>{\"name\": ..., \"arguments\": ...}</tool_call>",
        "<tool_call>...</tool_call>",
        "Use <function=read_file> to read and <function=read_file_2> never.",
        "He wrote \"<function=read_file><parameter=path>a</parameter></function>\" in the docs.",
        "<tools><tool><parameter=path></tool></tools> </tool_call> </function> </parameter>",
        "<tool_call",
        "<tool_call>",
        "<tool_call>\n{\"name\": \"read_f",
        "<function=read_file>",
        "`<tool_call>\n<function=read_file>\n<parameter=path>a</parameter></function>`",
        "汉字 < 😀 <tool_call> 😀",
    };

    [Theory]
    [MemberData(nameof(Negatives))]
    public void TextThatIsNoCall_CutAnywhere_PassesByteForByte(string text)
    {
        foreach (string field in (string[])["content", "reasoning_content"])
        {
            foreach (string[] pieces in Sse.Cuts(text))
            {
                string sse = Sse.Stream(pieces, field);
                Assert.Equal(sse, Run(sse).Stream);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Leaks))]
    public void LeakWithoutDeclaredTools_PassesByteForByte(string text, string expected)
    {
        Assert.NotEmpty(expected);
        string sse = Sse.Stream(Sse.Every(text, 4));
        Assert.Equal(sse, Run(sse, tools: "").Stream);
        Assert.Equal(sse, Run(sse, tools: "{broken").Stream);
    }

    [Theory]
    [MemberData(nameof(Leaks))]
    public void ObserveMode_CountsAndEditsNothing(string text, string expected)
    {
        string sse = Sse.Stream(Sse.Every(text, 4));
        RepairRun run = Run(sse, mode: RepairMode.Observe, afterEvent: (chain, _) => Assert.False(chain.IsHolding));
        Assert.Equal(sse, run.Stream);
        Assert.Equal(expected.Count(c => c == '+') + 1, run.Context.Report.Counts.Where(c => c.Key.Action == RepairAction.Observed).Sum(c =>
            c.Value));
    }
}
