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
    private const int NeededWeightUsual = 4;
    private const int NeededSteps = 3;
    private const int NeededStepsHelped = 2;

    private int _steps;
    private int _restatements;
    private int _weight;
    private bool _oracle;
    private JsonPrefix _asIncrements;
    private JsonPrefix _asRestated;

    /// <summary>Strict extensions in a row.</summary>
    public readonly int Steps => _steps;

    public readonly int Restatements => _restatements;

    /// <summary>JSON decides, and has not decided yet.</summary>
    public readonly bool OracleOpen => _oracle;

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
        if (relation == Relation.Extends || (helped && relation == Relation.Equals)) _weight += TextShape.Of(text).Weight;
        if (!_oracle) return;
        _asIncrements.Feed(delta);
        if (relation == Relation.Extends) _asRestated.Feed(delta[text.Length..]);
        CheckOracle();
    }

    /// <summary>A delta that is new text in both readings.</summary>
    public void AddNew(ReadOnlySpan<byte> delta)
    {
        if (!_oracle) return;
        _asIncrements.Feed(delta);
        _asRestated.Feed(delta);
        CheckOracle();
    }

    /// <summary>Restatement was proven: both readings go on from the repaired text.</summary>
    public void Accept() => _asIncrements = _asRestated;

    /// <summary>The rule that proves the restatement by what the text itself says (E5, E5b, E6); null when none does.</summary>
    public readonly string? TextRule(Relation relation, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta, bool proven, StutterStanding standing)
    {
        TextShape shape = TextShape.Of(relation == Relation.Shorter ? delta : text);
        bool helped = proven || standing != StutterStanding.None;
        if (shape.Weight == 0) return StepsOfShortText(relation, delta, proven, standing);
        if (relation == Relation.Shorter) return RewindRule(shape, proven, standing);
        bool seam = !shape.NaturalSeam || _steps >= 2;
        if (_steps >= NeededSteps) return "E5b-steps";
        if (_weight >= NeededWeight && seam) return "E5-information";
        if (!helped) return null;
        string rule = proven ? "E5-information" : "E6-prior";
        if (_steps >= NeededStepsHelped) return rule;
        int needed = standing == StutterStanding.Usual ? NeededWeightUsual : NeededWeightHelped;
        return _weight >= needed && seam ? rule : null;
    }

    /// <summary>Texts grow from a character or two, too short to say anything, but where stutter is known the grown text may speak for them.</summary>
    private readonly string? StepsOfShortText(Relation relation, ReadOnlySpan<byte> delta, bool proven, StutterStanding standing)
    {
        if (relation != Relation.Extends || _steps < NeededStepsHelped) return null;
        if (!proven && standing == StutterStanding.None) return null;
        return TextShape.Of(delta).Weight > 0 ? proven ? "E5b-steps" : "E6-prior" : null;
    }

    /// <summary>A rewind says less than a growing text: its own bytes must be enough.</summary>
    private static string? RewindRule(TextShape shape, bool proven, StutterStanding standing)
    {
        if (shape.NaturalSeam || shape.Weight < NeededWeightHelped) return null;
        return proven ? "E5-information" : standing != StutterStanding.None ? "E6-prior" : null;
    }

    private void CheckOracle()
    {
        bool bothBroken = _asIncrements.IsBroken && _asRestated.IsBroken;
        if (bothBroken || _asIncrements.IsLost || _asRestated.IsLost) _oracle = false;
    }
}
