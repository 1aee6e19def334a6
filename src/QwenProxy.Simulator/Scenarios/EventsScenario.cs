using System.Collections.Concurrent;
using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>
/// The benchmark's stream: <c>count</c> events of <c>bytes</c> characters each, <c>gap</c> milliseconds apart. The bytes are made once and
/// kept, so that serving costs little more than the writes; the price is that all such streams of one model share one id.
/// </summary>
internal static class EventsScenario
{
    private const int MostKept = 64;
    private const int BlobBytes = 16 * 1024;
    private static readonly ConcurrentDictionary<(ApiDialect Dialect, int Count, int Bytes, bool Usage, string Model), Kept> Cache = [];

    public static IEnumerable<Scenario> All =>
    [
        new("events", "answers", "`count=` (200) events of `bytes=` (30) characters, `gap=` (0) ms apart, `flush=1` in a write each, from bytes made once: for benchmarks")
        {
            Answer = c => new SimulatedAnswer
            {
                Text = Text(Count(c), Bytes(c)), TextPieces = [.. Enumerable.Range(0, Count(c)).Select(i => Piece(i, Bytes(c)))],
            },
            Reply = Reply,
        },
    ];

    /// <summary>The text all events add up to.</summary>
    public static string Text(int count, int bytes)
    {
        StringBuilder text = new(count * bytes);
        for (int i = 0; i < count; i++) text.Append(Piece(i, bytes));
        return text.ToString();
    }

    private static string Piece(int number, int bytes)
    {
        string start = $" w{number} ";
        return start.Length >= bytes ? start[..bytes] : start.PadRight(bytes, (char)('a' + number % 26));
    }

    private static int Count(ScenarioContext context) => context.Spec.Number("count", 200);

    private static int Bytes(ScenarioContext context) => Math.Max(1, context.Spec.Number("bytes", 30));

    /// <summary>The quick way, for a stream as it is. Combined with another scenario the events are made like those of any answer.</summary>
    private static ReplyPlan? Reply(ScenarioContext context)
    {
        bool alone = context.Spec.Name == "events" && !context.Spec.Has("with") && !context.Spec.Has("defect");
        if (!alone || !context.Call.Stream || context.Dialect is not (ApiDialect.Chat or ApiDialect.Messages or ApiDialect.Responses)) return null;
        int count = Count(context), bytes = Bytes(context);
        var key = (context.Dialect, count, bytes, context.Call.IncludeUsage, context.Call.Model);
        if (!Cache.TryGetValue(key, out Kept? kept))
        {
            kept = Make(count, bytes, context);
            if (Cache.Count < MostKept) Cache[key] = kept;
        }

        TimeSpan gap = context.Spec.Milliseconds("gap", (int)context.EventGap.TotalMilliseconds);
        bool each = gap > TimeSpan.Zero || context.Spec.Number("flush", 0) > 0;
        ReplyPlan plan = ReplyPlan.Stream(each ? kept.Events : kept.Blobs);
        plan.FlushEachPiece = each;
        plan.Gap = gap;
        return plan;
    }

    private static Kept Make(int count, int bytes, ScenarioContext context)
    {
        List<Chunk> chunks = [new(ChunkPlace.First) { Content = "", Role = "assistant" }];
        for (int i = 0; i < count; i++) chunks.Add(new Chunk(ChunkPlace.Body) { Content = Piece(i, bytes) });
        chunks.Add(new Chunk(ChunkPlace.Last) { Content = "", Finish = "stop" });
        if (context.Call.IncludeUsage) chunks.Add(new Chunk(ChunkPlace.Usage));
        TokenCount tokens = new(context.Call.PromptTokens, 0, count);
        List<ReadOnlyMemory<byte>> events = Framing.Default.Frame(ReplyComposer.Events(context, chunks, tokens, ends: true));
        return new Kept([.. events], Join(events));
    }

    private static ReadOnlyMemory<byte>[] Join(List<ReadOnlyMemory<byte>> events)
    {
        List<ReadOnlyMemory<byte>> blobs = [];
        using MemoryStream blob = new();
        foreach (ReadOnlyMemory<byte> one in events)
        {
            blob.Write(one.Span);
            if (blob.Length < BlobBytes) continue;
            blobs.Add(blob.ToArray());
            blob.SetLength(0);
        }

        if (blob.Length > 0) blobs.Add(blob.ToArray());
        return [.. blobs];
    }

    private sealed record Kept(ReadOnlyMemory<byte>[] Events, ReadOnlyMemory<byte>[] Blobs);
}
