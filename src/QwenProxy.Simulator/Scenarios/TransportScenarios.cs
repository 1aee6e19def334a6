using System.IO.Compression;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>How the bytes travel, or stop travelling. Each works on any answer and on bodies that are not streams.</summary>
internal static class TransportScenarios
{
    private const string Group = "transport";
    private static readonly byte[] Comment = ": keep-alive\n\n"u8.ToArray();
    private static readonly byte[] Ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"u8.ToArray();

    public static IEnumerable<Scenario> All =>
    [
        new("delay", Group, "`ms=` (1000) before the headers") { Transport = (p, c) => p.DelayBeforeHeaders = c.Spec.Milliseconds("ms", 1000) },
        new("slow-drip", Group, "one byte per write, `gap=` (0) ms apart") { Transport = (p, _) => Split(p, static (_, _) => true) },
        new("split-utf8", Group, "every character of more than one byte is cut in its middle; `gap=` (1) ms between writes")
        {
            Transport = SplitCharacters,
        },
        new("stall", Group, "`events=` (3) events, then silence on an open connection") { Transport = (p, c) => Stop(p, c.Spec, ReplyEnding.Hang) },
        new("stall-pings", Group, "`events=` (3) events, then nothing but the dialect's sign of life every `every=` (1000) ms") { Transport = StallBehindPings },
        new("silence", Group, "no byte at all, not even headers") { Transport = (p, _) => Empty(p, ReplyEnding.Hang, headers: false) },
        new("headers-then-silence", Group, "status and headers, then nothing") { Transport = (p, _) => Empty(p, ReplyEnding.Hang, headers: true) },
        new("comments-only", Group, "headers, then a comment every `every=` (1000) ms and never an event") { Transport = CommentsOnly },
        new("reset-before-headers", Group, "the request is read, then the connection is reset")
        {
            Transport = (p, _) => Empty(p, ReplyEnding.Reset, headers: false),
        },
        new("close-before-headers", Group, "the request is read, then the connection is closed without an answer")
        {
            Transport = (p, _) => Empty(p, ReplyEnding.Fin, headers: false),
        },
        new("cut", Group, "ends after `events=` (3) events or `bytes=` bytes, `how=fin` or `how=rst` (rst)")
        {
            Transport = (p, c) => Stop(p, c.Spec, c.Spec.Get("how") == "fin" ? ReplyEnding.Fin : ReplyEnding.Reset),
        },
        new("gzip", Group, "the body is gzip, flushed after each event") { Transport = (p, _) => Compress(p, "gzip") },
        new("br", Group, "the body is brotli, flushed after each event") { Transport = (p, _) => Compress(p, "br") },
    ];

    private static void Empty(ReplyPlan plan, ReplyEnding ending, bool headers)
    {
        plan.Pieces = [];
        plan.Ending = ending;
        plan.SendsHeaders = headers;
    }

    private static void CommentsOnly(ReplyPlan plan, ScenarioContext context)
    {
        Empty(plan, ReplyEnding.Hang, headers: true);
        plan.WhileHanging = Comment;
        plan.WhileHangingEvery = context.Spec.Milliseconds("every", 1000);
    }

    private static void StallBehindPings(ReplyPlan plan, ScenarioContext context)
    {
        Stop(plan, context.Spec, ReplyEnding.Hang);
        plan.WhileHanging = context.Dialect == ApiDialect.Messages ? Ping : Comment;
        plan.WhileHangingEvery = context.Spec.Milliseconds("every", 1000);
    }

    /// <summary>Keeps the first events or bytes. A body that is one piece is cut in its middle: a whole body would be no cut.</summary>
    private static void Stop(ReplyPlan plan, ScenarioSpec spec, ReplyEnding ending)
    {
        IReadOnlyList<ReadOnlyMemory<byte>> pieces = plan.Pieces;
        List<ReadOnlyMemory<byte>> kept = [];
        if (spec.Has("bytes"))
        {
            int left = spec.Number("bytes", 0);
            foreach (ReadOnlyMemory<byte> piece in pieces)
            {
                if (left <= 0) break;
                kept.Add(piece[..Math.Min(left, piece.Length)]);
                left -= piece.Length;
            }
        }
        else if (pieces.Count == 1) kept.Add(pieces[0][..(pieces[0].Length / 2)]);
        else kept.AddRange(pieces.Take(spec.Number("events", 3)));

        plan.Pieces = kept;
        plan.Ending = ending;
        plan.SendsHeaders = true;
        plan.FlushEachPiece = true;
    }

    private static void SplitCharacters(ReplyPlan plan, ScenarioContext context)
    {
        // Cut before every byte that continues a character, but only once per character, at its middle or thereabouts.
        Split(plan, static (bytes, i) => (bytes[i] & 0xC0) == 0x80 && (i < 1 || (bytes[i - 1] & 0xC0) != 0x80));
        if (plan.Gap == TimeSpan.Zero) plan.Gap = context.Spec.Milliseconds("gap", 1);
    }

    private static void Split(ReplyPlan plan, SplitRule before)
    {
        List<ReadOnlyMemory<byte>> pieces = [];
        foreach (ReadOnlyMemory<byte> piece in plan.Pieces)
        {
            int start = 0;
            for (int i = 1; i < piece.Length; i++)
            {
                if (!before(piece.Span, i)) continue;
                pieces.Add(piece[start..i]);
                start = i;
            }

            if (start < piece.Length) pieces.Add(piece[start..]);
        }

        plan.Pieces = pieces;
        plan.FlushEachPiece = true;
    }

    private static void Compress(ReplyPlan plan, string encoding)
    {
        List<ReadOnlyMemory<byte>> pieces = [];
        using MemoryStream bytes = new();
        using (Stream zip = encoding == "br" ? new BrotliStream(bytes, CompressionLevel.Fastest, true)
            : new GZipStream(bytes, CompressionLevel.Fastest, true))
        {
            foreach (ReadOnlyMemory<byte> piece in plan.Pieces)
            {
                zip.Write(piece.Span);
                zip.Flush();
                pieces.Add(bytes.ToArray());
                bytes.SetLength(0);
            }
        }

        pieces.Add(bytes.ToArray());
        plan.Pieces = pieces;
        plan.FlushEachPiece = true;
        if (plan.ContentLength is not null) plan.ContentLength = pieces.Sum(p => (long)p.Length);
        plan.Headers.Add(new KeyValuePair<string, string>("Content-Encoding", encoding));
    }

    private delegate bool SplitRule(ReadOnlySpan<byte> bytes, int at);
}
