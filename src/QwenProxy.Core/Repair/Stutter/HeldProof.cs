namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// What the deltas that wait in one channel have in common, and what the next event may make of it: a mark, an id or a counter says
/// something only where other events have another.
/// </summary>
/// <param name="Marked">The channel's first event and this one are marked, and the mark may count.</param>
/// <param name="Repeated">The frame came again under its id.</param>
/// <param name="IdsChange">And ids were seen to change before.</param>
/// <param name="Stood">The token counter stood still.</param>
/// <param name="Telling">The restated text is one that nobody writes twice in a row by chance.</param>
internal readonly record struct HeldProof(bool Marked, bool Repeated, bool IdsChange, bool Stood, bool Telling)
{
    public HeldProof And(in HeldProof other) => new(
        Marked && other.Marked, Repeated && other.Repeated, IdsChange && other.IdsChange, Stood && other.Stood, Telling && other.Telling);

    public string? RuleOnNext(in EventMarks next)
    {
        if (Marked && !next.Marked) return "E3-key-order";
        if (Repeated && next.FrameNew) return "E2-id";
        return Stood && next.UsageMoved ? "E2-usage" : null;
    }

    /// <summary>The rule when no next event comes in time. Where the profile has shown the mark, waiting for an event without it was caution only.</summary>
    public string? RuleWithoutNext(bool profileMarks)
    {
        if (Marked && profileMarks) return "E3-key-order";
        return Repeated && IdsChange ? "E2-id" : null;
    }
}
