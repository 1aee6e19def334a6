using System.Globalization;
using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Tests.Repair.Corpus;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.Stutter;

/// <summary>Evidence E2: events that come again under their SSE ids, one by one or as a block.</summary>
public sealed class StutterIdTests
{
    [Theory]
    [InlineData("1:ha 2:ho 1:ha 2:ho 3:hu", "hahohu")]
    [InlineData("1:ha 2:ho 2:ho 3:hu", "hahohu")]
    [InlineData("1:a 2:b 3:a 4:b 5:a 6:b 1:a 2:b 3:a 4:b 5:a 6:b 7:c", "abababc")]
    [InlineData("1:a 2:b 3:c 4:d 5:e 6:f 7:g 8:h 3:c 4:d 5:e 6:f 7:g 8:h 9:i", "abcdefghi")]
    [InlineData("x:a y:b z:c x:a y:b z:c x:a y:b z:c w:d", "abcd")]
    [InlineData("e-9:a e-2:a e-5:a e-2:a e-7:b e-7:b e-9:a", "aaab")]
    [InlineData("1:ha 1:ha 2:ho", "haho")]
    [InlineData("1:ha 2:ho 1:ha 2:ho", "haho")]
    [InlineData("1:word 2:word-more 3:word 1:word 4:end", "wordword-morewordend")]
    public void EventsThatComeAgain_AreSaidOnce(string events, string expected)
    {
        foreach (Lane lane in new[] { Lane.Content, Lane.Reasoning })
        {
            foreach (bool slow in new[] { false, true })
            {
                if (slow && events.StartsWith("1:ha 1:ha", StringComparison.Ordinal)) continue; // Nothing but the next id can prove that.
                RepairRig rig = new() { Mode = StutterMode.Safe, GapMilliseconds = slow ? 400 : 0 };
                Assert.Equal(expected, ChunkWriter.Read(rig.Run(Stream(lane, events)), lane));
                Assert.Contains(rig.Report.Decisions, d => d is { Rule: "E2-id", Action: RepairAction.Removed });
            }
        }
    }

    [Theory]
    [InlineData("7:ha 7:ha 7:ha")]
    [InlineData("0:1 1:| 0:1 1:| 0:1 1:-")]
    [InlineData("r:think c:ha c:ha c:!")]
    [InlineData("0:a 1:b 0:c 1:d 0:c 1:d")]
    [InlineData("1:one 2:two 3:three 1:four 1:four 2:two")]
    [InlineData("1:one 2:one 3:one 4:one")]
    public void IdsThatTellNoEventsApart_ProveNothing(string events)
    {
        string stream = Stream(Lane.Content, events);
        foreach (Knowledge row in StutterCorpus.Rows) Assert.Equal(stream, StutterCorpus.Rig(row).Run(stream));
    }

    [Fact]
    public void BlockOfACall_IsTakenOutWithItsIdAndName()
    {
        string[] events =
        [
            Framed(1, "{\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"write\",\"arguments\":\"\"}}]}"),
            Framed(2, "{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}"),
            Framed(3, "{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"function\":{\"arguments\":\"[[\"}}]}"),
            Framed(4, "{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"function\":{\"arguments\":\"]]}\"}}]}"),
        ];
        string repaired = new RepairRig().Run(string.Concat(events[..3]) + string.Concat(events) + "data: [DONE]\n\n");
        Assert.Equal("{\"a\":[[]]}", ChunkWriter.Read(repaired, Lane.Arguments));
        Assert.Single(repaired.Split("\"write\"")[1..]);
    }

    [Fact]
    public void BlockOverThinkingAndText_IsTakenOutOfBoth()
    {
        string think = Framed(1, ChunkWriter.DeltaJson(Lane.Reasoning, "hm")), text = Framed(2, ChunkWriter.DeltaJson(Lane.Content, "So"));
        string more = Framed(3, ChunkWriter.DeltaJson(Lane.Content, " so."));
        string repaired = new RepairRig().Run(think + text + think + text + more + "data: [DONE]\n\n");
        Assert.Equal("hm", ChunkWriter.Read(repaired, Lane.Reasoning));
        Assert.Equal("So so.", ChunkWriter.Read(repaired, Lane.Content));
    }

    [Fact]
    public void ReplayOfAllThatIsRemembered_IsTakenOut()
    {
        StringBuilder events = new();
        for (int i = 0; i < SeenFrames.MostFrames; i++) events.Append(CultureInfo.InvariantCulture, $"{i}:w{i % 7} ");
        string once = events.ToString();
        string read = ChunkWriter.Read(new RepairRig().Run(Stream(Lane.Content, once + once + "end:!")), Lane.Content);
        Assert.Equal(ChunkWriter.Read(Stream(Lane.Content, once + "end:!"), Lane.Content), read);
    }

    [Fact]
    public void RememberedIds_AreLimitedToTheLast()
    {
        SeenFrames seen = new();
        for (int i = 0; i <= SeenFrames.MostFrames; i++) Assert.Equal(FrameSight.New, See(seen, i, "x"));
        Assert.Equal(SeenFrames.MostFrames, seen.Count);
        Assert.Equal(FrameSight.Again, See(seen, SeenFrames.MostFrames, "x"));
        Assert.Equal(FrameSight.Again, See(seen, 1, "x"));
        Assert.Equal(FrameSight.Reused, See(seen, 2, "y"));
        Assert.Equal(FrameSight.New, See(seen, 0, "x"));
        Assert.Equal(FrameSight.NoId, seen.See(default, "x"u8));
    }

    [Fact]
    public void HealthyEventsWithIds_CostNoMemory()
    {
        const int Events = 5000;
        ReadOnlyMemory<byte>[] ids = [.. Enumerable.Range(0, Events).Select(i => (ReadOnlyMemory<byte>)Encoding.ASCII.GetBytes($"{i}"))];
        byte[] data = Encoding.UTF8.GetBytes("{\"choices\":[{\"delta\":{\"content\":\"word \"},\"index\":0}]}");
        using ChatEvent e = new();
        long Run(int count)
        {
            RepairChain chain = new RepairRig().NewChain(new NullSink());
            long before = 0;
            for (int i = 0; i < count; i++)
            {
                if (i == 10) before = GC.GetAllocatedBytesForCurrentThread();
                ChatEventDecoder.Decode(new SseFrame { Raw = data, Data = data, HasData = true, Id = ids[i] }, e);
                chain.Push(e);
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            chain.Finish();
            return allocated;
        }

        Run(Events);
        Assert.Equal(0, Run(Events));
    }

    private static FrameSight See(SeenFrames seen, int id, string frame) =>
        seen.See(Encoding.ASCII.GetBytes($"{id}"), Encoding.ASCII.GetBytes($"{frame}{(frame == "x" ? id : -1)}"));

    /// <summary>Events as <c>id:text</c>, apart by a space; no role event and a finish event without an id, so that only these ids speak.</summary>
    private static string Stream(Lane lane, string events)
    {
        StringBuilder stream = new();
        foreach (string said in events.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            int colon = said.IndexOf(':', StringComparison.Ordinal);
            stream.Append(ChunkWriter.Chunk(ChunkWriter.DeltaJson(lane, said[(colon + 1)..]), frameId: said[..colon]));
        }

        return stream + ChunkWriter.Chunk("{\"content\":\"\"}", finish: "\"stop\"") + "data: [DONE]\n\n";
    }

    private static string Framed(int id, string delta) => ChunkWriter.Chunk(delta, frameId: $"{id}");

    private sealed class NullSink : IEventSink
    {
        public void Push(ChatEvent chatEvent)
        {
        }
    }
}
