using System.Globalization;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

public sealed class LeakedCallStreamTests
{
    private static RepairStage[] All(RepairContext c)
    {
        int ids = 0;
        string Mint() => $"call_{++ids}";
        AnswerTextStage text = new(c, RepairMode.On, TextTags.Thinking | TextTags.Calls, Mint);
        return [text, new ToolDeltaStage(c, RepairMode.On, Mint), new RepeatedCallStage(c, RepairMode.On, text.HasMade), new LoopGuardStage(c, RepairMode.On)];
    }

    [Fact]
    public void LargeLeakedCall_IsPassedOnWhileItStreams()
    {
        string content = string.Concat(Enumerable.Range(0, 3000).Select(i => $"line {i} < </parameter> \"{i}\"\n"));
        string text = $"<tool_call>\n<function=write_file>\n<parameter=content>\n{content}\n</parameter>\n</function>\n</tool_call>";
        RepairContext context = RepairRun.NewContext(LeakedCallTests.Tools, limit: 256);
        int most = 0;
        RepairRun run = RepairRun.Of(Sse.Stream(Sse.Every(text, 40)), context, All, (_, _) => most = Math.Max(most, context.HeldBytes));
        JsonElement function = run.Message.GetProperty("tool_calls")[0].GetProperty("function");
        JsonElement arguments = JsonDocument.Parse(function.GetProperty("arguments").GetString()!).RootElement;
        Assert.Equal(content, arguments.GetProperty("content").GetString());
        Assert.InRange(most, 1, 256);
        Assert.Equal(0, context.HeldBytes);
        Assert.True(run.Stream.Split("data: ").Length > text.Length / 40);
    }

    [Theory]
    [InlineData("<tool_call>\n<function=read_file>\n<parameter=path>\na/b", "length", "read_file({\"path\":\"a/b)")]
    [InlineData("<tool_call>{\"name\":\"read_file\",\"arguments\":{\"path\":\"a/b", "length", "read_file({\"path\":\"a/b)")]
    [InlineData("<tool_call>{\"name\":\"read_file\",\"arguments\":{\"path\":\"a/b", "stop", "read_file({\"path\":\"a/b)")]
    [InlineData("<tool_call>{\"name\":\"read_file\",\"arguments\":\"{\\\"path\\\":\\\"a/b", "tool_calls", "read_file({\"path\":\"a/b)")]
    public void LeakedCallThatWasCut_EndsAsLength(string text, string finish, string expected)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = RepairRun.Of(Sse.Stream(pieces, finish: finish), RepairRun.NewContext(LeakedCallTests.Tools), All);
            Assert.Equal("length", run.FinishReason);
            Assert.Equal(expected, Assert.Single(run.Calls));
        }
    }

    [Fact]
    public void StreamCutInsideACall_ForgesNoEnd()
    {
        string sse = Sse.Text("<function=read_file>\n<parameter=path>\na/b\n");
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All);
        Assert.Equal("", run.FinishReason);
        Assert.Equal("read_file({\"path\":\"a/b)", Assert.Single(run.Calls));
    }

    [Fact]
    public void StreamCutInsideAPossibleTag_ShowsTheText()
    {
        string sse = Sse.Text("see <tool_call>\n{\"name\": \"re");
        Assert.Equal(sse, RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All).Stream);
    }

    [Fact]
    public void TimeIsUpForAPossibleTag_TextPassesInOrder_AndALaterCallIsStillFound()
    {
        string sse = Sse.Text("a <") + Sse.Text("b <fu") + Sse.Text("nction=read_file>") + Sse.Text(" x <tool_call>") +
            Sse.Text("{\"name\":\"list_all\"}</tool_call>") + Sse.End();
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All, (chain, _) =>
        {
            chain.LetGo();
            Assert.False(chain.IsHolding);
        });
        Assert.Equal("a <b <function=read_file> x |" + "|list_all({})|tool_calls", run.Seen);
        Assert.StartsWith(Sse.Text("a <") + Sse.Text("b <fu") + Sse.Text("nction=read_file>"), run.Stream, StringComparison.Ordinal);
    }

    [Fact]
    public void SlowModel_AfterTheFirstLettersOfATag_IsWaitedFor()
    {
        string[] tokens = ["Ok.\n", "<func", "tion", "=read", "_file", ">", "\n", "<", "parameter", "=path", ">", "\n", "a", "\n", "</", "parameter",
            ">", "\n</function>", "\n</tool_call>"];
        RepairRun run = RepairRun.Of(Sse.Stream(tokens), RepairRun.NewContext(LeakedCallTests.Tools), All, (chain, _) => chain.LetGo());
        Assert.Equal("Ok.\n||read_file({\"path\":\"a\"})|tool_calls", run.Seen);
    }

    [Fact]
    public void HeldEventsOfAnotherChoice_KeepTheirOrder()
    {
        string sse = Sse.Delta("\"content\":\"a <\"", null, 0) + Sse.Delta("\"content\":\"x\"", null, 1) +
            Sse.Delta("\"content\":\"y <t\"", null, 1) +
            Sse.Delta("\"content\":\" b\"", null, 0) + Sse.Delta("\"content\":\"z\"", "stop", 1) + Sse.Delta("", "stop", 0);
        Assert.Equal(sse, RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All).Stream);
    }

    [Fact]
    public void WordsSaidWithoutAnEventAtHand_DoNotRepeatItsUsage()
    {
        string sse = Sse.Text("<function=list_all></function> then <fu").Replace("\"usage\":null", "\"usage\":{\"total_tokens\":7}",
            StringComparison.Ordinal);
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All, (chain, _) => chain.LetGo());
        Assert.Equal(" then <fu||list_all({})|", run.Seen);
        Assert.Equal(2, run.Stream.Split("total_tokens").Length);
    }

    [Fact]
    public void NamelessCallWithoutArguments_IsDroppedAndTheFinishReasonStays()
    {
        string sse = Sse.Text("hi") + Sse.Tool("{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"\"}}") + Sse.End();
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All);
        Assert.Equal("hi|||stop", run.Seen);
    }

    [Fact]
    public void NoRoomForAnOpening_IsText()
    {
        string text = "<tool_call>{\"arguments\": {\"path\": \"" + new string('x', 300) + "\"}, \"name\": \"read_file\"}</tool_call>";
        string sse = Sse.Stream(Sse.Every(text, 9));
        RepairContext context = RepairRun.NewContext(LeakedCallTests.Tools, limit: 200);
        int most = 0;
        Assert.Equal(sse, RepairRun.Of(sse, context, All, (_, _) => most = Math.Max(most, context.HeldBytes)).Stream);
        Assert.InRange(most, 1, 200);
    }

    [Fact]
    public void ThinkingThenLeakedCallsThenARealOne_CountUp()
    {
        string leak = "<function=read_file><parameter=path>a</parameter></function>";
        string sse = Sse.Text($"<think>hm {leak}</think>\n\nok {leak}") +
            Sse.Tool("{\"index\":0,\"id\":\"real\",\"type\":\"function\",\"function\":{\"name\":\"list_all\",\"arguments\":\"\"}}") +
            Sse.Tool("{\"index\":0,\"id\":\"\",\"function\":{\"arguments\":\"{}\"}}") + Sse.End("tool_calls");
        RepairRun run = RepairRun.Of(sse, RepairRun.NewContext(LeakedCallTests.Tools), All);
        Assert.Equal($"ok |hm {leak}|read_file({{\"path\":\"a\"}})+list_all({{}})|tool_calls", run.Seen);
    }

    [Fact]
    public void WholeAnswerInOneEvent_GivesTheSameAsItsStream()
    {
        string text = "<think>\nhm\n</think>\n\nLook:\n<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>";
        string whole = Sse.Delta($"\"role\":\"assistant\",\"content\":{Sse.Quote(text)}", "stop") + "data: [DONE]\n\n";
        string expected = RepairRun.Of(whole, RepairRun.NewContext(LeakedCallTests.Tools), All).Seen;
        Assert.Equal("Look:\n|hm|read_file({\"path\": \"a\"})|tool_calls", expected);
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = RepairRun.Of(Sse.Stream(pieces), RepairRun.NewContext(LeakedCallTests.Tools), All);
            Assert.Equal(expected, run.Seen);
        }
    }

    [Fact]
    public void RepairedStream_RunsThroughAgain_ByteForByte()
    {
        string text = "<think>\nhm\n</think>\n\nLook:\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n\nDone <b>.";
        string once = RepairRun.Of(Sse.Stream(Sse.Every(text, 5)), RepairRun.NewContext(LeakedCallTests.Tools), All).Stream;
        Assert.Equal(once, RepairRun.Of(once, RepairRun.NewContext(LeakedCallTests.Tools), All).Stream);
    }

    [Fact]
    public void CleanStream_AllocatesNothingPerEvent()
    {
        string[] frames =
        [
            Sse.Text("plain words, 汉字 and `code` "), Sse.Text("a < b "), Sse.Text("x\n"), Sse.Text("thinking", "reasoning_content"),
                Sse.Text("quote \\\" \n\t ok"),
            Sse.Tool("{\"index\":0,\"id\":\"\",\"type\":\"function\",\"function\":{\"name\":\"\",\"arguments\":\"\\\"some text\\\",\"}}"),
        ];
        List<SseFrame> parsed = [.. frames.Select(Parse)];
        RepairContext context = RepairRun.NewContext(LeakedCallTests.Tools);
        Counter counter = new();
        RepairChain chain = new(All(context).AsSpan(0, 3), counter);
        using ChatEvent chatEvent = new();
        SseFrame start = Parse(Sse.Tool("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{" +
            "\"name\":\"read_file\",\"arguments\":\"[\"}}"));
        ChatEventDecoder.Decode(start, chatEvent);
        chain.Push(chatEvent);
        for (int i = 0; i < 300; i++) PushAll(chain, parsed, chatEvent);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) PushAll(chain, parsed, chatEvent);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1 + (1300 * frames.Length), counter.Untouched);
    }

    private static void PushAll(RepairChain chain, List<SseFrame> frames, ChatEvent chatEvent)
    {
        foreach (SseFrame frame in frames)
        {
            ChatEventDecoder.Decode(frame, chatEvent);
            chain.Push(chatEvent);
        }
    }

    private static SseFrame Parse(string sse)
    {
        SseFrameReader reader = new(1 << 20);
        byte[] bytes = Encoding.UTF8.GetBytes(sse);
        bytes.CopyTo(reader.GetMemory());
        reader.Advance(bytes.Length);
        Assert.True(reader.TryRead(out SseFrame frame), bytes.Length.ToString(CultureInfo.InvariantCulture));
        return frame;
    }

    private sealed class Counter : IEventSink
    {
        public int Untouched { get; private set; }

        public void Push(ChatEvent chatEvent) => Untouched += chatEvent.Edited ? 0 : 1;
    }
}
