using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>What one event's transport says about restatement (evidence E2 and E3).</summary>
/// <param name="Marked">The event has the key order that this profile's serialiser gives a first event.</param>
/// <param name="FrameRepeated">The event before it has the same SSE id and the same bytes.</param>
/// <param name="FrameMoved">The id differs from the event before it.</param>
/// <param name="IdsCount">Ids were seen to change, and never stood for two different events: a repeated frame is proven to be a repetition.</param>
/// <param name="UsageStood">The running token counter is where it was at the text before.</param>
/// <param name="UsageMoved">The counter moved.</param>
/// <param name="UsageCounts">The counter was seen to move with text: standing still is proof.</param>
internal readonly record struct EventMarks(
    bool Marked, bool FrameRepeated, bool FrameMoved, bool IdsCount, bool UsageStood, bool UsageMoved, bool UsageCounts);

/// <summary>Follows SSE ids and running usage counters through a stream. It costs nothing where an upstream sends neither.</summary>
internal struct EventClock
{
    private TextHash _id;
    private TextHash _frame;
    private bool _hasId;
    private bool _idsChange;
    private bool _idReused;
    private long _tokens;
    private bool _tokensMove;

    /// <summary>The last <c>completion_tokens</c> seen; -1 when there was none.</summary>
    public long CompletionTokens { readonly get; private set; }

    public static EventClock New() => new() { CompletionTokens = -1 };

    public EventMarks Read(ChatEvent e, bool hasText)
    {
        bool repeated = false, moved = false;
        if (!e.FrameId.IsEmpty) ReadId(e, out repeated, out moved);
        bool stood = false, advanced = false;
        if (!e.Usage.IsEmpty && CompletionTokensOf(e) is >= 0 and long now)
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

        return new EventMarks(e.FinishReasonFirst, repeated, moved, _idsChange && !_idReused, stood, advanced, _tokensMove);
    }

    private void ReadId(ChatEvent e, out bool repeated, out bool moved)
    {
        TextHash id = TextHash.Of(e.FrameId.Span), frame = TextHash.Of(e.Data.Span);
        bool sameId = _hasId && id.Is(_id);
        repeated = sameId && frame.Is(_frame);
        moved = _hasId && !sameId;
        _idsChange |= moved;
        _idReused |= sameId && !repeated;
        (_id, _frame, _hasId) = (id, frame, true);
    }

    private static long CompletionTokensOf(ChatEvent e)
    {
        ReadOnlySpan<byte> usage = e.Usage.In(e.Data.Span);
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
