using System.Text;
using System.Text.Json;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

/// <summary>Tools that the client runs and chat does not know: custom ones, the search for tools; and those that nobody here can run.</summary>
public sealed class ClientToolTests
{
    private const string Patch = "*** Begin Patch\n*** Delete File: a\n*** End Patch\n";

    public static TheoryData<string, string> PlainInputs => new()
    {
        { "", "" },
        { "{}", "" },
        { Json(new { input = Patch }), Patch },
        { Json(new { input = Patch, note = "x" }), Patch },
        { Json(Patch), Patch },
        { Json(new { patch = Patch }), Patch },
        { Json(new[] { "apply_patch", Patch }), Patch },
        { Json(new[] { Patch }), Patch },
        { Json(new { command = new[] { "apply_patch", Patch } }), Patch },
        { Json(new { input = new { patch = Patch } }), Patch },
        { Json(new { input = Json(new { input = Patch }) }), Patch },
        { Json(Json(new { patch = Patch })), Patch },
        { Patch, Patch },
        { "{not json", "{not json" },
        { Json(new { a = 1, b = "x" }), Json(new { a = 1, b = "x" }) },
        { Json(new { input = "[1, 2].map(x => x)" }), "[1, 2].map(x => x)" },
        { Json(new { input = "[\"x\"]" }), "[\"x\"]" },
    };

    [Theory]
    [MemberData(nameof(PlainInputs))]
    public void InputOfAPlainCustomTool_IsTheTextThatTheModelMeant(string arguments, string expected)
    {
        JsonElement item = CallOf("""{"type":"custom","name":"apply_patch"}""", "apply_patch", arguments);
        Assert.Equal("custom_tool_call", ResponsesRun.Type(item));
        Assert.Equal(expected, item.GetProperty("input").GetString());
    }

    /// <summary>A grammar without a brace says that the input is no JSON, whatever the tool's name is; without one nobody knows.</summary>
    [Theory]
    [InlineData("""{"type":"custom","name":"q","format":{"type":"grammar","syntax":"lark","definition":"start: WORD"}}""", "select 1")]
    [InlineData("""{"type":"custom","name":"q","format":{"type":"grammar","syntax":"regex","definition":"[a-z0-9 ]+"}}""", "select 1")]
    [InlineData("""{"type":"custom","name":"q","format":{"type":"grammar","syntax":"lark","definition":"start: \"{\" WORD \"}\""}}""", """{"sql":"select 1"}""")]
    [InlineData("""{"type":"custom","name":"q","format":{"type":"grammar","syntax":"regex","definition":"\\{.*\\}"}}""", """{"sql":"select 1"}""")]
    [InlineData("""{"type":"custom","name":"q"}""", """{"sql":"select 1"}""")]
    [InlineData("""{"type":"custom","name":"q","format":{"type":"text"}}""", """{"sql":"select 1"}""")]
    public void ObjectOfOneText_IsThatTextOnlyWhereTheToolWantsNoJson(string tool, string expected)
    {
        Assert.Equal(expected, CallOf(tool, "q", """{"sql":"select 1"}""").GetProperty("input").GetString());
    }

    [Theory]
    [InlineData("""{"query":"a"}""", """{"query":"a"}""")]
    [InlineData("{\"query\":\n \"a\"}", """{"query":"a"}""")]
    [InlineData("", "{}")]
    [InlineData("""{"query":nul}""", "{}")]
    public void ToolSearch_ComesBackWithAnObject(string arguments, string expected)
    {
        JsonElement item = CallOf("""{"type":"tool_search","execution":"client","parameters":{"type":"object"}}""", "tool_search", arguments);
        Assert.Equal("tool_search_call", ResponsesRun.Type(item));
        Assert.Equal("client", item.GetProperty("execution").GetString());
        Assert.Equal("completed", item.GetProperty("status").GetString());
        Assert.Equal(expected, item.GetProperty("arguments").GetRawText());
        Assert.False(item.TryGetProperty("name", out _));
    }

    /// <summary>A function may have the search's name; the two stay apart.</summary>
    [Fact]
    public void FunctionNamedAsTheSearch_StaysAFunction()
    {
        const string Tools = """{"type":"function","name":"tool_search"},{"type":"tool_search","execution":"client"}""";
        Assert.Equal("function_call", ResponsesRun.Type(CallOf(Tools, "tool_search", "{}")));
        Assert.Equal("tool_search_call", ResponsesRun.Type(CallOf(Tools, "tool_search_2", "{}")));
    }

    /// <summary>Models leave out the group, or write it with a dot, as the prompts of some agents do.</summary>
    [Theory]
    [InlineData("spawn", "collab spawn")]
    [InlineData("collab.spawn", "collab spawn")]
    [InlineData("collab__spawn", "collab spawn")]
    [InlineData("wait", "functions wait")]
    [InlineData("functions.wait", "functions wait")]
    [InlineData("both", "- both")]
    public void CallWithoutItsGroup_IsTheOnlyToolOfThatName(string name, string expected)
    {
        JsonElement item = CallOf(
            """
            {"type":"namespace","name":"functions","tools":[{"type":"function","name":"wait"}]},
            {"type":"namespace","name":"collab","tools":[{"type":"function","name":"spawn"},{"type":"function","name":"both"}]},
            {"type":"namespace","name":"other","tools":[{"type":"function","name":"both"}]}
            """,
            name,
            "{}");
        string group = item.TryGetProperty("namespace", out JsonElement found) ? found.GetString()! : "-";
        Assert.Equal(expected, $"{group} {item.GetProperty("name")}");
    }

    [Theory]
    [InlineData("""[{"type":"web_search"}]""", "null", "web_search", "tools")]
    [InlineData("""[{"type":"web_search"}]""", "\"required\"", "web_search", "tools")]
    [InlineData("""[{"type":"file_search"},{"type":"code_interpreter"}]""", "\"auto\"", "file_search", "tools")]
    [InlineData("""[{"type":"namespace","name":"n","tools":[{"type":"mcp"}]}]""", "null", "mcp", "tools")]
    [InlineData("""[{"type":"web_search"},{"type":"function","name":"f"}]""", """{"type":"web_search"}""", "web_search", "tool_choice")]
    [InlineData("""[{"type":"web_search"},{"type":"function","name":"f"}]""", """{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}""", "web_search", "tools")]
    [InlineData("[]", """{"type":"file_search"}""", "file_search", "tool_choice")]
    public void ToolThatOnlyItsMakerRuns_IsRefusedWhereNothingElseCouldBeCalled(string tools, string choice, string named, string param)
    {
        ProxyError fault = ResponsesRun.Refused($$"""{"model":"m","input":"x","tools":{{tools}},"tool_choice":{{choice}}}""");
        Assert.Equal(400, fault.Status);
        Assert.Equal("invalid_request", fault.Code);
        Assert.Equal(param, fault.Param);
        Assert.Contains($"'{named}'", fault.Message, StringComparison.Ordinal);
        Assert.Contains("function", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""[{"type":"web_search"},{"type":"function","name":"f"}]""", "\"auto\"")]
    [InlineData("""[{"type":"web_search"}]""", "\"none\"")]
    public void ToolThatOnlyItsMakerRuns_IsLeftOutWhereTheModelCanDoWithout(string tools, string choice)
    {
        ResponsesRun run = ResponsesRun.Of($$"""{"model":"m","input":"x","tools":{{tools}},"tool_choice":{{choice}}}""");
        Assert.Equal(["tool:web_search"], run.Request.Dropped);
    }

    [Theory]
    [InlineData("""{"role":"user","content":"x"}""", true)]
    [InlineData("""{"type":"additional_tools","tools":[{"type":"function","name":"f"}]},{"role":"user","content":"x"}""", false)]
    [InlineData("""{"role":"user","content":"x"},{"type":"compaction_trigger"}""", false)]
    [InlineData("""{"type":"local_shell_call","id":"a","action":{}},{"role":"user","content":"x"}""", false)]
    public void ItemsThatOthersDoNotKnow_AreTranslated(string items, bool native)
    {
        byte[] body = Encoding.UTF8.GetBytes($$"""{"model":"m","stream":true,"store":false,"input":[{{items}}]}""");
        Assert.True(ResponsesRequestParser.TryTranslate(body, null, out ResponsesRequest? request, out _));
        Assert.Equal(native, NativeResponses.Of(body, request, out _) is not null);
    }

    [Theory]
    [InlineData("", true)]
    [InlineData(""","instructions":null,"text":{"format":{"type":"text"},"verbosity":"low"}""", true)]
    [InlineData(""","instructions":"Answer in French." """, false)]
    [InlineData(""","text":{"format":{"type":"json_object"}}""", false)]
    [InlineData(""","text":{"format":{"type":"json_schema","name":"a","schema":{}}}""", false)]
    public void WhatModelStudiosOwnApiLeavesUnheard_IsTranslatedThere(string members, bool native)
    {
        byte[] body = Encoding.UTF8.GetBytes($$"""{"model":"m","stream":true,"input":"x"{{members}}}""");
        Assert.True(ResponsesRequestParser.TryTranslate(body, null, out ResponsesRequest? request, out _));
        NativeRequest asked = NativeResponses.Of(body, request, out _)!;
        Uri baseUrl = new("https://dashscope-intl.aliyuncs.com/compatible-mode/v1");
        Assert.Equal(native, asked.UrlAt(NativeMode.Auto, Profiles.DashScope, baseUrl) is not null);
        Assert.NotNull(asked.UrlAt(NativeMode.Always, Profiles.DashScope, baseUrl));
        Assert.NotNull(asked.UrlAt(NativeMode.Auto, Profiles.OpenRouter, baseUrl));
    }

    private static string Json(object value) => JsonSerializer.Serialize(value);

    private static JsonElement CallOf(string tools, string name, string arguments)
    {
        string request = $$"""{"model":"m","stream":true,"input":"x","tools":[{{tools}}]}""";
        string function = Json(new { name, arguments });
        string upstream = ResponsesRun.Call($$"""{"index":0,"id":"c","type":"function","function":{{function}}}""") + ResponsesRun.Finish("tool_calls");
        JsonElement streamed = ResponsesRun.Ending(ResponsesRun.Of(request).Stream(upstream)).GetProperty("output")[0];
        JsonElement whole = JsonDocument.Parse(ResponsesRun.Of(request).Whole(upstream)).RootElement.GetProperty("output")[0];
        Assert.Equal(streamed.GetRawText(), whole.GetRawText());
        return streamed;
    }
}
