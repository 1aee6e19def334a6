using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

public sealed class MessagesRequestTests
{
    private const string Minimal = """{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""";

    [Theory]
    [InlineData("", "empty")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{\"model\":\"m\",", "not valid JSON")]
    [InlineData("{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{]}]}", "not valid JSON")]
    [InlineData("""{"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""", "\"model\"")]
    [InlineData("""{"model":"","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""", "\"model\"")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"Hi"}]}""", "\"max_tokens\"")]
    [InlineData("""{"model":"m","max_tokens":"9","messages":[{"role":"user","content":"Hi"}]}""", "\"max_tokens\"")]
    [InlineData("""{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"Hi"}]}""", "\"max_tokens\"")]
    [InlineData("""{"model":"m","max_tokens":9}""", "\"messages\"")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[ ]}""", "\"messages\"")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":["Hi"]}""", "\"content\"")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user"}]}""", "\"content\"")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"tool","content":"x"}]}""", "\"role\"")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":7}]}""", "\"content\"")]
    [InlineData("""{"model":"m","max_tokens":9,"stream":1,"messages":[{"role":"user","content":"Hi"}]}""", "\"stream\"")]
    [InlineData("""{"model":"m","max_tokens":9,"stop_sequences":"x","messages":[{"role":"user","content":"Hi"}]}""", "\"stop_sequences\"")]
    [InlineData("""{"model":"m","max_tokens":9,"tools":{},"messages":[{"role":"user","content":"Hi"}]}""", "\"tools\"")]
    [InlineData("""{"model":"m","max_tokens":9,"tools":[{"description":"x"}],"messages":[{"role":"user","content":"Hi"}]}""", "\"name\"")]
    public void FaultyRequest_IsRefusedByName(string body, string named) => AssertRefused(body, named);

    [Theory]
    [InlineData("user", """{"type":"tool_result","content":"x"}""", "\"tool_use_id\"")]
    [InlineData("assistant", """{"type":"tool_use","id":"x"}""", "\"name\"")]
    [InlineData("user", """{"type":"image","source":{"type":"file","file_id":"f"}}""", "file")]
    [InlineData("user", """{"type":"image","source":{"type":"base64","data":"AA"}}""", "media_type")]
    [InlineData("user", """{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}""", "application/pdf")]
    [InlineData("user", """{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}}""", "url")]
    [InlineData("user", "\"x\"", "\"type\"")]
    public void FaultyBlock_IsRefusedByName(string role, string block, string named) => AssertRefused(Turn(role, block), named);

    [Theory]
    [InlineData(Search, "null", "web_search_20250305")]
    [InlineData(Search, """{"type":"any"}""", "web_search_20250305")]
    [InlineData(Search, """{"type":"tool","name":"web_search"}""", "web_search_20250305")]
    [InlineData(Search + """,{"type":"web_fetch_20250910","name":"web_fetch"}""", """{"type":"auto"}""", "web_search_20250305")]
    [InlineData(Search + "," + Own, """{"type":"tool","name":"web_search"}""", "web_search_20250305")]
    [InlineData("""{"type":"mcp_toolset","mcp_server_name":"s"}""", "null", "mcp_toolset")]
    [InlineData("""{"type":"code_execution_20260120","name":"code_execution"}""", "null", "code_execution_20260120")]
    public void ServerTool_IsRefusedWhereNothingElseCouldBeCalled(string tools, string choice, string named)
    {
        string body = WithTools(tools, choice);
        AssertRefused(body, $"\"{named}\"");
        AssertRefused(body, "input_schema");
    }

    [Theory]
    [InlineData(Search + "," + Own, """{"type":"auto"}""")]
    [InlineData(Search + "," + Own, """{"type":"tool","name":"own"}""")]
    [InlineData(Search + """,{"name":"web_search","input_schema":{"type":"object"}}""", """{"type":"tool","name":"web_search"}""")]
    [InlineData(Search, """{"type":"none"}""")]
    public void ServerTool_IsLeftOutWhereTheModelCanDoWithout(string tools, string choice)
    {
        Assert.True(MessagesRequestParser.TryTranslate(Encoding.UTF8.GetBytes(WithTools(tools, choice)), new MessagesOptions(), out MessagesRequest? request, out _));
        Assert.Equal("tool:web_search_20250305", request.Dropped[0]);
        Assert.DoesNotContain("20250305", Encoding.UTF8.GetString(request.ChatBody), StringComparison.Ordinal);
    }

    private const string Search = """{"type":"web_search_20250305","name":"web_search","max_uses":5}""";
    private const string Own = """{"name":"own","input_schema":{"type":"object"}}""";

    private static string WithTools(string tools, string choice) => Minimal[..^1] + $",\"tools\":[{tools}],\"tool_choice\":{choice}}}";

    private static void AssertRefused(string body, string named)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        Assert.False(MessagesRequestParser.TryTranslate(bytes, new MessagesOptions(), out MessagesRequest? request, out ProxyError? fault));
        Assert.Null(request);
        Assert.Equal(400, fault!.Status);
        Assert.Equal("invalid_request", fault.Code);
        Assert.Equal(FaultSource.Downstream, fault.Source);
        Assert.Contains(named, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BodyThatIsNoUtf8_IsRefused()
    {
        byte[] body = Encoding.UTF8.GetBytes(Minimal.Replace("Hi", "H\u00e4", StringComparison.Ordinal));
        body[Array.IndexOf(body, (byte)0xC3) + 1] = (byte)'x';
        Assert.False(MessagesRequestParser.TryTranslate(body, new MessagesOptions(), out _, out ProxyError? fault));
        Assert.Contains("UTF-8", fault!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"create"}""")]
    [InlineData("""{"type":"continue","previous_message_id":"msg_1"}""")]
    public void ServerHeldThread_IsRefusedInTheWayThatMakesTheSdkResend(string thread)
    {
        string body = Minimal[..^1] + ",\"thread\":" + thread + "}";
        Assert.False(MessagesRequestParser.TryTranslate(Encoding.UTF8.GetBytes(body), new MessagesOptions(), out _, out ProxyError? fault));
        using JsonDocument error = JsonDocument.Parse(MessagesErrors.Write(fault!));
        Assert.Equal("invalid_request_error", error.RootElement.GetProperty("error").GetProperty("type").GetString());
        JsonElement details = error.RootElement.GetProperty("error").GetProperty("details");
        Assert.Equal("""{"error_code":"thread_unsupported_request","unsupported":["thread"]}""", details.GetRawText());
    }

    [Fact]
    public void NullThread_IsNoThread() => Assert.Equal("m", Parse(Minimal[..^1] + ",\"thread\":null}").Model);

    [Fact]
    public void BillingLineOfAStringSystem_IsRemoved()
    {
        string body = Minimal[..^1] + ""","system":"x-anthropic-billing-header: cc_version=1;\nYou are an agent."}""";
        MessagesRequest request = Parse(body);
        Assert.Contains("""{"role":"system","content":"You are an agent."}""", Chat(request), StringComparison.Ordinal);
        Assert.Equal(["billing-block"], request.QuirksApplied);
    }

    [Fact]
    public void BillingRuleSwitchedOff_KeepsTheBlock()
    {
        string body = Minimal[..^1] + ""","system":[{"type":"text","text":"x-anthropic-billing-header: a"},{"type":"text","text":"B"}]}""";
        MessagesRequest request = Parse(body, new MessagesOptions { RemoveBillingBlock = false });
        Assert.Contains("x-anthropic-billing-header: a\\n\\nB", Chat(request), StringComparison.Ordinal);
        Assert.Empty(request.QuirksApplied);
    }

    [Fact]
    public void BillingBlockAlone_LeavesNoSystemMessage()
    {
        string body = Minimal[..^1] + ""","system":[{"type":"text","text":"x-anthropic-billing-header: a"}]}""";
        Assert.DoesNotContain("system", Chat(Parse(body)), StringComparison.Ordinal);
    }

    [Fact]
    public void BillingTextLaterInTheSystem_Stays()
    {
        string body = Minimal[..^1] + ""","system":[{"type":"text","text":"A"},{"type":"text","text":"x-anthropic-billing-header: a"}]}""";
        Assert.Contains("x-anthropic-billing-header", Chat(Parse(body)), StringComparison.Ordinal);
    }

    [Fact]
    public void UpstreamWithoutMarkers_GetsNone()
    {
        string body = Turn("user", """{"type":"text","text":"A","cache_control":{"type":"ephemeral"}}""");
        Assert.DoesNotContain("cache_control", Chat(Parse(body)), StringComparison.Ordinal);
        Assert.Contains("cache_control", Chat(Parse(body, new MessagesOptions { CacheControl = true })), StringComparison.Ordinal);
    }

    [Fact]
    public void MarkerThatMovesOn_LeavesTheTextsAsTheyWere()
    {
        const string Marker = ",\"cache_control\":{\"type\":\"ephemeral\"}";
        string body = Turn("user", """{"type":"text","text":"A"},{"type":"text","text":"B","cache_control":{"type":"ephemeral"}}""");
        MessagesOptions options = new() { CacheControl = true };
        string marked = Chat(Parse(body, options)), plain = Chat(Parse(body.Replace(Marker, "", StringComparison.Ordinal), options));
        Assert.Contains(Marker, marked, StringComparison.Ordinal);
        Assert.Equal(plain, marked.Replace(Marker, "", StringComparison.Ordinal));
    }

    [Fact]
    public void ThinkingOfEarlierTurns_CanBeLeftOut()
    {
        string body = Turn("assistant", """{"type":"thinking","thinking":"T","signature":"s"},{"type":"text","text":"A"}""");
        MessagesRequest request = Parse(body, new MessagesOptions { ReplayThinking = false });
        Assert.DoesNotContain("reasoning_content", Chat(request), StringComparison.Ordinal);
        Assert.Equal(["block:thinking"], request.Dropped);
    }

    [Theory]
    [InlineData("qp1t.4pySIGl0IQ", "\"reasoning_content\":\"✒ it!\"")]
    [InlineData("qp1t.4pySIGl0IQ===broken", null)]
    [InlineData("qp1t._w", null)]
    [InlineData("qp1.AAAA", null)]
    [InlineData("ErUBCkYIBRgCIkDforeign", null)]
    [InlineData("", null)]
    public void EmptyThinking_ComesBackOnlyFromASignatureThatCarriesIt(string signature, string? expected)
    {
        string blocks = $$"""{"type":"thinking","thinking":"","signature":"{{signature}}"},{"type":"text","text":"A"}""";
        string chat = Chat(Parse(Turn("assistant", blocks)));
        if (expected is null) Assert.DoesNotContain("reasoning_content", chat, StringComparison.Ordinal);
        else Assert.Contains(expected, chat, StringComparison.Ordinal);
    }

    [Fact]
    public void OddFieldNames_AreReportedWithoutTheirText()
    {
        MessagesRequest request = Parse(Minimal[..^1] + ",\"a secret\\nvalue\":1,\"plain_name\":2}");
        Assert.Equal(["other", "plain_name"], request.Dropped);
    }

    [Fact]
    public void ManyUnknownFields_AreReportedUpToALimit()
    {
        string fields = string.Concat(Enumerable.Range(0, 500).Select(i => $",\"f{i}\":1"));
        Assert.Equal(32, Parse(Minimal[..^1] + fields + "}").Dropped.Count);
    }

    [Fact]
    public void ErrorResultThatSaysSo_IsNotSaidTwice()
    {
        const string Said = """{"type":"tool_result","tool_use_id":"a","is_error":true,"content":"Error: no"}""";
        const string Silent = """{"type":"tool_result","tool_use_id":"b","is_error":true}""";
        string chat = Chat(Parse(Turn("user", Said + "," + Silent)));
        Assert.Contains("""{"role":"tool","tool_call_id":"a","content":"Error: no"}""", chat, StringComparison.Ordinal);
        Assert.Contains("""{"role":"tool","tool_call_id":"b","content":"Error:"}""", chat, StringComparison.Ordinal);
    }

    [Fact]
    public void DeepAndLargeInput_IsCopiedByteForByte()
    {
        string deep = string.Concat(Enumerable.Repeat("{\"a\":", 100)) + "1.50e+1" + new string('}', 100);
        string body = $$"""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"t","input_schema":{{deep}}}]}""";
        Assert.Contains("\"parameters\":" + deep, Chat(Parse(body)), StringComparison.Ordinal);
    }

    [Fact]
    public void ModelName_IsReadInPlainText() =>
        Assert.Equal("qwen/ü", Parse(Minimal.Replace("\"m\"", "\"qwen\\/\\u00fc\"", StringComparison.Ordinal)).Model);

    private static string Turn(string role, string blocks) =>
        $$"""{"model":"m","max_tokens":9,"messages":[{"role":"{{role}}","content":[{{blocks}}]}]}""";

    private static string Chat(MessagesRequest request) => Encoding.UTF8.GetString(request.ChatBody);

    private static MessagesRequest Parse(string body, MessagesOptions? options = null)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        bool ok = MessagesRequestParser.TryTranslate(bytes, options ?? new MessagesOptions(), out MessagesRequest? request, out ProxyError? fault);
        Assert.True(ok, fault?.Message);
        using JsonDocument wellFormed = JsonDocument.Parse(request!.ChatBody, new JsonDocumentOptions { MaxDepth = 256 });
        return request;
    }
}
