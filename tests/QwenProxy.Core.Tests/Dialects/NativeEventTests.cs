using System.Buffers;
using System.Text;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects;

/// <summary>The readers of the dialects that upstreams speak, and what their encoders do with events of their own dialect.</summary>
public sealed class NativeEventTests
{
    private const string Start = """{"type":"message_start","message":{"id":"msg_1","role":"assistant","model":"q","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":1}}}""";
    private const string Created = """{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","model":"q","output":[]}}""";

    public static TheoryData<string, string> Deltas => new()
    {
        { "messages", """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello \"you\""}}""" },
        { "messages", """{"delta":{"type":"thinking_delta","thinking":"so"},"index":0,"type":"content_block_delta"}""" },
        { "responses", """{"type":"response.output_text.delta","sequence_number":7,"item_id":"m","output_index":0,"content_index":0,"delta":"Hello"}""" },
        { "responses", """{"delta":"Hello","item_id":"m","output_index":0,"sequence_number":17,"type":"response.output_text.delta"}""" },
    };

    [Theory]
    [MemberData(nameof(Deltas))]
    public void Delta_IsReadWithoutAllocating(string dialect, string json)
    {
        EventReader reader = ReaderOf(dialect);
        using ChatEvent e = new();
        reader.Read(Frame(dialect == "messages" ? Start : Created), e);
        SseFrame frame = Frame(json);
        for (int i = 0; i < 100; i++) reader.Read(frame, e);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) reader.Read(frame, e);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1, e.Parts.Length);
        Assert.False(e.Edited);
    }

    /// <summary>From the frame through every stage of repair into the client's stream.</summary>
    [Theory]
    [InlineData("messages")]
    [InlineData("responses")]
    public void DeltaThatNobodyEdits_PassesWithoutAllocating(string dialect)
    {
        ArrayBufferWriter<byte> output = new(1 << 20);
        using DownstreamAnswer answer = dialect == "messages" ? new MessagesStreamAnswer(output, new MessagesAnswerOptions { NewId = () => "x" }) : new ResponsesStreamAnswer(output, Options());
        RepairContext context = new() { Report = new RepairReport(), Tools = """[{"type":"function","function":{"name":"f","parameters":{}}}]"""u8.ToArray() };
        using RepairPipeline pipeline = new(context, new RepairModes(StutterMode.Auto, RepairMode.On, RepairMode.On, null), () => "call", answer);
        EventReader reader = ReaderOf(dialect);
        using ChatEvent e = new();
        string[] begin = dialect == "messages"
            ? [Start, """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"""]
            : [Created, """{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"m","type":"message","content":[]}}"""];
        foreach (string json in begin) Push(Frame(json));
        // The texts differ, as a model's do; numbered frames count on.
        SseFrame[] frames = [.. Enumerable.Range(2, 3000).Select(i => Frame(dialect == "messages"
            ? $$$"""{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"word{{{i * 7919 % 1000}}} "}}"""
            : $$"""{"type":"response.output_text.delta","sequence_number":{{i}},"item_id":"m","output_index":0,"content_index":0,"delta":"word{{i * 7919 % 1000}} "}"""))];
        foreach (SseFrame frame in frames[..1500]) Push(frame);
        // Responses says the whole text once more at the end, so it is kept, in memory of the pool.
        ArrayPool<byte>.Shared.Return(ArrayPool<byte>.Shared.Rent(32 * 1024));
        long written = output.WrittenCount, before = GC.GetAllocatedBytesForCurrentThread();
        foreach (SseFrame frame in frames.AsSpan(1500, 1000)) Push(frame);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(0, allocated);
        Assert.Equal(frames[1500..2500].Sum(f => f.Raw.Length), output.WrittenCount - written);

        void Push(in SseFrame frame)
        {
            reader.Read(frame, e);
            pipeline.Chain.Push(e);
        }
    }

    private static ResponsesAnswerOptions Options()
    {
        Assert.True(ResponsesRequestParser.TryTranslate("""{"model":"m","input":"","stream":true,"store":false}"""u8.ToArray(), null, out ResponsesRequest? request, out _));
        return new ResponsesAnswerOptions { Request = request, NewId = () => "x", Clock = TimeProvider.System };
    }

    /// <summary>What was recognised by its form says the same as what was read in full, whatever changed its length.</summary>
    [Theory]
    [InlineData("""{"type":"response.output_text.delta","sequence_number":%n,"item_id":"m","output_index":3,"delta":"%t","logprobs":[]}""")]
    [InlineData("""{"delta":"%t","output_index":3,"sequence_number":%n,"type":"response.output_text.delta"}""")]
    public void DeltaOfAKnownForm_IsReadLikeAnyOther(string form)
    {
        EventReader known = ReaderOf("responses");
        using ChatEvent e = new();
        known.Read(Frame(Created), e);
        foreach ((string number, string text) in ((string, string)[])[("1", "a"), ("22", ""), ("9", "a longer text \\n"), ("1000", "\\u00e9"), ("12", "x"), ("4", "\\\"")])
        {
            string json = form.Replace("%n", number, StringComparison.Ordinal).Replace("%t", text, StringComparison.Ordinal);
            known.Read(Frame(json), e);
            using ChatEvent fresh = new();
            EventReader other = ReaderOf("responses");
            other.Read(Frame(Created), fresh);
            using ChatEvent full = new();
            other.Read(Frame(json), full);
            Assert.Equal(full.Parts.Length, e.Parts.Length);
            Assert.Equal((full.Frame.Index, full.Frame.IndexPlace, full.Frame.NumberPlace, full.Frame.Step), (e.Frame.Index, e.Frame.IndexPlace, e.Frame.NumberPlace, e.Frame.Step));
            Assert.Equal(number, Encoding.UTF8.GetString(e.Frame.NumberPlace.In(e.Data.Span)));
            if (e.Parts.Length > 0) Assert.Equal(full.Parts[0].Value, e.Parts[0].Value);
        }
    }

    [Theory]
    [InlineData("""{"type":"response.output_text.delta","sequence_number":01,"delta":"a"}""")]
    [InlineData("""{"type":"response.output_text.delta","sequence_number":1,"delta":"a"}x""")]
    [InlineData("""{"type":"response.output_text.delta","delta":"a""")]
    [InlineData("""[]""")]
    public void WhatIsNoEvent_IsBroken(string json)
    {
        EventReader reader = ReaderOf("responses");
        using ChatEvent e = new();
        reader.Read(Frame(Created), e);
        reader.Read(Frame("""{"type":"response.output_text.delta","sequence_number":5,"delta":"a"}"""), e);
        reader.Read(Frame(json), e);
        Assert.Equal(EventKind.Broken, e.Kind);
    }

    [Theory]
    [InlineData("messages", """{"type":"content_block_stop","index":0}""")]
    [InlineData("responses", """{"type":"response.output_text.delta","delta":"a"}""")]
    [InlineData("messages", """{"choices":[{"delta":{"content":"a"}}]}""")]
    public void StreamThatDoesNotBeginAsTheDialectDoes_IsBroken(string dialect, string json)
    {
        using ChatEvent e = new();
        ReaderOf(dialect).Read(Frame(json), e);
        Assert.Equal(EventKind.Broken, e.Kind);
    }

    [Theory]
    [InlineData("messages", """{"type":"error","error":{"type":"overloaded_error","message":"busy"}}""", "busy")]
    [InlineData("messages", """{"code":"Throttling","message":"slow down","request_id":"r"}""", "slow down")]
    [InlineData("responses", """{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"server_error","message":"gone"}}}""", "gone")]
    [InlineData("responses", """{"type":"error","code":"x","message":"odd","param":null}""", "odd")]
    [InlineData("responses", """{"error":{"message":"plain"}}""", "plain")]
    public void ErrorOfAnyShape_IsReadInUpstreamsWords(string dialect, string json, string message)
    {
        using ChatEvent e = new();
        ReaderOf(dialect).Read(Frame(json), e);
        Assert.Equal(EventKind.Error, e.Kind);
        Assert.Equal(message, Core.Errors.UpstreamErrorReader.FromStreamEvent(e).Message);
    }

    [Theory]
    [InlineData("end_turn", "stop")]
    [InlineData("tool_use", "tool_calls")]
    [InlineData("max_tokens", "length")]
    [InlineData("model_context_window_exceeded", "length")]
    [InlineData("refusal", "content_filter")]
    [InlineData("stop_sequence", "stop")]
    public void StopReason_MeansWhatChatSays(string reason, string meaning)
    {
        EventReader reader = ReaderOf("messages");
        using ChatEvent e = new();
        reader.Read(Frame(Start), e);
        Assert.Equal("""{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":2,"cache_creation_input_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}""", Encoding.UTF8.GetString(e.UsageJson));
        reader.Read(Frame($$$"""{"type":"message_delta","delta":{"stop_reason":"{{{reason}}}"},"usage":{"output_tokens":9}}"""), e);
        Assert.Equal(meaning, Encoding.UTF8.GetString(e.Text(e.Parts[0])));
        Assert.False(e.Edited);
        Assert.StartsWith("""{"prompt_tokens":5,"completion_tokens":9""", Encoding.UTF8.GetString(e.UsageJson), StringComparison.Ordinal);
    }

    /// <summary>A call that a stage found between two texts: upstream's own blocks are numbered behind it.</summary>
    [Fact]
    public void CallAddedInTheMiddle_RenumbersWhatComesBehind()
    {
        string[] sent =
        [
            Start, """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""", """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}""",
            """{"type":"content_block_stop","index":0}""", """{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","x":1.50}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b"},"y":null}""", """{"type":"content_block_stop","index":1}""",
            """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}""", """{"type":"message_stop"}""",
        ];
        ArrayBufferWriter<byte> output = new();
        using MessagesStreamAnswer answer = new(output, new MessagesAnswerOptions { NewId = () => "minted" });
        Run(sent, answer, "messages", (i, e) =>
        {
            if (i == 2) e.Add(PartPlace.After, PartKind.ToolCall, 0, "{\"q\":1}"u8, 0, "call_1", "look");
        });
        string text = Encoding.UTF8.GetString(output.WrittenSpan);
        Assert.Contains("""{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_1","name":"look","input":{}}}""", text, StringComparison.Ordinal);
        Assert.Contains("""{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","x":1.50}}""", text, StringComparison.Ordinal);
        Assert.Contains("""{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"b"},"y":null}""", text, StringComparison.Ordinal);
        Assert.Contains("""{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}""", text, StringComparison.Ordinal);
    }

    /// <summary>A block whose every word a stage took out was never there.</summary>
    [Fact]
    public void BlockThatSaysNothingAnyMore_IsNotShown()
    {
        string[] sent =
        [
            Start, """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""", """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}""",
            """{"type":"content_block_stop","index":0}""", """{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b"}}""", """{"type":"content_block_stop","index":1}""",
            """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}""",
        ];
        foreach (bool stream in new[] { true, false })
        {
            ArrayBufferWriter<byte> output = new();
            MessagesAnswerOptions options = new() { NewId = () => "minted" };
            using DownstreamAnswer answer = stream ? new MessagesStreamAnswer(output, options) : new MessagesWholeAnswer(output, options);
            Run(sent, answer, "messages", (i, e) =>
            {
                if (i == 2) e.Remove(0);
            });
            string text = Encoding.UTF8.GetString(output.WrittenSpan);
            Assert.DoesNotContain("\"index\":1", text, StringComparison.Ordinal);
            Assert.Contains(stream ? """{"type":"text_delta","text":"b"}""" : "\"content\":[{\"type\":\"text\",\"text\":\"b\"}]", text, StringComparison.Ordinal);
            if (stream) Assert.EndsWith("data: {\"type\":\"message_stop\"}\n\n", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void WholeMessage_KeepsWhatNobodyHereKnows()
    {
        string[] sent =
        [
            Start, """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"so"}}""", """{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"theirs"}}""",
            """{"type":"content_block_stop","index":0}""", """{"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"s","name":"n","input":{}}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"q\":"}}""", """{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}""",
            """{"type":"content_block_stop","index":1}""", """{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}""",
            """{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"b"}}""", """{"type":"content_block_stop","index":2}""",
            """{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"output_tokens":9}}""", """{"type":"message_stop"}""",
        ];
        ArrayBufferWriter<byte> output = new();
        using MessagesWholeAnswer answer = new(output, new MessagesAnswerOptions { NewId = () => "minted" });
        Run(sent, answer, "messages");
        Assert.Equal(
            """{"id":"msg_1","role":"assistant","model":"q","content":[{"type":"thinking","thinking":"so","signature":"theirs"},{"type":"server_tool_use","id":"s","name":"n","input":{"q":1}},{"type":"text","text":"b","citations":[]}],"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":9},"type":"message","stop_reason":"stop_sequence","stop_sequence":"END"}""",
            Encoding.UTF8.GetString(output.WrittenSpan));
    }

    private static void Run(string[] sent, DownstreamAnswer answer, string dialect, Action<int, ChatEvent>? edit = null)
    {
        EventReader reader = ReaderOf(dialect);
        using ChatEvent e = new();
        for (int i = 0; i < sent.Length; i++)
        {
            reader.Read(Frame(sent[i]), e);
            edit?.Invoke(i, e);
            answer.Push(e);
        }

        answer.Finish();
    }

    private static EventReader ReaderOf(string dialect) => dialect == "messages" ? new MessagesEventReader() : new ResponsesEventReader();

    private static SseFrame Frame(string json)
    {
        byte[] raw = Encoding.UTF8.GetBytes($"event: x\ndata: {json}\n\n");
        return new SseFrame { Raw = raw, Data = raw.AsMemory(15, raw.Length - 17), DataOffset = 15, HasData = true, EventName = "x"u8.ToArray() };
    }
}
