using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Wire;
using static QwenProxy.Core.Tests.Dialects.AnthropicMessages.MessagesStreams;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

/// <summary>Blocks: parallel calls, thinking and its signature, and what a stream of any shape must keep.</summary>
public sealed class MessagesBlockTests
{
    [Fact]
    public void TextWithinAnUnfinishedCall_WaitsForItsEnd()
    {
        JsonArray content = Content(Call(0, "c", "f", "{\\\"a\\\":") + Text("between") + Call(0, "", "", "1}") + Text(" after"));
        Assert.Equal("1", content[0]!["input"]!["a"]!.ToJsonString());
        Assert.Equal("between after", (string?)content[1]!["text"]);
        Assert.Equal(2, content.Count);
    }

    [Fact]
    public void SecondCall_StreamsWhileItArrivesOnceTheFirstIsClosed()
    {
        ArrayBufferWriter<byte> output = new();
        using MessagesStreamAnswer answer = new(output, Options());
        Pump(Call(0, "c0", "f", "{}") + Call(1, "c1", "g", "{\\\"b\\\":"), answer);
        Assert.EndsWith("\"partial_json\":\"{\\\"b\\\":\"}}\n\n", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public void WhiteSpaceAfterAClosedCall_IsNoNewCall()
    {
        JsonArray content = Content(Call(0, "c0", "f", "{}") + Call(1, "c1", "g", "{}") + Call(0, "", "", "\\n"));
        Assert.Equal(["c0", "c1"], content.Select(b => (string)b!["id"]!));
    }

    [Fact]
    public void CallsThatShareANumber_AreTwoCalls()
    {
        JsonArray content = Content(Call(0, "c0", "f", "{\\\"a\\\":1}") + Call(0, "c1", "f", "{\\\"a\\\":2}"));
        Assert.Equal(["c0", "c1"], content.Select(b => (string)b!["id"]!));
    }

    [Fact]
    public void CallsWithoutNumbers_AreToldApartByTheirNames()
    {
        const string First = "{\"tool_calls\":[{\"id\":\"c0\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]}";
        const string Rest = "{\"tool_calls\":[{\"function\":{\"arguments\":\"1}\"}}]}";
        JsonArray content = Content(Chunk(First) + Chunk(Rest) + Chunk(First.Replace("c0", "c1", StringComparison.Ordinal)) + Chunk(Rest));
        Assert.Equal(["c0", "c1"], content.Select(b => (string)b!["id"]!));
        Assert.All(content, b => Assert.Equal("{\"a\":1}", b!["input"]!.ToJsonString()));
    }

    [Fact]
    public void MissingCallId_IsMinted() => Assert.Equal("call_minted1", (string?)Content(Call(0, "", "f", "{}"))[0]!["id"]);

    [Fact]
    public void ArgumentsAsAnObject_AreTheCallsInput()
    {
        JsonArray content = Content(Chunk("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1]}}}]}"));
        Assert.Equal("{\"a\":[1]}", content[0]!["input"]!.ToJsonString());
    }

    [Theory]
    [InlineData("[1]")]
    [InlineData("{\\\"a\\\":")]
    [InlineData("{\\\"a\\\":1}}")]
    [InlineData("plain")]
    public void ArgumentsThatAreNoObject_AreKeptAsText(string arguments)
    {
        JsonNode input = Content(Call(0, "c", "f", arguments))[0]!["input"]!;
        Assert.Equal(arguments.Replace("\\\"", "\"", StringComparison.Ordinal), (string?)input["INVALID_JSON"]);
    }

    [Fact]
    public void Signature_DependsOnTheWordsNotOnTheirPieces()
    {
        string whole = Signature(Content(Thought("a\\u4f60b")));
        string pieces = Signature(Content(Thought("a") + Thought("你") + Thought("b")));
        Assert.Equal(whole, pieces);
        Assert.NotEqual(whole, Signature(Content(Thought("other"))));
        Assert.StartsWith("qp1.", whole, StringComparison.Ordinal);
    }

    [Fact]
    public void OmittedThinking_ComesBackThroughItsSignature()
    {
        JsonNode block = Content(Thought("Denk \\\"nach\\\"\\n") + Text("A"), Options(ThinkingDisplay.Omitted))[0]!;
        Assert.Equal("", (string?)block["thinking"]);
        string request = $$"""{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{{block.ToJsonString()}}]}]}""";
        Assert.True(MessagesRequestParser.TryTranslate(Encoding.UTF8.GetBytes(request), new MessagesOptions(), out MessagesRequest? parsed, out _));
        Assert.Contains("\"reasoning_content\":\"Denk \\\"nach\\\"\\n\"", Encoding.UTF8.GetString(parsed!.ChatBody), StringComparison.Ordinal);
    }

    [Fact]
    public void OmittedThinking_NotCarriedWhenSwitchedOffOrTooLong()
    {
        MessagesAnswerOptions off = Options(ThinkingDisplay.Omitted) with { CarryThinking = false };
        Assert.StartsWith("qp1.", Signature(Content(Thought("x"), off)), StringComparison.Ordinal);
        string kilobyte = new('x', 1024);
        string fits = string.Concat(Enumerable.Repeat(Thought(kilobyte), 64));
        Assert.StartsWith("qp1t.", Signature(Content(fits, Options(ThinkingDisplay.Omitted))), StringComparison.Ordinal);
        Assert.StartsWith("qp1.", Signature(Content(fits + Thought("y"), Options(ThinkingDisplay.Omitted))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ThinkingDisplay.Omitted)]
    [InlineData(ThinkingDisplay.Hidden)]
    public void LongUnshownThinking_GivesSignsOfLife(ThinkingDisplay display)
    {
        string upstream = string.Concat(Enumerable.Repeat(Thought(new string('x', 1000)), 10)) + Text("A");
        Assert.Equal(3, MessagesClient.Events(Stream(upstream, Options(display))).Count(e => e.Name == "ping"));
    }

    [Fact]
    public void HiddenThinking_LeavesNoBlock()
    {
        JsonArray content = Content(Thought("x") + Text("A"), Options(ThinkingDisplay.Hidden));
        Assert.Equal("text", (string?)Assert.Single(content)!["type"]);
    }

    [Fact]
    public void AnyInterleaving_KeepsEveryTextAndEveryCall()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            Random random = new(seed);
            (string upstream, string text, string thinking, Dictionary<int, string> calls) = Scramble(random);
            string stream = Stream(upstream, pieceBytes: random.Next(1, 400));
            string folded = MessagesClient.Fold(stream);
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(folded), JsonNode.Parse(Whole(upstream))), $"seed {seed}");
            JsonArray content = JsonNode.Parse(folded)!["content"]!.AsArray();
            Assert.Equal(text, string.Concat(content.Select(b => (string?)b!["text"])));
            Assert.Equal(thinking, string.Concat(content.Select(b => (string?)b!["thinking"])));
            List<JsonNode> uses = [.. content.Select(b => b!).Where(b => (string)b["type"]! == "tool_use")];
            Assert.Equal(calls.Count, uses.Count);
            foreach (JsonNode use in uses) Assert.Equal(calls[int.Parse(((string)use["id"]!)[1..])], use["input"]!.ToJsonString());
        }
    }

    [Fact]
    public void DeltaOfAnOpenBlock_AllocatesNothing()
    {
        byte[] frame = Encoding.UTF8.GetBytes(Text("some 你好 text"));
        byte[] thought = Encoding.UTF8.GetBytes(Thought("some\\nthought"));
        FixedOutput output = new();
        using MessagesStreamAnswer answer = new(output, Options());
        using ChatEvent chatEvent = new();
        Assert.Equal(0, Measure(frame));
        Assert.Equal(0, Measure(thought));

        long Measure(byte[] bytes)
        {
            Push(bytes, 2000);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Push(bytes, 2000);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        void Push(byte[] bytes, int times)
        {
            SseFrame sse = new() { Raw = bytes, Data = bytes.AsMemory(6, bytes.Length - 8), DataOffset = 6, HasData = true };
            for (int i = 0; i < times; i++)
            {
                output.Clear();
                ChatEventDecoder.Decode(sse, chatEvent);
                answer.Push(chatEvent);
            }
        }
    }

    private static (string Upstream, string Text, string Thinking, Dictionary<int, string> Calls) Scramble(Random random)
    {
        StringBuilder upstream = new(), text = new(), thinking = new();
        Dictionary<int, string> calls = [];
        List<(int Index, Queue<string> Pieces, bool Named)> open = [];
        int steps = random.Next(1, 30);
        for (int i = 0; i < steps || open.Count > 0; i++)
        {
            int choice = i < steps ? random.Next(4) : 3;
            if (choice == 0) upstream.Append(Text($"t{i} ")).Append(Text(""));
            if (choice == 0) text.Append($"t{i} ");
            if (choice == 1) upstream.Append(Thought($"r{i} "));
            if (choice == 1) thinking.Append($"r{i} ");
            if (choice == 2)
            {
                string arguments = $"{{\"a\":\"}}{i}\",\"b\":[{i}]}}";
                calls[calls.Count] = arguments;
                open.Add((calls.Count - 1, new Queue<string>(arguments.Chunk(random.Next(1, 9)).Select(c => new string(c))), false));
            }

            if (choice < 2 || open.Count == 0) continue;
            int which = random.Next(open.Count);
            (int index, Queue<string> pieces, bool named) = open[which];
            string piece = named || random.Next(2) == 0 ? pieces.Dequeue().Replace("\"", "\\\"", StringComparison.Ordinal) : "";
            upstream.Append(Call(index, named ? "" : $"c{index}", named ? "" : "f", piece));
            open[which] = (index, pieces, true);
            if (pieces.Count == 0) open.RemoveAt(which);
        }

        return (upstream.ToString(), text.ToString(), thinking.ToString(), calls);
    }

    private static string Thought(string text) => Chunk($"{{\"reasoning_content\":\"{text}\"}}");

    private static JsonArray Content(string upstream, MessagesAnswerOptions? options = null)
    {
        string whole = Whole(upstream, options);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(whole), JsonNode.Parse(MessagesClient.Fold(Stream(upstream, options)))), whole);
        return JsonNode.Parse(whole)!["content"]!.AsArray();
    }

    private static string Signature(JsonArray content) => (string)content[0]!["signature"]!;

    private sealed class FixedOutput : IBufferWriter<byte>
    {
        private readonly byte[] _bytes = new byte[64 * 1024];
        private int _length;

        public void Clear() => _length = 0;

        public void Advance(int count) => _length += count;

        public Memory<byte> GetMemory(int sizeHint = 0) => _bytes.AsMemory(_length);

        public Span<byte> GetSpan(int sizeHint = 0) => _bytes.AsSpan(_length);
    }
}
