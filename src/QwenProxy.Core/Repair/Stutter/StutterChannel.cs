using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// The detector of one channel: a choice's content, its thinking, or the arguments of one of its tool calls. Two readings of the stream live
/// side by side, <i>incremental</i> (every delta is new text) and <i>restating</i> (a delta says again what was said); only what both agree on
/// is sent, and a delta on which they differ waits until a rule proves the one or time is up for the other.
/// </summary>
internal sealed class StutterChannel(StutterRun run, int choice, PartKind kind, int key, string name) : IDisposable
{
    private const int LateEntryBytes = 32;
    private const int MostHeld = 3;

    /// <summary>The text so far in the restating reading; given back once the channel passes through.</summary>
    private readonly PooledBytes _text = new(256);
    private readonly List<HeldPart> _held = new(MostHeld);
    private StutterEvidence _evidence;
    private TextHash _all;
    private StutterState _state;
    private int _heldBytes;
    private bool _inRun;
    private bool _firstMarked;
    private bool _bodySeen;
    private HeldProof _proof;
    private bool _mayHold = true;
    private bool _isLate;
    private bool _lateClosed;

    public int Choice => choice;

    public PartKind Kind => kind;

    public int Key => key;

    public string Name => name;

    /// <summary>The tool call's id, to tell a new call on the same index from the old one.</summary>
    public byte[] ToolId { get; set; } = [];

    public bool IsHolding => _held.Count > 0;

    public bool HasText => _all.Length > 0;

    public bool WasProven { get; private set; }

    /// <summary>Proven by something else than the prior and the profile: worth learning from.</summary>
    public bool WasProvenByItself { get; private set; }

    /// <summary>Refuted before anything was proven or left open.</summary>
    public bool WasClean { get; private set; }

    /// <summary>Arguments are of no use before they are whole: JSON may take until the end of the call to decide, within the byte limit.</summary>
    public bool MayWaitLong => kind == PartKind.ToolCall && _evidence.OracleOpen;

    private bool IsJson => kind == PartKind.ToolCall || (kind == PartKind.Content && run.Context.ExpectsJson);

    /// <summary>What the event's transport says about the deltas that wait; called before the event's text is offered.</summary>
    public void Weigh(in EventMarks marks)
    {
        if (_held.Count == 0) return;
        if (_proof.RuleOnNext(marks) is { } rule) Accept(rule);
    }

    public void Offer(int part, ReadOnlySpan<byte> text, in EventMarks marks)
    {
        switch (_state)
        {
            case StutterState.Terminating:
                return;
            case StutterState.NormalFlow:
                PassThrough(part, text, marks);
                break;
            case StutterState.Initial when _all.Length == 0:
                _firstMarked = marks.Marked;
                _text.Write(text);
                _all.Add(text);
                break;
            default:
                Relation relation = Relate(text);
                if (relation == Relation.None) Continue(part, text);
                else Restate(relation, part, text, marks);
                break;
        }

        _bodySeen |= !marks.Marked;
    }

    /// <summary>Time or room is up: what waits goes out as it came. The restating reading stays under watch.</summary>
    public void LetGo(string rule, bool timeIsUp = false)
    {
        if (_held.Count == 0) return;
        if (_proof.AllMarked && timeIsUp && run.Context.KeyOrderMark)
        {
            Accept("E3-key-order"); // The mark is proof here; waiting for an unmarked event was caution, and its time is over.
            return;
        }

        _mayHold = false;
        Settle(proven: false, rule);
        if (_isLate) EnterNormalFlow(default);
    }

    /// <summary>No more text comes in this channel.</summary>
    public void End()
    {
        if (_state == StutterState.Terminating) return;
        if (_held.Count > 0)
        {
            if (_evidence.OnlyRestatedIsWhole) Accept("E4-json");
            else if (_proof.AllMarked && _proof.AllTelling && run.Context.KeyOrderMark) Accept("E3-key-order");
            else Settle(proven: false, "end");
        }

        _state = StutterState.Terminating;
        _text.Dispose();
    }

    public void Dispose() => _text.Dispose();

    private Relation Relate(ReadOnlySpan<byte> delta)
    {
        ReadOnlySpan<byte> text = _text.Span;
        if (delta.Length > text.Length) return delta.StartsWith(text) ? Relation.Extends : Relation.None;
        if (!text.StartsWith(delta)) return Relation.None;
        return delta.Length == text.Length ? Relation.Equals : Relation.Shorter;
    }

    private void PassThrough(int part, ReadOnlySpan<byte> text, in EventMarks marks)
    {
        if (marks.FrameRepeated && marks.IdsCount)
        {
            Prove("E2-id");
            run.CutCurrent(part, text.Length, "E2-id", name, "NormalFlow");
            return;
        }

        if (!_lateClosed && _all.Length >= (IsJson ? 2 : LateEntryBytes) && text.Length >= _all.Length && _all.BeginsWithThis(text))
        {
            _text.Write(text[.._all.Length]);
            _isLate = true;
            Restate(text.Length > _text.Length ? Relation.Extends : Relation.Equals, part, text, marks);
            return;
        }

        _all.Add(text);
    }

    /// <summary>The delta is new text, whatever came before it.</summary>
    private void Continue(int part, ReadOnlySpan<byte> text)
    {
        if (_held.Count > 0 && MayWaitLong)
        {
            _evidence.AddNew(text);
            _text.Write(text);
            _all.Add(text);
            if (_evidence.IsProvenByJson)
            {
                Accept("E4-json");
                EnterNormalFlow(default);
            }
            else if (_evidence.IsRefuted || !_evidence.OracleOpen)
            {
                Settle(proven: false, "E4-refuted");
                EnterNormalFlow(default);
            }
            else
            {
                Hold(part, 0, text.Length, default);
                if (_heldBytes > run.Context.HoldLimitBytes) LetGo("limit");
            }

            return;
        }

        bool open = _held.Count > 0 || !_mayHold;
        Settle(proven: false, "not-restated");
        WasClean = !open && !WasProven;
        EnterNormalFlow(text);
    }

    private void Restate(Relation relation, int part, ReadOnlySpan<byte> delta, in EventMarks marks)
    {
        ReadOnlySpan<byte> text = _text.Span;
        if (!_inRun) _evidence = StutterEvidence.Begin(IsJson, text);
        _inRun = true;
        bool helped = WasProven || run.Context.StutterStanding != StutterStanding.None;
        _evidence.Add(relation, text, delta, helped);
        if (_evidence.IsRefuted)
        {
            Settle(proven: false, "E4-refuted");
            EnterNormalFlow(delta);
            return;
        }

        string? rule = RuleFor(relation, text, delta, marks);
        StutterConfidence confidence = StutterConfidence.Of(
            relation, _evidence.Steps, _evidence.Restatements, run.GapMilliseconds, text, delta);
        int keep = relation == Relation.Extends ? text.Length : delta.Length;
        int bytes = delta.Length;
        bool telling = TextShape.Of(text) is { Weight: > 0, NaturalSeam: false };
        _all.Add(delta);
        if (relation == Relation.Extends) _text.Write(delta[keep..]);
        if (rule is not null)
        {
            Accept(rule);
            run.CutCurrent(part, keep, rule, name, $"Stuttering {confidence}");
        }
        else if (MayHold(marks, confidence, bytes))
        {
            // Elsewhere only the plainest case counts: the first event said once more, and then a body event without the mark.
            bool markCounts = _firstMarked && (run.Context.KeyOrderMark || (relation == Relation.Equals && _held.Count == 0));
            _proof = HeldProof.And(_held.Count == 0 ? HeldProof.All : _proof, markCounts, marks, telling);
            Hold(part, keep, bytes, confidence);
        }
        else PassUndecided(relation, bytes, confidence);
    }

    private string? RuleFor(Relation relation, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta, in EventMarks marks)
    {
        if (run.Context.Deltas == DeltaHabit.Cumulative) return "E1-declared";
        if (marks.FrameRepeated && marks.IdsCount) return "E2-id";
        if (marks.UsageStood && marks.UsageCounts) return "E2-usage";
        bool telling = _bodySeen || WasProven || _evidence.IsMarkedGrowth(relation, text, delta);
        if (run.Context.KeyOrderMark && _firstMarked && marks.Marked && telling) return "E3-key-order";
        if (_evidence.IsProvenByJson) return "E4-json";
        if (_evidence.OracleOpen && WasProven && _state == StutterState.Stuttering && relation != Relation.Shorter) return "E4-json";
        if (run.Mode == StutterMode.Safe || kind == PartKind.ToolCall || _evidence.OracleOpen) return null;
        return _evidence.TextRule(relation, text, delta, WasProven, run.Context.StutterStanding);
    }

    private bool MayHold(in EventMarks marks, in StutterConfidence confidence, int bytes)
    {
        if (!_mayHold || (_held.Count >= MostHeld && !MayWaitLong)) return false;
        if (Math.Max(_heldBytes, run.HeldBytes) + bytes > run.Context.HoldLimitBytes) return false;
        if (_evidence.OracleOpen || marks.FrameRepeated || marks.UsageStood || (_firstMarked && marks.Marked)) return true;
        return run.Mode != StutterMode.Safe && kind != PartKind.ToolCall && confidence.Total >= StutterConfidence.WorthHolding;
    }

    private void Hold(int part, int keep, int bytes, in StutterConfidence confidence)
    {
        _state = StutterState.Recovering;
        run.Note("hold", RepairAction.Held, name, bytes, $"Recovering {confidence}");
        _held.Add(run.Hold(part, keep, bytes));
        _heldBytes += bytes;
    }

    /// <summary>Neither proof nor a hold: duplicate rather than lose. Only a text that grows is worth watching further.</summary>
    private void PassUndecided(Relation relation, int bytes, in StutterConfidence confidence)
    {
        run.Note("unproven", RepairAction.LetGo, name, bytes, $"Recovering {confidence}");
        LetGo("unproven");
        _mayHold = false;
        _lateClosed |= WasProven;
        if (_isLate || relation != Relation.Extends) EnterNormalFlow(default);
        else if (_state != StutterState.NormalFlow) _state = StutterState.Recovering;
    }

    private void Accept(string rule)
    {
        Settle(proven: true, rule);
        _evidence.Accept();
        _state = StutterState.Stuttering;
        _isLate = false;
        Prove(rule);
    }

    private void Prove(string rule)
    {
        WasProven = true;
        WasProvenByItself |= !rule.StartsWith("E6", StringComparison.Ordinal) && !rule.StartsWith("E1", StringComparison.Ordinal);
    }

    private void Settle(bool proven, string rule)
    {
        if (_held.Count == 0) return;
        string detail = proven ? "Stuttering" : "NormalFlow";
        foreach (HeldPart held in _held) run.Settle(held, proven, rule, name, detail);

        if (!proven)
        {
            run.Note(rule, RepairAction.LetGo, name, _heldBytes, detail);
            _lateClosed |= WasProven;
        }

        _held.Clear();
        _heldBytes = 0;
    }

    /// <summary>From here on the channel passes through; only a delta that restates all of it again can stop that.</summary>
    private void EnterNormalFlow(ReadOnlySpan<byte> delta)
    {
        if (WasProven && !_lateClosed) _all = TextHash.Of(_text.Span);
        _all.Add(delta);
        _state = StutterState.NormalFlow;
        _inRun = _isLate = false;
        _text.Dispose();
    }
}
