using System.Text;
using System.Text.Json.Nodes;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Events;
using QwenProxy.Testing;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects;

/// <summary>A whole answer where a stream was asked for: told as a stream and folded again it is what it was, members nobody knows included.</summary>
public sealed class WholeToStreamTests
{
    private const string Message = """
        {
          "id": "msg_1", "type": "message", "role": "assistant", "model": "qwen3.7-max", "container": null, "new": {"a": [1.50]},
          "content": [
            {"type": "thinking", "thinking": "Hm\n.", "signature": "theirs"},
            {"type": "text", "text": "H\u00e9 \"you\"", "citations": null},
            {"type": "server_thing", "data": [1, 2]},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "b\n", "c": [1, 2.50]}},
            {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}
          ],
          "stop_reason": "tool_use", "stop_sequence": null,
          "usage": {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 7, "service_tier": "standard"}
        }
        """;

    private const string Response = """
        {
          "id": "resp_1", "object": "response", "created_at": 1700000000, "status": "completed", "error": null, "incomplete_details": null, "model": "qwen3.7-max", "new": 1.50,
          "output": [
            {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "H\u00e9", "annotations": []}]},
            {"id": "ws_1", "type": "web_search_call", "status": "completed"},
            {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}", "status": "completed"}
          ],
          "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 12}
        }
        """;

    [Fact]
    public void Message_IsTheSameAfterTheStream()
    {
        using PooledBytes folded = new();
        using MessagesWholeAnswer answer = new(folded, new MessagesAnswerOptions { NewId = static () => "own", Display = ThinkingDisplay.Shown });
        Push(new MessagesEventReader(), Message, answer);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Message), JsonNode.Parse(folded.Span)), Encoding.UTF8.GetString(folded.Span));
        Assert.Contains("1.50", Encoding.UTF8.GetString(folded.Span), StringComparison.Ordinal);
    }

    [Fact]
    public void Response_IsTheSameAfterTheStream()
    {
        byte[] body = """{"model":"m","input":"","stream":false,"store":false}"""u8.ToArray();
        Assert.True(ResponsesRequestParser.TryTranslate(body, new ResponsesStore().Of(""), out ResponsesRequest? request, out _));
        using PooledBytes folded = new();
        using ResponsesWholeAnswer answer = new(folded, new ResponsesAnswerOptions { Request = request, NewId = static () => "own", Clock = new FakeClock() });
        Push(new ResponsesEventReader(), Response, answer);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Response), JsonNode.Parse(folded.Span)), Encoding.UTF8.GetString(folded.Span));
    }

    [Theory]
    [InlineData("""{"type":"error","error":{"type":"overloaded_error","message":"busy"}}""")]
    [InlineData("""{"object":"response","status":"in_progress","output":[]}""")]
    [InlineData("""{"object":"chat.completion","choices":[{"message":{"content":"hi"}}]}""")]
    [InlineData("""{"type":"message","content":[]""")]
    [InlineData("<html>")]
    [InlineData("")]
    public void WhatIsNoAnswer_IsNone(string text)
    {
        using PooledBytes stream = new();
        Assert.False(new MessagesEventReader().TryToStream(Encoding.UTF8.GetBytes(text), stream));
        Assert.False(new ResponsesEventReader().TryToStream(Encoding.UTF8.GetBytes(text), stream));
    }

    private static void Push(EventReader reader, string whole, DownstreamAnswer answer)
    {
        using PooledBytes stream = new();
        Assert.True(reader.TryToStream(Encoding.UTF8.GetBytes(whole), stream));
        using SseFrameReader frames = new(stream.Length, stream.Length);
        stream.Span.CopyTo(frames.GetMemory().Span);
        frames.Advance(stream.Length);
        using ChatEvent e = new();
        while (frames.TryRead(out SseFrame frame))
        {
            reader.Read(frame, e);
            Assert.NotEqual(EventKind.Broken, e.Kind);
            answer.Push(e);
        }

        answer.Finish();
    }
}
