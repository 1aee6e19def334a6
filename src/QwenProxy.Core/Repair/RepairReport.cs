using System.Globalization;

namespace QwenProxy.Core.Repair;

public enum RepairAction
{
    /// <summary>Decided, but the stage only observes: nothing was changed.</summary>
    Observed,
    Held,
    LetGo,
    Removed,
    Rewritten,
    Converted,
    Added,

    /// <summary>Known to be wrong and passed on as it came, since nothing mends it.</summary>
    Passed,
}

/// <summary>One decision of a stage. It holds no text of the stream.</summary>
/// <param name="Stage">The stage's name.</param>
/// <param name="Rule">The named rule that decided, e.g. <c>E2-usage</c>.</param>
/// <param name="Channel">Where: <c>0/content</c>, <c>0/reasoning</c>, <c>0/tool1</c>.</param>
/// <param name="Event">The upstream event's number, from 1.</param>
/// <param name="Bytes">How many bytes of text it concerned.</param>
/// <param name="Detail">Numbers and state names behind it, e.g. <c>Stuttering confidence=0.93</c>; never text of the stream.</param>
public readonly record struct RepairDecision(string Stage, string Rule, RepairAction Action, string Channel, int Event, int Bytes, string? Detail = null);

/// <summary>What the stages of one stream decided: all of it counted, the first <see cref="MaxKept"/> kept for the debug log and for replay.</summary>
public sealed class RepairReport
{
    public const int MaxKept = 256;

    private readonly List<RepairDecision> _decisions = [];
    private readonly Dictionary<(string Stage, string Rule, RepairAction Action), int> _counts = [];

    public IReadOnlyList<RepairDecision> Decisions => _decisions;

    public IReadOnlyDictionary<(string Stage, string Rule, RepairAction Action), int> Counts => _counts;

    /// <summary>The client was given something else than upstream said, or something that is known to be wrong.</summary>
    public static bool Matters(RepairAction action) => action is not (RepairAction.Observed or RepairAction.Held or RepairAction.LetGo);

    /// <summary>What matters of <see cref="Counts"/>, as a list in one line: <c>tool-deltas/unwrapped, ends/finish-not-last;n=2</c>. Empty when nothing does.</summary>
    public string Summary => Counts.Count == 0 ? "" : string.Join(", ", Counts.Where(c => Matters(c.Key.Action)).GroupBy(c => $"{c.Key.Stage}/{c.Key.Rule}", c => c.Value)
        .Select(g => g.Sum() == 1 ? g.Key : string.Create(CultureInfo.InvariantCulture, $"{g.Key};n={g.Sum()}")));

    public long RemovedBytes { get; private set; }

    public int HeldEvents { get; private set; }

    /// <summary>The number of the event now in the chain, from 1; the driver counts it up.</summary>
    public int EventNumber { get; set; }

    public void Note(string stage, string rule, RepairAction action, string channel, int bytes, string? detail = null)
    {
        (string, string, RepairAction) key = (stage, rule, action);
        _counts[key] = _counts.GetValueOrDefault(key) + 1;
        if (action == RepairAction.Removed) RemovedBytes += bytes;
        if (action == RepairAction.Held) HeldEvents++;
        if (_decisions.Count < MaxKept) _decisions.Add(new RepairDecision(stage, rule, action, channel, EventNumber, bytes, detail));
    }
}
