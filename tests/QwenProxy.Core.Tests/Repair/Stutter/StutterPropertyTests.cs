using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Tests.Repair.Corpus;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.Stutter;

/// <summary>What holds for every stream of the corpus, and for every stream at all.</summary>
public sealed class StutterPropertyTests
{
    private const int Streams = 40;

    public static TheoryData<int, int> Patterns()
    {
        TheoryData<int, int> patterns = [];
        foreach (Pattern pattern in Enum.GetValues<Pattern>())
        {
            foreach (Lane lane in Enum.GetValues<Lane>()) patterns.Add((int)pattern, (int)lane);
        }

        return patterns;
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void AnyCutOfTheBytes_GivesTheSameOutput(int pattern, int lane) => ForEach(pattern, lane, (row, stream, random) =>
    {
        byte[] bytes = Encoding.UTF8.GetBytes(random.Next(3) == 0 ? stream.Replace("\n", "\r\n", StringComparison.Ordinal) : stream);
        byte[] whole = StutterCorpus.Rig(row).Run(bytes);
        int most = random.Next(1, 400);
        Assert.Equal(Lines(whole), Lines(StutterCorpus.Rig(row).Run(bytes, () => random.Next(1, most + 1))));
    });

    [Theory]
    [MemberData(nameof(Patterns))]
    public void RepairingARepairedStream_ChangesNothing(int pattern, int lane) => ForEach(pattern, lane, (row, stream, _) =>
    {
        // The second time the stream comes from this proxy, whose key order is no mark: an event that was cut keeps the order it came in.
        string once = StutterCorpus.Rig(row).Run(stream);
        Assert.Equal(once, StutterCorpus.Rig(row with { Mark = false }).Run(once));
    });

    [Theory]
    [MemberData(nameof(Patterns))]
    public void WholeAnswer_IsTheFoldOfTheRepairedStream(int pattern, int lane) => ForEach(pattern, lane, (row, stream, _) =>
    {
        byte[] bytes = Encoding.UTF8.GetBytes(stream);
        byte[] folded = StutterCorpus.Rig(row).Run(bytes, asOneAnswer: true);
        byte[] repaired = StutterCorpus.Rig(row).Run(bytes);
        Assert.Equal(folded, new RepairRig { Mode = StutterMode.Off }.Run(repaired, asOneAnswer: true));
    });

    [Theory]
    [MemberData(nameof(Patterns))]
    public void SlowStream_LosesNothing(int pattern, int lane)
    {
        // When time is up after every event, text may be said twice; every character the model said must be there, in its order.
        Random random = new(StutterCorpus.FixedSeed + (pattern * 7) + lane);
        for (int i = 0; i < Streams; i++)
        {
            Knowledge row = StutterCorpus.Rows[i % StutterCorpus.Rows.Length];
            (string truth, List<Delta> deltas) = StutterCorpus.Spoiled(row, (Pattern)pattern, TextsOf((Lane)lane, i), random);
            RepairRig slow = new() { Standing = row.Standing, KeyOrderMark = row.Mark, GapMilliseconds = 300 };
            string read = ChunkWriter.Read(slow.Run(ChunkWriter.Stream((Lane)lane, deltas)), (Lane)lane);
            int said = 0;
            foreach (char c in read)
            {
                if (said < truth.Length && truth[said] == c) said++;
            }

            Assert.Equal(truth.Length, said);
        }
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void TextHolds_EndAfterThreeEvents(int pattern, int lane) => ForEach(pattern, lane, (row, stream, _) =>
    {
        RepairRig rig = StutterCorpus.Rig(row);
        rig.Run(stream);
        if (lane != (int)Lane.Arguments) Assert.InRange(rig.MostHeldTexts, 0, 3);
        Assert.False(rig.Stage.IsHolding);
    });

    [Fact]
    public void MutatedStreams_NeverThrow()
    {
        foreach (int seed in StutterCorpus.Seeds())
        {
            Random random = new(seed);
            for (int i = 0; i < 1000; i++)
            {
                Pattern pattern = (Pattern)random.Next(6);
                Lane lane = (Lane)random.Next(3);
                Knowledge row = StutterCorpus.Rows[random.Next(StutterCorpus.Rows.Length)];
                byte[] bytes = Mutation.Mutate(StreamOf(row, pattern, TextsOf(lane, i), lane, random), random);
                RepairRig rig = new()
                {
                    Mode = (StutterMode)random.Next(4),
                    Deltas = (DeltaHabit)random.Next(3),
                    Standing = row.Standing,
                    KeyOrderMark = row.Mark,
                    ExpectsJson = random.Next(2) == 0,
                    HoldLimitBytes = random.Next(200),
                    GapMilliseconds = random.Next(3) * 100,
                };
                byte[] output = rig.Run(bytes, () => random.Next(1, 700), asOneAnswer: random.Next(4) == 0);
                Assert.InRange(output.Length, 0, (3 * bytes.Length) + 4096);
            }
        }
    }

    [Fact]
    public void PassedThroughEvent_CostsNoMemory()
    {
        string[] words = ["alpha", " beta", " gamma \\u00e9", " delta", " ha", " ha"];
        ReadOnlyMemory<byte>[] data = [.. words.Select(w => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(
            $"{{\"choices\":[{{\"delta\":{{\"content\":\"{w}\"}},\"index\":0}}],\"usage\":{{\"completion_tokens\":5}}}}"))];
        using ChatEvent e = new();
        CountingSink sink = new();
        RepairChain chain = new RepairRig { KeyOrderMark = true }.NewChain(sink);
        long before = 0;
        for (int i = 0; i < 20_000; i++)
        {
            if (i == 10_000) before = GC.GetAllocatedBytesForCurrentThread();
            SseFrame frame = new() { Raw = data[i % data.Length], Data = data[i % data.Length], HasData = true };
            ChatEventDecoder.Decode(frame, e);
            chain.Push(e);
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(20_000, sink.Count);
        Assert.Equal(0, allocated);
    }

    /// <summary>
    /// Lines that say something. A read that ends between CR and LF leaves the LF to the next frame as a blank line, which goes when that frame
    /// does; with LF alone the bytes are the same.
    /// </summary>
    private static string Lines(byte[] stream)
    {
        string text = Encoding.UTF8.GetString(stream);
        return text.Contains('\r', StringComparison.Ordinal)
            ? string.Join('\n', text.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries)) : text;
    }

    private static void ForEach(int pattern, int lane, Action<Knowledge, string, Random> check)
    {
        foreach (int seed in StutterCorpus.Seeds())
        {
            Random random = new(seed + (pattern * 7) + lane);
            for (int i = 0; i < Streams; i++)
            {
                Knowledge row = StutterCorpus.Rows[i % StutterCorpus.Rows.Length];
                check(row, StreamOf(row, (Pattern)pattern, TextsOf((Lane)lane, i), (Lane)lane, random), random);
            }
        }
    }

    private static Func<Random, string> TextsOf(Lane lane, int turn) =>
        lane == Lane.Arguments ? CorpusTexts.Arguments : turn % 2 == 0 ? StutterCorpus.Prose : CorpusTexts.Code;

    private static string StreamOf(Knowledge row, Pattern pattern, Func<Random, string> text, Lane lane, Random random)
    {
        (_, List<Delta> deltas) = StutterCorpus.Spoiled(row, pattern, text, random);
        return CorpusStreams.AddNoise(ChunkWriter.Stream(lane, deltas), random);
    }

    private sealed class CountingSink : IEventSink
    {
        public int Count { get; private set; }

        public void Push(ChatEvent chatEvent) => Count++;
    }
}
