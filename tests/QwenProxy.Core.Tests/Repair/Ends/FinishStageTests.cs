using QwenProxy.Core.Repair;
using QwenProxy.Core.Tests.Repair.Tags;

namespace QwenProxy.Core.Tests.Repair.Ends;

/// <summary>A finish reason is final only when nothing follows it.</summary>
public sealed class FinishStageTests
{
    private const string Usage = "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n";

    public static TheoryData<string> Healthy =>
    [
        Sse.Delta("\"role\":\"assistant\"") + Sse.Text("a") + Sse.Text("b") + Sse.Delta("", "stop") + Usage,
        Sse.Text("a") + ": ping\n\n" + Sse.Delta("\"content\":\"b\"", "length") + ": ping\n\n" + Usage,
        Sse.Text("a") + Sse.Delta("\"content\":\"x\"", choice: 1) + Sse.Delta("", "stop") + Sse.Delta("\"content\":\"y\"", choice: 1) + Sse.Delta("", "length", 1) + Usage,
        Sse.Tool("""{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}""") + Sse.Delta("", "tool_calls"),
        "id: 1\r\nevent: x\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"a\"},\"index\":0}]}\r\n\r\ndata: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0}]}\r\n\r\n",
    ];

    [Theory]
    [MemberData(nameof(Healthy))]
    public void HealthyStream_PassesByteForByte(string sse) => Assert.Equal(sse, Run(sse).Stream);

    public static TheoryData<string, string, string> Early => new()
    {
        { Sse.Text("a") + Sse.Delta("", "stop") + Sse.Text("b") + Sse.Delta("", "length"), "ab", "length" },
        { Sse.Delta("\"content\":\"a\"", "stop") + Sse.Delta("\"content\":\"b\"", "stop") + Sse.Delta("\"content\":\"c\"", "stop"), "abc", "stop" },
        { Sse.Text("a") + Sse.Delta("", "stop") + Usage + Sse.Text("b") + Sse.Delta("", "stop") + Usage, "ab", "stop" },
        { Sse.Text("a") + Sse.Delta("", "stop") + Sse.Delta("\"content\":\"\"", "tool_calls"), "a", "tool_calls" },
        { Sse.Text("a") + Sse.Delta("", "stop") + ": ping\n\n" + Sse.Text("b"), "ab", "stop" },
        { Sse.Delta("\"content\":\"a\"", "") + Sse.Delta("\"content\":\"b\"", "null") + Sse.Delta("", "stop"), "ab", "stop" },
        { Sse.Text("a", "reasoning_content") + Sse.Delta("", "stop") + Sse.Text("b", "reasoning_content") + Sse.Delta("", "stop"), "", "stop" },
    };

    [Theory]
    [MemberData(nameof(Early))]
    public void EarlyFinish_IsNone_AndTheClientSeesOneAtTheEnd(string sse, string content, string finish)
    {
        RepairRun run = Run(sse);
        Assert.Equal(content, run.Content);
        Assert.Equal(finish, run.FinishReason);
        Assert.Equal(1, Finishes(run.Stream));
        Assert.True(run.Stream.LastIndexOf("content\":\"", StringComparison.Ordinal) <= run.Stream.LastIndexOf($"\"{finish}\"", StringComparison.Ordinal));
        Assert.DoesNotContain("\"finish_reason\":\"\"", run.Stream, StringComparison.Ordinal);
    }

    [Fact]
    public void ArgumentsInPieces_EachFollowedByAnEnd_AreOneCall()
    {
        const string end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"index\":0}]}\n\n";
        string sse = Sse.Tool("""{"index":0,"id":"c","type":"function","function":{"name":"write_file","arguments":""}}""") + end
            + Sse.Tool("""{"index":0,"function":{"arguments":"{\"path\":"}}""") + end + Sse.Tool("""{"index":0,"function":{"arguments":"\"a\"}"}}""") + end;
        RepairRun run = Run(sse);
        Assert.Equal(["write_file({\"path\":\"a\"})"], run.Calls);
        Assert.Equal("tool_calls", run.FinishReason);
        Assert.Equal(1, Finishes(run.Stream));
        Assert.Contains(run.Context.Report.Decisions, d => d is { Stage: "ends", Rule: "finish-not-last" });
    }

    [Fact]
    public void ReasonAlone_WaitsForItsEvent_HoweverLongThatTakes()
    {
        int shown = 0;
        RepairRun run = Run(Sse.Text("a") + Sse.Delta("", "stop") + Sse.Text("b") + Sse.Delta("", "stop"), (chain, number) =>
        {
            if (number == 2) shown = chain.IsHolding ? 1 : 0;
            chain.LetGo();
        });
        Assert.Equal(0, shown);
        Assert.Equal(1, Finishes(run.Stream));
    }

    [Fact]
    public void WordsBesideTheirReason_GoWhenTimeIsUp_AndTheReasonFollows()
    {
        string seenAtTick = "";
        RepairRun? run = null;
        run = Run(Sse.Text("a") + Sse.Delta("\"content\":\"b\"", "stop"), (chain, number) =>
        {
            if (number == 2) Assert.True(chain.IsHolding);
            chain.LetGo();
            if (number == 2) seenAtTick = ((RepairRun)chain.Output).Stream;
        });
        Assert.Contains("\"b\"", seenAtTick, StringComparison.Ordinal);
        Assert.Equal(0, Finishes(seenAtTick));
        Assert.Equal(1, Finishes(run.Stream));
        Assert.Equal("ab", run.Content);
    }

    [Fact]
    public void UsageBehindTheReason_LetsItGoWhenTimeIsUp()
    {
        string seenAtTick = "";
        RepairRun run = Run(Sse.Text("a") + Sse.Delta("", "stop") + Usage, (chain, number) =>
        {
            chain.LetGo();
            if (number == 3) seenAtTick = ((RepairRun)chain.Output).Stream;
        });
        Assert.Equal(run.Stream, seenAtTick);
        Assert.Equal(1, Finishes(seenAtTick));
    }

    [Fact]
    public void TextEvents_AllocateNothing()
    {
        using FinishStage stage = new(RepairRun.NewContext());
        RepairChain chain = new([stage], new Nowhere());
        using QwenProxy.Core.Events.ChatEvent e = new();
        byte[] raw = System.Text.Encoding.UTF8.GetBytes(Sse.Text("hello"));
        QwenProxy.Wire.SseFrame frame = new() { Raw = raw, Data = raw.AsMemory(6, raw.Length - 8), DataOffset = 6, HasData = true };
        Push(100);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Push(1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Push(int times)
        {
            for (int i = 0; i < times; i++)
            {
                QwenProxy.Core.Dialects.OpenAIChat.ChatEventDecoder.Decode(frame, e);
                chain.Push(e);
            }
        }
    }

    private static int Finishes(string stream) => stream.Split("\"finish_reason\":\"").Length - 1;

    private static RepairRun Run(string sse, Action<RepairChain, int>? afterEvent = null) => RepairRun.Of(sse, RepairRun.NewContext(), context =>
        [new FinishStage(context), new QwenProxy.Core.Repair.ToolCalls.ToolDeltaStage(context, RepairMode.On, () => "call_new")], afterEvent);

    private sealed class Nowhere : QwenProxy.Core.Events.IEventSink
    {
        public void Push(QwenProxy.Core.Events.ChatEvent chatEvent)
        {
        }
    }
}
