using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// The detector of one channel: a choice's content, its thinking, or the arguments of one of its tool calls. Two readings of the stream live
/// side by side, <i>incremental</i> (every delta is new text) and <i>restating</i> (a delta says again what was said); only what both agree on
/// is sent, and a delta on which they differ waits until a rule proves the one or time is up for the other.
/// </summary>
internal sealed class StutterChannel(StutterRun run, int choice, PartKind kind, int key, string name) : IDisposable
{
    private readonly SaidText _said = new();
    private readonly HeldParts _held = new(run, name);
    private StutterEvidence _evidence;
    private StutterState _state;
    private bool _inRun;
    private bool _firstMarked;
    private bool _bodySeen;
    private bool _mayHold = true;
    private bool _isLate;

    public int Choice => choice;

    public PartKind Kind => kind;

    public int Key => key;

    public string Name => name;

    /// <summary>The tool call's id, to tell a new call on the same index from the old one.</summary>
    public byte[] ToolId { get; set; } = [];

    /// <summary>The tool call's name, likewise.</summary>
    public byte[] ToolName { get; set; } = [];

    public bool IsHolding => _held.Count > 0;

    public bool HasText => _said.Any;

    public bool WasProven { get; private set; }

    /// <summary>Proven by something else than the prior and the profile: worth learning from.</summary>
    public bool WasProvenByItself { get; private set; }

    /// <summary>Refuted before anything was proven or left open.</summary>
    public bool WasClean { get; private set; }

    /// <summary>JSON is of no use before it is whole: it may take until the end of the call or answer to decide, within the byte limit.</summary>
    public bool MayWaitLong => _evidence.OracleOpen;

    private bool IsHelped => WasProven || run.Context.StutterStanding == StutterStanding.Seen;

    private bool IsJson => kind == PartKind.ToolCall || (kind == PartKind.Content && run.Context.ExpectsJson);

    /// <summary>What the event's transport says about the deltas that wait; called before the event's text is offered.</summary>
    public void Weigh(in EventMarks marks)
    {
        if (_held.Count == 0) return;
        if (_held.Proof.RuleOnNext(marks) is { } rule) Accept(rule);
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
            case StutterState.Initial when !_said.Any:
                _firstMarked = marks.Marked;
                _said.Begin(text);
                break;
            default:
                Relation relation = Relations.Of(_said.Text, text);
                if (relation == Relation.None || (relation == Relation.Shorter && _evidence.HasNew)) Continue(part, text, marks);
                else Restate(relation, part, text, marks);
                break;
        }

        _bodySeen |= !marks.Marked;
    }

    /// <summary>Time or room is up: what waits goes out as it came. The restating reading stays under watch.</summary>
    public void LetGo(string rule, bool timeIsUp = false)
    {
        if (_held.Count == 0) return;
        if (timeIsUp && _held.Proof.RuleWithoutNext(run.Context.KeyOrderMark) is { } proof)
        {
            Accept(proof);
            return;
        }

        _mayHold = false;
        Refuse(rule);
        if (_isLate) EnterNormalFlow();
    }

    /// <summary>No more text comes in this channel.</summary>
    public void End()
    {
        if (_state == StutterState.Terminating) return;
        if (_held.Count > 0)
        {
            bool marked = run.Context.KeyOrderMark && _held.Proof.Telling;
            if (_evidence.OnlyRestatedIsWhole) Accept("E4-json");
            else if (_held.Proof.RuleWithoutNext(marked) is { } rule) Accept(rule);
            else Refuse("end");
        }

        _state = StutterState.Terminating;
        _said.Dispose();
    }

    public void Dispose() => _said.Dispose();

    /// <summary>These arguments say again what the call has said so far, and that is not a whole call yet.</summary>
    public bool IsSaidAgainBy(ReadOnlySpan<byte> arguments)
    {
        if (_said.Text.IsEmpty || Relations.Of(_said.Text, arguments) is not (Relation.Extends or Relation.Equals)) return false;
        JsonPrefix whole = default;
        whole.Feed(_said.Text);
        return !whole.IsComplete;
    }

    /// <summary>The event is an earlier one that came again, and says nothing new.</summary>
    public void Repeat(int part, int bytes)
    {
        Prove("E2-id");
        run.Drop(part, bytes, "E2-id", name, _state.ToString());
    }

    private void PassThrough(int part, ReadOnlySpan<byte> text, in EventMarks marks)
    {
        if (marks.FrameRepeated && _held.Count < HeldParts.Most && HasRoom(text.Length))
        {
            _said.AddRepeated(text, first: _held.Count == 0);
            _held.Add(part, text.Length, text.Length, new HeldProof(false, true, marks.IdsChange, false, false), "NormalFlow");
            return;
        }

        Refuse("not-restated");
        _isLate = _said.Reopens(text, LateEntryBytes(marks));
        if (_isLate) Restate(Relations.Of(_said.Text, text), part, text, marks);
        else _said.Follow(text);
    }

    /// <summary>How long the text so far must be, for a delta that says all of it again to be looked at; less where something else can prove it.</summary>
    private int LateEntryBytes(in EventMarks marks) => marks.UsageStood && marks.UsageCounts ? 1 : IsJson ? 2 : 32;

    /// <summary>The delta is new text, whatever came before it.</summary>
    private void Continue(int part, ReadOnlySpan<byte> text, in EventMarks marks)
    {
        if (_held.Count > 0 && MayWaitLong)
        {
            _evidence.AddNew(text);
            _said.Add(text, text);
            if (_evidence.IsProvenByJson)
            {
                Accept("E4-json");
                EnterNormalFlow();
            }
            else if (_evidence.IsRefuted || !_evidence.OracleOpen)
            {
                Refuse("E4-refuted");
                EnterNormalFlow();
            }
            else
            {
                Hold(part, 0, text.Length, default, default);
                if (_held.Bytes > run.Context.HoldLimitBytes) LetGo("limit");
            }

            return;
        }

        bool open = _held.Count > 0 || !_mayHold;
        Refuse("not-restated");
        WasClean = !open && !WasProven;
        EnterNormalFlow();
        PassThrough(part, text, marks);
    }

    private void Restate(Relation relation, int part, ReadOnlySpan<byte> delta, in EventMarks marks)
    {
        ReadOnlySpan<byte> text = _said.Text;
        if (!_inRun) _evidence = StutterEvidence.Begin(IsJson, text);
        _inRun = true;
        _evidence.Add(relation, text, delta, IsHelped);
        if (_evidence.IsRefuted)
        {
            Refuse("E4-refuted");
            EnterNormalFlow();
            _said.Follow(delta);
            return;
        }

        string? rule = RuleFor(relation, text, delta, marks);
        StutterConfidence confidence = StutterConfidence.Of(
            relation, _evidence.Steps, _evidence.Restatements, run.GapMilliseconds, text, delta);
        int keep = relation == Relation.Extends ? text.Length : delta.Length;
        int bytes = delta.Length;
        bool telling = TextShape.Of(text) is { Weight: > 0, OpenEnd: true };
        if (rule is not null)
        {
            _said.AddProven(delta[keep..]);
            Accept(rule);
            run.CutCurrent(part, keep, rule, name, $"Stuttering {confidence}");
            return;
        }

        _said.Add(delta, delta[keep..]);
        if (MayHold(marks, confidence, bytes))
        {
            // Elsewhere only the plainest case counts: the first event said once more, and then a body event without the mark.
            bool markCounts = _firstMarked && (run.Context.KeyOrderMark || (relation == Relation.Equals && _held.Count == 0));
            HeldProof proof = new(markCounts && marks.Marked, marks.FrameRepeated, marks.IdsChange, marks.UsageStood, telling);
            Hold(part, keep, bytes, proof, confidence);
        }
        else PassUndecided(relation, bytes, confidence);
    }

    private string? RuleFor(Relation relation, ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta, in EventMarks marks)
    {
        if (run.Context.Deltas == DeltaHabit.Cumulative) return "E1-declared";
        if (marks.UsageStood && marks.UsageCounts) return "E2-usage";
        bool telling = _bodySeen || WasProven || _evidence.IsMarkedGrowth(relation, text, delta);
        if (run.Context.KeyOrderMark && _firstMarked && marks.Marked && telling) return "E3-key-order";
        if (_evidence.IsProvenByJson) return "E4-json";
        if (_evidence.OracleOpen && WasProven && _state == StutterState.Stuttering && relation != Relation.Shorter) return "E4-json";
        if (run.Mode == StutterMode.Safe || kind == PartKind.ToolCall || _evidence.OracleOpen) return null;
        return _evidence.TextRule(relation, text, delta, WasProven, IsHelped);
    }

    private bool MayHold(in EventMarks marks, in StutterConfidence confidence, int bytes)
    {
        if (!_mayHold || (_held.Count >= HeldParts.Most && !MayWaitLong) || !HasRoom(bytes)) return false;
        if (_evidence.OracleOpen || marks.FrameRepeated || marks.UsageStood || (_firstMarked && marks.Marked)) return true;
        return run.Mode != StutterMode.Safe && kind != PartKind.ToolCall && confidence.Total >= StutterConfidence.WorthHolding;
    }

    private bool HasRoom(int bytes) => Math.Max(_held.Bytes, run.HeldBytes) + bytes <= run.Context.HoldLimitBytes;

    private void Hold(int part, int keep, int bytes, in HeldProof proof, in StutterConfidence confidence)
    {
        _state = StutterState.Recovering;
        _held.Add(part, keep, bytes, proof, $"Recovering {confidence}");
    }

    /// <summary>Neither proof nor a hold: duplicate rather than lose. Only a text that grows is worth watching further.</summary>
    private void PassUndecided(Relation relation, int bytes, in StutterConfidence confidence)
    {
        run.Note("unproven", RepairAction.LetGo, name, bytes, $"Recovering {confidence}");
        LetGo("unproven");
        _mayHold = false;
        if (_isLate || relation != Relation.Extends) EnterNormalFlow();
        else if (_state != StutterState.NormalFlow) _state = StutterState.Recovering;
    }

    private void Accept(string rule)
    {
        _held.Settle(proven: true, rule);
        Prove(rule);
        if (_state == StutterState.NormalFlow && !_isLate) return;
        _evidence.Accept();
        _state = StutterState.Stuttering;
        _isLate = false;
        _said.Prove();
    }

    /// <summary>What waits was not proven to be a restatement: it goes out as it came.</summary>
    private void Refuse(string rule)
    {
        bool isRepeat = _state == StutterState.NormalFlow && !_isLate;
        if (_held.Settle(proven: false, rule) && isRepeat) _said.KeepRepeated();
    }

    private void Prove(string rule)
    {
        WasProven = true;
        WasProvenByItself |= !rule.StartsWith("E6", StringComparison.Ordinal) && !rule.StartsWith("E1", StringComparison.Ordinal);
    }

    /// <summary>From here on the channel passes through; only a delta that restates all of it again can stop that.</summary>
    private void EnterNormalFlow()
    {
        _state = StutterState.NormalFlow;
        _inRun = _isLate = false;
        _evidence = default;
        _said.PassThrough();
    }
}
