using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// The evidence gathered in one run of restating deltas of one channel, and the rules that turn it into proof. Each rule has a name that is
/// reported with the bytes it removes; without a rule nothing is removed.
/// </summary>
internal struct StutterEvidence
{
    /// <summary>Weight of restated text that proves by itself; with help from elsewhere less is enough.</summary>
    private const int NeededWeight = 16;
    private const int NeededWeightHelped = 6;
    private const int LongCharacters = 32;
    private const int NeededWeightInWord = 5;
    private const int NeededSteps = 3;
    private const int NeededStepsHelped = 2;

    private int _steps;
    private int _restatements;
    private int _weight;
    private int _countedBytes;
    private bool _climbing;
    private bool _oracle;
    private JsonPrefix _asIncrements;
    private JsonPrefix _asRestated;

    /// <summary>Strict extensions in a row.</summary>
    public readonly int Steps => _steps;

    public readonly int Restatements => _restatements;

    /// <summary>JSON decides, and has not decided yet.</summary>
    public readonly bool OracleOpen => _oracle;

    /// <summary>New text came while JSON decides: restating is over in both readings, and a delta like the text's beginning is new, too.</summary>
    public bool HasNew { readonly get; private set; }

    /// <summary>The call or answer has ended and only the restating reading is whole JSON.</summary>
    public readonly bool OnlyRestatedIsWhole => _oracle && _asRestated.IsComplete && !_asIncrements.IsComplete;

    /// <summary>JSON says that the text cannot have been restated.</summary>
    public readonly bool IsRefuted => _oracle && _asRestated.IsBroken && !_asIncrements.IsBroken;

    public readonly bool IsProvenByJson => _oracle && _asIncrements.IsBroken && !_asRestated.IsBroken;

    /// <summary>A run begins: nothing but <paramref name="text"/> was said so far.</summary>
    public static StutterEvidence Begin(bool json, ReadOnlySpan<byte> text)
    {
        StutterEvidence evidence = default;
        if (!json) return evidence;
        evidence._oracle = true;
        evidence._asRestated.Feed(text);
        evidence._asIncrements = evidence._asRestated;
        return evidence;
    }

    /// <summary>Takes a restating delta into account.</summary>
    /// <param name="helped">The same stream was proven to stutter, or earlier ones were: an exact repeat counts too.</param>
    public void Add(Relation relation, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta, bool helped)
    {
        _restatements++;
        if (relation == Relation.Extends) _steps++;
        else if (relation == Relation.Shorter) _steps = 0;
        bool counts = relation == Relation.Extends || (helped && relation == Relation.Equals);
        if (counts && text.Length > _countedBytes)
        {
            // One text said five times is one coincidence, not five: each state of the text counts once.
            _countedBytes = text.Length;
            _weight += TextShape.Of(text).Weight;
        }

        if (!_oracle) return;
        _asIncrements.Feed(delta);
        if (relation == Relation.Extends) _asRestated.Feed(delta[text.Length..]);
        CheckOracle();
    }

    /// <summary>A delta that is new text in both readings.</summary>
    public void AddNew(ReadOnlySpan<byte> delta)
    {
        if (!_oracle) return;
        HasNew = true;
        _asIncrements.Feed(delta);
        _asRestated.Feed(delta);
        CheckOracle();
    }

    /// <summary>Restatement was proven: both readings go on from the repaired text, and a ladder that was proven on one rung goes on.</summary>
    public void Accept()
    {
        _asIncrements = _asRestated;
        _climbing |= _steps >= NeededStepsHelped;
    }

    /// <summary>The rule that proves the restatement by what the text itself says (E5, E5b, E6); null when none does.</summary>
    /// <param name="proven">The same stream was proven to stutter.</param>
    /// <param name="helped">It was, or earlier ones were.</param>
    public readonly string? TextRule(Relation relation, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta, bool proven, bool helped)
    {
        if (relation == Relation.Shorter) return proven && IsTellingRewind(text, delta) ? "E5-information" : null;
        if (relation == Relation.Extends && _climbing) return "E5b-steps";
        TextShape shape = TextShape.Of(text);
        if (relation == Relation.Extends && (shape.IsAperiodic || (helped && IsOpener(text))))
        {
            if (IsGrowth(text, delta, NeededSteps, 3)) return "E5b-steps";
            if (helped && IsGrowth(text, delta, NeededStepsHelped, shape.IsAperiodic ? 3 : 2)) return proven ? "E5b-steps" : "E6-prior";
        }

        if (shape.Weight == 0 || !(shape.OpenEnd || _steps >= NeededStepsHelped || IsLong(relation, shape, text, delta))) return null;
        if (_weight >= NeededWeight) return "E5-information";
        if (_steps >= NeededStepsHelped && _weight >= NeededWeightInWord && TextShape.IsLineStart(text) && TextShape.EndsInWord(text)) return "E5b-steps";
        return helped && _weight >= NeededWeightHelped ? proven ? "E5-information" : "E6-prior" : null;
    }

    /// <summary>
    /// A text this long that goes on may end anywhere; but whole lines and refrains (the delta says it a second time and more) are what honest
    /// texts repeat at any length.
    /// </summary>
    private static bool IsLong(Relation relation, in TextShape shape, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta) =>
        relation == Relation.Extends && shape.Characters >= LongCharacters && !shape.IsLines && !delta[text.Length..].StartsWith(text);

    /// <summary>Marked events that also grow: two steps are enough, since no more than three may wait for an event without the mark.</summary>
    public readonly bool IsMarkedGrowth(Relation relation, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta) =>
        relation == Relation.Extends && (TextShape.Of(text).IsAperiodic || IsOpener(text)) && IsGrowth(text, delta, NeededStepsHelped, 2);

    /// <summary>
    /// Enough strict extensions in a row. No writer builds such a ladder without something between the rungs, of letters or not; the grown text
    /// must only be more than a row of one or two characters.
    /// </summary>
    private readonly bool IsGrowth(ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta, int steps, int distinct) =>
        _steps >= steps && (IsRung(delta, distinct) || IsRung(text, distinct));

    private static bool IsRung(ReadOnlySpan<byte> text, int distinct)
    {
        TextShape shape = TextShape.Of(text);
        return shape.IsAperiodic && shape.Distinct >= distinct;
    }

    /// <summary>What answers like to begin with. Read as increments it would be more such characters in a row than any begins with.</summary>
    private static bool IsOpener(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("##"u8) || text.SequenceEqual("**"u8) || text.SequenceEqual("```"u8) || text.SequenceEqual("\n\n"u8);

    /// <summary>
    /// A rewind says less than a growing text: its own bytes must be enough, and when they are few, stand against the text's end as no new text
    /// would.
    /// </summary>
    private static bool IsTellingRewind(ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta)
    {
        TextShape shape = TextShape.Of(delta);
        return shape.Weight >= NeededWeight || (shape.OpenEnd && shape.Weight >= NeededWeightHelped && TextShape.EndsInWord(text));
    }

    private void CheckOracle()
    {
        bool bothBroken = _asIncrements.IsBroken && _asRestated.IsBroken;
        if (bothBroken || _asIncrements.IsLost || _asRestated.IsLost) _oracle = false;
    }
}
