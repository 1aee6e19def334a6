namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// What all the deltas that wait in one channel have in common, and what the next event may make of it: a mark, an id or a counter says
/// something only where other events have another.
/// </summary>
internal readonly record struct HeldProof(bool AllMarked, bool AllRepeated, bool AllStood, bool AllTelling)
{
    public static HeldProof All => new(true, true, true, true);

    /// <param name="before">What the deltas before have in common.</param>
    /// <param name="firstMarked">The channel's first event was marked, and the profile has shown the mark.</param>
    /// <param name="marks">The delta's event.</param>
    /// <param name="telling">The restated text is one that nobody writes twice in a row by chance.</param>
    public static HeldProof And(in HeldProof before, bool firstMarked, in EventMarks marks, bool telling) => new(
        before.AllMarked && firstMarked && marks.Marked,
        before.AllRepeated && marks.FrameRepeated,
        before.AllStood && marks.UsageStood,
        before.AllTelling && telling);

    public string? RuleOnNext(in EventMarks next)
    {
        if (AllMarked && !next.Marked) return "E3-key-order";
        if (AllRepeated && next.FrameMoved && next.IdsCount) return "E2-id";
        return AllStood && next.UsageMoved ? "E2-usage" : null;
    }
}
