using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects.OpenAIChat;

public sealed class ChatDialectTests
{
    private const string Text = """{"choices":[{"delta":{"content":"hello","zz":1.0},"finish_reason":null,"index":0,"logprobs":{"content":[]}}],"id":"c1","x":1e2}""";

    [Fact]
    public void UneditedEvent_IsWrittenAsItCame() => Assert.Equal($"id: 3\r\ndata:{Text}\r\n\r\n", Encode($"id: 3\r\ndata:{Text}\r\n\r\n", _ => { }));

    [Fact]
    public void EditedText_ChangesOnlyItsString()
    {
        string written = Encode($"data: {Text}\n\n", e => e.SetText(0, "你\"b"u8));
        Assert.Equal("data: " + Text.Replace("\"hello\"", "\"你\\\"b\"", StringComparison.Ordinal).Replace("{\"content\":[]}", "null", StringComparison.Ordinal) + "\n\n", written);
    }

    [Fact]
    public void EventWhoseOnlyTextIsRemoved_IsNotWritten() => Assert.Equal("", Encode($"data: {Text}\n\n", e => e.Remove(0)));

    [Fact]
    public void RemovedTextBesideAFinishReason_LeavesTheFinishReason()
    {
        string written = Encode("""data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop","index":0}]}""" + "\n\n", e => e.Remove(0));
        Assert.Equal("""data: {"choices":[{"delta":{"content":""},"finish_reason":"stop","index":0}]}""" + "\n\n", written);
    }

    [Fact]
    public void AddedParts_StandInTheEventsEnvelope_BeforeAndAfter()
    {
        string written = Encode($"data: {Text}\n\n", e =>
        {
            e.Add(PartPlace.Before, PartKind.Reasoning, 0, "why"u8);
            e.Add(PartPlace.After, PartKind.ToolCall, 0, "{}"u8, 1, "call_1", "f");
        });
        string[] frames = written.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("""data: {"choices":[{"index":0,"delta":{"reasoning_content":"why"},"finish_reason":null}],"id":"c1","x":1e2}""", frames[0]);
        Assert.Equal("data: " + Text, frames[1]);
        Assert.Contains("""{"index":1,"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}""", frames[2], StringComparison.Ordinal);
    }

    [Fact]
    public void OneOfTwoCallsRemoved_KeepsTheOther()
    {
        const string calls = """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}""";
        string written = Encode($"data: {calls}\n\n", e => e.Remove(0));
        Assert.Contains("""[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]""", written, StringComparison.Ordinal);
        Assert.DoesNotContain("\"a\"", written, StringComparison.Ordinal);
    }

    [Fact]
    public void JoinedDataLines_AreWrittenAsOneWhenEdited()
    {
        string written = Encode("data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"hello\"}}]}\n\n", e => e.SetText(0, "x"u8));
        Assert.Equal("data: {\"choices\":[{\"index\":0, \"delta\":{\"content\":\"x\"}}]}\n\n", written);
    }

    [Fact]
    public void PinnedId_ReplacesAnotherStreamsId()
    {
        using PooledBytes output = new();
        using OpenAIChatEncoder encoder = new(output, usageAsked: false) { PinnedId = "\"first\""u8.ToArray() };
        using ChatEvent e = Decode($"data: {Text}\n\n");
        encoder.Push(e);
        Assert.Equal("data: " + Text.Replace("\"c1\"", "\"first\"", StringComparison.Ordinal) + "\n\n", Encoding.UTF8.GetString(output.Span));
    }

    [Theory]
    [InlineData("data: [DONE]\n\n", EventKind.Done)]
    [InlineData(": comment\n\n", EventKind.Silent)]
    [InlineData("data: {\"error\":{\"message\":\"m\"}}\n\n", EventKind.Error)]
    [InlineData("data: {\"code\":\"Throttling\",\"message\":\"m\"}\n\n", EventKind.Error)]
    [InlineData("event: error\ndata: plain words\n\n", EventKind.Error)]
    [InlineData("data: {\"choices\":[]\n\n", EventKind.Broken)]
    [InlineData("data: words\n\n", EventKind.Broken)]
    [InlineData("data: {\"choices\":[],\"usage\":{\"total_tokens\":1}}\n\n", EventKind.Chunk)]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"an \\\"error\\\" in text\"}}],\"error\":null}\n\n", EventKind.Chunk)]
    public void Kind_IsReadFromTheFrame(string frame, EventKind kind)
    {
        using ChatEvent e = Decode(frame);
        Assert.Equal(kind, e.Kind);
    }

    [Fact]
    public void Decoding_AllocatesNothing()
    {
        byte[] raw = Encoding.UTF8.GetBytes($"data: {Text}\n\n");
        SseFrame frame = new() { Raw = raw, Data = raw.AsMemory(6, raw.Length - 8), DataOffset = 6, HasData = true };
        using ChatEvent e = new();
        for (int i = 0; i < 100; i++) ChatEventDecoder.Decode(frame, e);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) ChatEventDecoder.Decode(frame, e);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Fold_JoinsTextThinkingAndCalls_AndKeepsUnknownFields()
    {
        string[] chunks =
        [
            """{"id":"c","object":"chat.completion.chunk","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"why"}}]}""",
            """{"id":"c","new_field":{"a":1.50},"choices":[{"index":0,"delta":{"content":"a\u00e9","audio":{"id":"z"}},"logprobs":{"content":[{"t":1}]}}]}""",
            """{"id":"c","choices":[{"index":0,"delta":{"content":"b"},"logprobs":{"content":[{"t":2}]}}]}""",
            """{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"{\"p\""}}]}}]}""",
            """{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","function":{"arguments":":1}"}}]}}]}""",
            """{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}""",
            """{"id":"c","choices":[],"usage":{"total_tokens":9}}""",
        ];
        using OpenAIChatFold fold = new();
        foreach (string chunk in chunks)
        {
            using ChatEvent e = Decode($"data: {chunk}\n\n");
            fold.Push(e);
        }

        using PooledBytes output = new();
        fold.WriteTo(output);
        using JsonDocument whole = JsonDocument.Parse(output.Memory);
        JsonElement root = whole.RootElement;
        JsonElement message = root.GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("chat.completion", root.GetProperty("object").GetString());
        Assert.Equal("1.50", root.GetProperty("new_field").GetProperty("a").GetRawText());
        Assert.Equal(9, root.GetProperty("usage").GetProperty("total_tokens").GetInt32());
        Assert.Equal("aéb", message.GetProperty("content").GetString());
        Assert.Equal("why", message.GetProperty("reasoning_content").GetString());
        Assert.Equal("z", message.GetProperty("audio").GetProperty("id").GetString());
        Assert.Equal("{\"p\":1}", message.GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal("x", message.GetProperty("tool_calls")[0].GetProperty("id").GetString());
        Assert.Equal(2, root.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").GetArrayLength());
        Assert.Equal("tool_calls", root.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public void WholeAnswer_BecomesAChunkThatSaysTheSame()
    {
        byte[] whole = """{"object":"chat.completion","choices":[{"message":{"content":"a","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"""u8.ToArray();
        Assert.True(ChatCompletionObject.TryToChunk(whole, out byte[] chunk));
        Assert.Equal(
            """{"object":"chat.completion.chunk","choices":[{"delta":{"content":"a","tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}""",
            Encoding.UTF8.GetString(chunk));
        Assert.False(ChatCompletionObject.TryToChunk("""{"error":{"message":"m"},"choices":[]}"""u8, out _));
        Assert.False(ChatCompletionObject.TryToChunk("<html>"u8, out _));
    }

    private static string Encode(string frame, Action<ChatEvent> edit)
    {
        using PooledBytes output = new();
        using OpenAIChatEncoder encoder = new(output, usageAsked: true);
        using ChatEvent e = Decode(frame);
        edit(e);
        encoder.Push(e);
        return Encoding.UTF8.GetString(output.Span);
    }

    private static ChatEvent Decode(string text)
    {
        using SseFrameReader reader = new(1024 * 1024);
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        bytes.CopyTo(reader.GetMemory());
        reader.Advance(bytes.Length);
        Assert.True(reader.TryRead(out SseFrame frame));
        // The reader goes away here, so the event gets bytes of its own.
        using ChatEvent borrowed = new();
        ChatEventDecoder.Decode(frame, borrowed);
        ChatEvent own = new();
        own.CopyFrom(borrowed);
        return own;
    }
}
