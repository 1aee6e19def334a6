using System.Text.Json;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

public sealed class RequestTests
{
    private const string OtherMakers = """{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAAABo"}""";

    [Theory]
    [InlineData("", null, "empty")]
    [InlineData("[1]", null, "not a JSON object")]
    [InlineData("""{"model":"m","input":"x" """, null, "not valid JSON")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":nul}]}""", null, "not valid JSON")]
    [InlineData("""{"input":"x"}""", "model", "names no model")]
    [InlineData("""{"model":7,"input":"x"}""", "model", "names no model")]
    [InlineData("""{"model":"m"}""", "input", "string or a list")]
    [InlineData("""{"model":"m","input":{"role":"user"}}""", "input", "string or a list")]
    [InlineData("""{"model":"m","input":"x","stream":"yes"}""", "stream", "true or false")]
    [InlineData("""{"model":"m","input":"x","conversation":"conv_1"}""", "conversation", "not kept here")]
    [InlineData("""{"model":"m","input":"x","prompt":{"id":"p"}}""", "prompt", "not kept here")]
    [InlineData("""{"model":"m","input":"x","background":true}""", "background", "not supported")]
    [InlineData("""{"model":"m","input":["x"]}""", "input[0]", "must be an object")]
    [InlineData("""{"model":"m","input":[{"content":"x"}]}""", "input[0]", "type or a role")]
    [InlineData("""{"model":"m","input":[{"role":"tool","content":"x"}]}""", "input[0].role", "role must be")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":7}]}""", "input[0].content", "string or a list")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"type":"input_hologram"}]}]}""", "input[0].content", "input_hologram")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}""", "input[0].content", "image_url")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}""", "input[0].content", "base64")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_data":"AP8="}]}]}""", "input[0].content", "base64")]
    [InlineData("""{"model":"m","input":[{"type":"function_call","name":"f","arguments":"{}"}]}""", "input[0]", "call_id")]
    [InlineData("""{"model":"m","input":["a",{"type":"function_call_output"}]}""", "input[0]", "object")]
    [InlineData("""{"model":"m","input":[{"type":"function_call_output","output":"x"}]}""", "input[0].call_id", "call_id")]
    public void UnusableRequest_IsRefusedWithTheFieldToChange(string body, string? param, string words)
    {
        ProxyError fault = ResponsesRun.Refused(body);
        Assert.Equal(400, fault.Status);
        Assert.Equal(FaultSource.Downstream, fault.Source);
        Assert.Equal(param, fault.Param);
        Assert.Contains(words, fault.Message);
    }

    [Fact]
    public void UnknownPreviousResponse_IsRefusedInTheApisOwnCode()
    {
        ProxyError fault = ResponsesRun.Refused("""{"model":"m","input":"x","previous_response_id":"resp_none"}""");
        Assert.Equal("previous_response_not_found", fault.Code);
        Assert.Equal("previous_response_id", fault.Param);
        Assert.Equal("invalid_request_error", fault.Type);
    }

    [Fact]
    public void FieldsOfThisApi_StayHere_AndUnknownOnesGoAlong()
    {
        ResponsesRun run = ResponsesRun.Of("""
            {"model":"m","input":"x","store":false,"include":[],"metadata":{"a":"b"},"prompt_cache_key":"k","service_tier":"auto","truncation":"auto",
             "client_metadata":{},"user":"u","stream":true,"stream_options":{"include_obfuscation":false},"max_output_tokens":9,"top_k":20,"seed":1e1,
             "chat_template_kwargs":{"enable_thinking": false},"messages":[{"role":"user","content":"smuggled"}],"parallel_tool_calls":true}
            """);
        Assert.Equal(
            """{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":9,"top_k":20,"seed":1e1"""
            + ""","chat_template_kwargs":{"enable_thinking": false}}""",
            run.Chat);
        Assert.True(run.Request.Stream);
        Assert.False(run.Request.Store);
    }

    [Fact]
    public void ReasoningRequest_IsToldNeutrally()
    {
        ResponsesRun run = ResponsesRun.Of(
            """{"model":"m","input":"x","reasoning":{"effort":"high","summary":"auto"},"include":["reasoning.encrypted_content"]}""");
        Assert.Equal("high", run.Request.Effort);
        Assert.Equal("auto", run.Request.Summary);
        Assert.True(run.Request.EncryptedReasoning);
        Assert.Equal("high", run.ChatJson.GetProperty("reasoning_effort").GetString());
        Assert.True(run.Request.Store);
        Assert.False(run.Request.Stream);
    }

    [Fact]
    public void ServedToolsAndItemsOnly_TheRestIsReported()
    {
        ResponsesRun run = ResponsesRun.Of("""
            {"model":"m","input":[{"role":"user","content":"x"},{"type":"web_search_call","id":"a"},{"type":"compaction","encrypted_content":"z"},
             {"type":"tool_search_call","call_id":null,"execution":"server","arguments":{}},{"type":"shell_call_output","call_id":"of-nothing"},
             {"type":"agent_message","author":"a","recipient":"b","content":[{"type":"encrypted_content","encrypted_content":"z"}]},
             {"type":"item_reference","id":"msg_gone"}],
             "tools":[{"type":"web_search"},{"type":"file_search"},{"type":"computer_use_preview"},
              {"type":"namespace","name":"n","tools":[{"type":"x"},{"type":"function","name":"f"}]},{"type":"tool_search"}],
             "tool_choice":"required"}
            """);
        Assert.Equal("n__f", run.ChatJson.GetProperty("tools")[0].GetProperty("function").GetProperty("name").GetString());
        string[] expected =
        [
            "tool:web_search", "tool:file_search", "tool:computer_use_preview", "tool:x", "tool:tool_search",
            "input:web_search_call", "input:compaction", "input:tool_search_call", "input:shell_call_output", "input:agent_message", "input:item_reference",
        ];
        Assert.Equal(expected, run.Request.Dropped);
    }

    [Fact]
    public void AssistantItems_BecomeOneMessageBeforeTheResults()
    {
        Assert.Equal(
            """
            [{"role":"user","content":"q"},{"role":"assistant","content":"one\n\ntwo","reasoning_content":"t1\n\nt2","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"c2","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
            {"role":"tool","tool_call_id":"c2","content":"r2"},{"role":"tool","tool_call_id":"c1","content":"r1"},{"role":"user","content":"next"}]
            """.Replace("\n", "", StringComparison.Ordinal),
            Messages("""
            {"role":"user","content":"q"},{"type":"reasoning","summary":[{"type":"summary_text","text":"t1"}]},{"role":"assistant","content":"one"},
            {"type":"function_call","call_id":"c1","name":"f","arguments":""},
            {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"t2"}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"t"},{"type":"output_text","text":"wo"}]},
            {"type":"function_call","call_id":"c2","name":"f","arguments":{"a":1}},{"role":"user","content":"next"},
            {"type":"function_call_output","call_id":"c2","output":"r2"},{"type":"function_call_output","call_id":"c1","output":"r1"}
            """));
    }

    [Fact]
    public void ResultsThatNeverCome_HoldNothingBack()
    {
        Assert.Equal(
            """
            [{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"user","content":"stop"},{"role":"assistant","content":"ok"},{"role":"tool","tool_call_id":"late","content":""}]
            """.Replace("\n", "", StringComparison.Ordinal),
            Messages("""
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"role":"user","content":"stop"},{"role":"assistant","content":"ok"},
            {"type":"function_call_output","call_id":"late","output":null}
            """));
    }

    [Fact]
    public void CutCallsAndReasoningThatLedNowhere_AreLeftOut()
    {
        ResponsesRun run = ResponsesRun.Of("""
            {"model":"m","input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"t"}]},
             {"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":","status":"incomplete"},{"role":"user","content":"again"}]}
            """);
        Assert.Equal("""[{"role":"user","content":"again"}]""", run.Messages.GetRawText());
        Assert.Equal(["input:incomplete_call", "input:reasoning"], run.Request.Dropped);
    }

    [Fact]
    public void AnotherMakersReasoning_IsReportedUnlessItHasASummary()
    {
        ResponsesRun unread = ResponsesRun.Of($$"""{"model":"m","input":[{{OtherMakers}},{"role":"assistant","content":"a"}]}""");
        Assert.Equal("""[{"role":"assistant","content":"a"}]""", unread.Messages.GetRawText());
        Assert.Equal(["input:encrypted_reasoning"], unread.Request.Dropped);
        string summarised = OtherMakers.Replace("[]", """[{"type":"summary_text","text":"s"}]""", StringComparison.Ordinal);
        string messages = Messages(summarised + """,{"role":"assistant","content":"a"}""");
        Assert.Equal("""[{"role":"assistant","content":"a","reasoning_content":"s"}]""", messages);
    }

    [Theory]
    [InlineData("\"none\"", "\"none\"")]
    [InlineData("""{"type":"function","name":"f"}""", """{"type":"function","function":{"name":"f"}}""")]
    [InlineData("""{"type":"custom","name":"c"}""", """{"type":"function","function":{"name":"c"}}""")]
    [InlineData("""{"type":"function","namespace":"n","name":"f"}""", """{"type":"function","function":{"name":"n__f"}}""")]
    public void ToolChoice_NamesTheChatFunction(string choice, string expected)
    {
        ResponsesRun run = ResponsesRun.Of($$"""
            {"model":"m","input":"x","tool_choice":{{choice}},"tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"},
             {"type":"namespace","name":"n","tools":[{"type":"function","name":"f","parameters":null}]}]}
            """);
        Assert.Equal(expected, run.ChatJson.GetProperty("tool_choice").GetRawText());
    }

    [Fact]
    public void NamespaceNames_StayApartValidAndTheSameEachTime()
    {
        string longName = new('x', 70);
        string body = $$"""
            {"model":"m","input":"x","tools":[{"type":"namespace","name":"a","tools":[{"type":"function","name":"b"},{"type":"custom","name":"p.q"},
             {"type":"function","name":"{{longName}}1"},{"type":"function","name":"{{longName}}2"}]},
             {"type":"namespace","name":"mcp__s__","tools":[{"type":"function","name":"t"}]},{"type":"function","name":"a__b"}]}
            """;
        JsonElement tools = ResponsesRun.Of(body).ChatJson.GetProperty("tools");
        string[] names = [.. tools.EnumerateArray().Select(t => t.GetProperty("function").GetProperty("name").GetString()!)];
        Assert.Equal(["a__b_2", "a__p_q"], names[..2]);
        Assert.Equal(["mcp__s__t", "a__b"], names[4..]);
        Assert.Equal(6, names.Distinct().Count());
        Assert.All(names, n => Assert.Matches("^[A-Za-z0-9_-]{1,64}$", n));
        Assert.Equal(ResponsesRun.Of(body).Chat, ResponsesRun.Of(body).Chat);

        string stream = ResponsesRun.Of(body).Stream(
            Call(0, "a__b_2") + Call(1, "a__b") + Call(2, names[2]) + Call(3, "a__p_q") + Call(4, "unheard_of") + ResponsesRun.Finish("tool_calls"));
        string[] expected =
        [
            "function_call a b", "function_call - a__b", $"function_call a {longName}1", "custom_tool_call a p.q", "function_call - unheard_of",
        ];
        Assert.Equal(expected, ResponsesRun.Ending(stream).GetProperty("output").EnumerateArray().Select(Describe));
    }

    private static string Describe(JsonElement call)
    {
        string group = call.TryGetProperty("namespace", out JsonElement named) ? named.GetString()! : "-";
        return $"{ResponsesRun.Type(call)} {group} {call.GetProperty("name")}";
    }

    private static string Call(int index, string name) => ResponsesRun.Call(
        $"{{\"index\":{index},\"id\":\"c{index}\",\"type\":\"function\",\"function\":{{\"name\":\"{name}\",\"arguments\":\"{{}}\"}}}}");

    private static string Messages(string items) =>
        ResponsesRun.Of($$"""{"model":"m","input":[{{items}}]}""").Messages.GetRawText();
}
