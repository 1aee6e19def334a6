using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>What one event's transport says about restatement (evidence E2 and E3).</summary>
/// <param name="Marked">The event has the key order that this profile's serialiser gives a first event.</param>
/// <param name="FrameRepeated">An earlier event has the same SSE id and the same bytes, and no id ever stood for two different events.</param>
/// <param name="FrameNew">The id was not seen before, and no id ever stood for two different events.</param>
/// <param name="IdsChange">At least two ids were seen.</param>
/// <param name="IdsCount">So many that a repeated frame is proven to be a repetition. With fewer the ids may stand for kinds of events.</param>
/// <param name="UsageStood">The running token counter is where it was at the text before.</param>
/// <param name="UsageMoved">The counter moved.</param>
/// <param name="UsageCounts">The counter was seen to move with text: standing still is proof.</param>
internal readonly record struct EventMarks(
    bool Marked, bool FrameRepeated, bool FrameNew, bool IdsChange, bool IdsCount, bool UsageStood, bool UsageMoved, bool UsageCounts);

/// <summary>Follows SSE ids and running usage counters through a stream. It costs nothing where an upstream sends neither.</summary>
internal struct EventClock
{
    private const int EnoughIds = 3;

    private SeenFrames? _seen;
    private bool _idReused;
    private long _tokens;
    private bool _tokensMove;

    /// <summary>The last <c>completion_tokens</c> seen; -1 when there was none.</summary>
    public long CompletionTokens { readonly get; private set; }

    public static EventClock New() => new() { CompletionTokens = -1 };

    public EventMarks Read(ChatEvent e, bool hasText)
    {
        FrameSight sight = FrameSight.NoId;
        if (!e.FrameId.IsEmpty && !_idReused) sight = ReadId(e);
        bool stood = false, advanced = false;
        if (!e.UsageJson.IsEmpty && CompletionTokensOf(e) is >= 0 and long now)
        {
            CompletionTokens = now;
            if (hasText && now > 0)
            {
                stood = _tokens > 0 && now == _tokens;
                advanced = _tokens > 0 && now > _tokens;
                _tokensMove |= advanced;
                _tokens = now;
            }
        }

        int ids = _seen?.Count ?? 0;
        return new EventMarks(
            e.FinishReasonFirst, sight == FrameSight.Again, sight == FrameSight.New, ids > 1, ids >= EnoughIds, stood, advanced, _tokensMove);
    }

    public readonly void Release() => _seen?.Release();

    /// <summary>One id for two events: ids say nothing in this stream, and need not be kept.</summary>
    private FrameSight ReadId(ChatEvent e)
    {
        _seen ??= new SeenFrames();
        FrameSight sight = _seen.See(e.FrameId.Span, e.Data.Span);
        if (sight != FrameSight.Reused) return sight;
        _idReused = true;
        _seen.Release();
        return sight;
    }

    private static long CompletionTokensOf(ChatEvent e)
    {
        ReadOnlySpan<byte> usage = e.UsageJson;
        if (usage[0] != '{') return -1;
        JsonScanner members = new(usage);
        while (members.MoveNext())
        {
            if (!members.NameIs("completion_tokens"u8) && !members.NameIs("output_tokens"u8)) continue;
            return System.Buffers.Text.Utf8Parser.TryParse(members.Value.In(usage), out long tokens, out _) ? tokens : -1;
        }

        return -1;
    }
}
