using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using static QwenProxy.Core.Tests.Dialects.AnthropicMessages.MessagesStreams;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

public sealed class MessagesAnswerTests
{
    private static readonly ProxyError Cut = new()
    {
        Kind = FaultKind.Cut,
        Source = FaultSource.Upstream,
        Status = 502,
        Code = "upstream_protocol_error",
        Message = "The stream broke.",
    };

    [Theory]
    [InlineData("stop", "end_turn")]
    [InlineData("length", "max_tokens")]
    [InlineData("content_filter", "refusal")]
    [InlineData("tool_calls", "end_turn")]
    [InlineData("something_new", "end_turn")]
    public void FinishReason_WithoutCalls_IsTranslated(string finish, string expected) =>
        Assert.Equal(expected, StopReason(Text("A") + Chunk("{}", $"\"{finish}\"")));

    [Theory]
    [InlineData("stop", "tool_use")]
    [InlineData("tool_calls", "tool_use")]
    [InlineData("function_call", "tool_use")]
    [InlineData("length", "max_tokens")]
    public void FinishReason_WithACall_IsTranslated(string finish, string expected) =>
        Assert.Equal(expected, StopReason(Call(0, "c", "f", "{}") + Chunk("{}", $"\"{finish}\"")));

    [Fact]
    public void SecondFinishReason_DoesNotReplaceTheFirst() =>
        Assert.Equal("max_tokens", StopReason(Text("A") + Chunk("{}", "\"length\"") + Chunk("{}", "\"stop\"")));

    [Theory]
    [InlineData("\"stop_reason\":\"END\"", "stop_sequence")]
    [InlineData("\"matched_stop\":\"END\"", "stop_sequence")]
    [InlineData("\"matched_stop\":151645", "end_turn")]
    [InlineData("\"matched_stop\":\"<|im_end|>\"", "end_turn")]
    public void StopSequence_IsNamedOnlyWhenTheRequestAskedForIt(string member, string expected)
    {
        string upstream = Text("A") + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"," + member + "}]}\n\n";
        JsonNode message = JsonNode.Parse(Whole(upstream, Options(ThinkingDisplay.Shown, "END")))!;
        Assert.Equal(expected, (string?)message["stop_reason"]);
        Assert.Equal(expected == "stop_sequence" ? "END" : null, (string?)message["stop_sequence"]);
    }

    [Fact]
    public void ErrorAfterText_IsAnErrorEventWithoutForgedEnd()
    {
        ArrayBufferWriter<byte> output = new();
        using MessagesStreamAnswer answer = new(output, Options());
        Pump(Text("A"), answer);
        answer.WriteError(Cut);
        string stream = Encoding.UTF8.GetString(output.WrittenSpan);
        const string Error = """{"type":"error","error":{"type":"api_error","message":"The stream broke.","code":"upstream_protocol_error"}}""";
        Assert.EndsWith("event: error\ndata: " + Error + "\n\n", stream, StringComparison.Ordinal);
        Assert.DoesNotContain("content_block_stop", stream, StringComparison.Ordinal);
        Assert.DoesNotContain("message_delta", stream, StringComparison.Ordinal);
        Assert.DoesNotContain("message_stop", stream, StringComparison.Ordinal);
    }

    [Fact]
    public void ErrorBeforeAnyEvent_StandsAlone()
    {
        ArrayBufferWriter<byte> output = new();
        using MessagesStreamAnswer answer = new(output, Options());
        answer.WriteError(Cut);
        Assert.StartsWith("event: error\n", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public void WholeAnswer_CannotFailInTheMiddle()
    {
        using MessagesWholeAnswer answer = new(new ArrayBufferWriter<byte>(), Options());
        Assert.Throws<InvalidOperationException>(() => answer.WriteError(Cut));
        Assert.False(answer.IsStream);
        Assert.True(answer.KeepAlive.IsEmpty);
    }

    [Fact]
    public void KeepAlive_IsAPingEvent()
    {
        using MessagesStreamAnswer answer = new(new ArrayBufferWriter<byte>(), Options());
        Assert.True(answer.IsStream);
        Assert.Equal("event: ping\ndata: {\"type\": \"ping\"}\n\n", Encoding.UTF8.GetString(answer.KeepAlive.Span));
    }

    [Fact]
    public void NothingSaid_IsAnEmptyMessageWithTheEstimate()
    {
        JsonNode message = JsonNode.Parse(Whole(""))!;
        Assert.Equal("msg_minted1", (string?)message["id"]);
        Assert.Empty(message["content"]!.AsArray());
        Assert.Equal(12, (int)message["usage"]!["input_tokens"]!);
        Assert.Equal(0, (int)message["usage"]!["output_tokens"]!);
    }

    [Theory]
    [InlineData("chatcmpl-ab-1", "msg_ab-1")]
    [InlineData("msg_x", "msg_x")]
    [InlineData("a b\\\"c", "msg_abc")]
    [InlineData("", "msg_minted1")]
    [InlineData("chatcmpl-", "msg_minted1")]
    public void MessageId_IsMadeFromTheUpstreams(string upstreamId, string expected)
    {
        string upstream = "data: {\"id\":\"" + upstreamId + "\",\"model\":\"q\",\"choices\":[{\"delta\":{\"content\":\"A\"}}]}\n\n";
        Assert.Equal(expected, (string?)JsonNode.Parse(Whole(upstream))!["id"]);
    }

    [Fact]
    public void PinnedId_WinsOverTheFirstEvents()
    {
        ArrayBufferWriter<byte> output = new();
        using MessagesWholeAnswer answer = new(output, Options());
        answer.Continue("\"chatcmpl-first\""u8.ToArray());
        Pump(Text("A"), answer);
        answer.Finish();
        Assert.Equal("msg_first", (string?)JsonNode.Parse(output.WrittenSpan)!["id"]);
    }

    [Fact]
    public void ModelOption_IsShownInsteadOfTheUpstreams() =>
        Assert.Equal("claude-\"x\"", (string?)JsonNode.Parse(Whole(Text("A"), Options() with { Model = "claude-\"x\"" }))!["model"]);

    [Fact]
    public void OtherChoices_AreIgnored()
    {
        string upstream = Text("A") + "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\"}}]}\n\n";
        Assert.Equal("A", (string?)JsonNode.Parse(Whole(upstream))!["content"]![0]!["text"]);
    }

    [Fact]
    public void Edits_AreWhatTheClientReads()
    {
        string upstream = Text("one") + Text("two") + Text("three");
        int number = 0;
        void Edit(ChatEvent e)
        {
            number++;
            if (number == 1) e.SetText(0, "1 \"neu\"\n"u8);
            if (number == 2) e.Remove(0);
            if (number != 3) return;
            e.Add(PartPlace.Before, PartKind.Reasoning, 0, "hm"u8);
            e.Add(PartPlace.After, PartKind.ToolCall, 0, "{\"a\":\"\\\"\"}"u8, 0, "call_9", "run");
            e.Add(PartPlace.After, PartKind.Finish, 0, "tool_calls"u8);
        }

        string stream = Stream(upstream, edit: Edit);
        number = 0;
        string whole = Whole(upstream, edit: Edit);
        JsonNode content = JsonNode.Parse(whole)!["content"]!;
        Assert.Equal(["text", "thinking", "text", "tool_use"], content.AsArray().Select(b => (string)b!["type"]!));
        Assert.Equal("1 \"neu\"\n", (string?)content[0]!["text"]);
        Assert.Equal("hm", (string?)content[1]!["thinking"]);
        Assert.Equal("three", (string?)content[2]!["text"]);
        Assert.Equal("""{"type":"tool_use","id":"call_9","name":"run","input":{"a":"\u0022"}}""", content[3]!.ToJsonString());
        Assert.Equal("tool_use", (string?)JsonNode.Parse(whole)!["stop_reason"]);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(whole), JsonNode.Parse(MessagesClient.Fold(stream))));
    }

    [Fact]
    public void ErrorsAndMarkersAmongEvents_SayNothing()
    {
        string upstream = Text("A") + ": comment\n\ndata: {\"error\":{\"message\":\"x\"}}\n\ndata: not json\n\ndata: [DONE]\n\n";
        Assert.Equal(Stream(Text("A")), Stream(upstream));
    }

    [Fact]
    public void TextStaysInTheUpstreamsSpelling() =>
        Assert.Contains("\"text\":\"\\u4f60\\/好\\ud800\"", Stream(Text("\\u4f60\\/好\\ud800")), StringComparison.Ordinal);

    private static string StopReason(string upstream) => (string)JsonNode.Parse(Whole(upstream))!["stop_reason"]!;
}
