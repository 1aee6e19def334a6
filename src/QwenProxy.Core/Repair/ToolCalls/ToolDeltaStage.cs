using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Gives every piece of a tool call the index, id and name that clients rely on: calls are numbered from 0, calls that share an index are
/// separated, continuations join the right call, a name is said once, a missing id is minted. Arguments wrapped in a JSON string or sent as an
/// object become the string they should be, empty ones become <c>{}</c>, and unfinished ones end as <c>length</c>. A healthy call passes untouched.
/// </summary>
/// <param name="context">Gives the limit and the report.</param>
/// <param name="mode">On or observe.</param>
/// <param name="mintId">A new tool call id, e.g. <c>call_…</c>, different each time.</param>
public sealed class ToolDeltaStage(RepairContext context, RepairMode mode, Func<string> mintId) : RepairStage, IDisposable
{
    private readonly CallBook _book = new();
    private readonly PooledBytes _scratch = new(64);
    private readonly PooledBytes _text = new(256);
    private readonly bool _observes = mode == RepairMode.Observe;
    private ChatEvent? _envelope;
    private ArgumentsGate? _gate;

    public override string Name => "tool-deltas";

    /// <inheritdoc/>
    /// <remarks>Arguments that wait for their wrapper's end are of no use to a client before it, so they are not a question of time.</remarks>
    public override bool IsHolding => false;

    public override void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind == EventKind.Chunk)
        {
            int count = chatEvent.Parts.Length;
            for (PartPlace place = PartPlace.Before; place <= PartPlace.After; place++)
            {
                for (int i = 0; i < count; i++) Visit(chatEvent, i, place);
            }
        }
        else if (chatEvent.Kind != EventKind.Silent) Finish();

        Next.Push(chatEvent);
    }

    public override void LetGo()
    {
        // Nothing here waits for time; see IsHolding.
    }

    public override void Finish()
    {
        if (_envelope is null || _observes) return;
        _envelope.BecomeEnvelope();
        foreach (CallState call in _book.Calls) Release(_envelope, call);
        if (_envelope.Parts.Length > 0) Next.Push(_envelope);
    }

    public void Dispose()
    {
        foreach (CallState call in _book.Calls)
        {
            call.Held?.Dispose();
            call.Unwrapper?.Dispose();
        }

        _scratch.Dispose();
        _text.Dispose();
        _envelope?.Dispose();
    }

    private void Visit(ChatEvent e, int index, PartPlace place)
    {
        EventPart part = e.Parts[index];
        if (part.Place != place || part.Removed) return;
        if (part.Kind == PartKind.ToolCall) VisitCall(e, index);
        else if (part.Kind == PartKind.Finish && _book.Calls.Count > 0) VisitFinish(e, index);
    }

    private ArgumentsGate Gate => _gate ??= new ArgumentsGate(context, _observes, Note, Reveal);

    private void VisitCall(ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        CallPart said = CallPart.Read(e, part, _scratch);
        _text.Clear();
        _text.Write(said.IsObject ? part.ToolArguments.In(e.Data.Span) : e.Text(part));
        bool hasArguments = !_text.Span.Trim(" \t\r\n"u8).IsEmpty;
        CallMatch match = _book.Find(part.Choice, said, hasArguments, out CallState? call);
        if (match is CallMatch.Unknown or CallMatch.Replayed)
        {
            // A piece of no call at all has no name to run it by; clients that build calls from it fail the whole answer.
            Note(match == CallMatch.Unknown ? "orphan" : "replayed", RepairAction.Removed, _text.Length);
            if (!_observes) e.Remove(index);
            return;
        }

        if (match == CallMatch.Begins) call = _book.Begin(part.Choice, said);
        Normalise(e, index, call!, said, match == CallMatch.Begins);
        if (said.IsObject && !e.Parts[index].Removed) SetArguments(e, index, "object", _text.Span);
        Gate.Pass(e, index, call!, _text.Span);
        if (call!.Held is not null) KeepEnvelope(e);
    }

    /// <summary>Index, id and name.</summary>
    private void Normalise(ChatEvent e, int index, CallState call, in CallPart said, bool begins)
    {
        if (!said.Id.IsEmpty && !begins && call.Id.IsEmpty)
        {
            if (call.IsShown)
            {
                Note("late-id", RepairAction.Removed, said.Id.Length);
                if (!_observes) Edit(e).Parts[index].NewToolId = "";
            }
            else call.SetId(said.Id);
        }

        if (!said.Name.IsEmpty && !begins)
        {
            if (call.Name.IsEmpty) call.SetName(said.Name);
            else
            {
                Note("name-repeated", RepairAction.Removed, said.Name.Length);
                if (!_observes) Edit(e).Parts[index].NewToolName = "";
            }
        }

        if (!call.IsShown) Show(e, index, call, begins);
        if (!call.IsShown || said.Index == call.Index) return;
        Note(said.Index < 0 ? "index-missing" : "index-moved", RepairAction.Rewritten, 0);
        if (!_observes) Edit(e).Parts[index].NewToolIndex = call.Index;
    }

    /// <summary>The first piece a client sees has an id and a name; until the name is there nothing is shown.</summary>
    private void Show(ChatEvent e, int index, CallState call, bool begins)
    {
        if (call.Name.IsEmpty)
        {
            KeepEnvelope(e);
            if (begins) Note("name-missing", RepairAction.Held, _text.Length);
            return;
        }

        Reveal(call);

        if (_observes || (begins && call.MintedId is null)) return;
        Edit(e).Parts[index].NewToolId = call.IdText;
        e.Parts[index].NewToolName = call.NameText;
    }

    private void VisitFinish(ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        ReadOnlySpan<byte> reason = e.Text(part);
        bool stop = reason.SequenceEqual("stop"u8);
        bool claimsWhole = stop || reason.SequenceEqual("tool_calls"u8) || reason.SequenceEqual("function_call"u8);
        bool unfinished = false, any = false;
        foreach (CallState call in _book.Calls)
        {
            if (call.Choice != part.Choice) continue;
            if (!_observes) Release(e, call);
            any |= call.IsShown;
            if (claimsWhole && !call.HasArguments && call.IsShown) Complete(e, call);
            unfinished |= call.IsUnfinished;
        }

        if (!any || !claimsWhole || (!unfinished && !stop)) return;
        Note(unfinished ? "unfinished-arguments" : "finish-of-calls", RepairAction.Rewritten, 0);
        if (!_observes) e.SetText(index, unfinished ? "length"u8 : "tool_calls"u8);
    }

    /// <summary>Arguments that still wait go out as they came.</summary>
    private void Release(ChatEvent e, CallState call)
    {
        if (call.Held is null) return;
        // Half an escape of a wrapper that was being taken off says nothing.
        bool speaks = call.Unwrapper is null && (call.IsShown || call.Held.Length > 0);
        bool wasShown = call.IsShown;
        if (speaks && !wasShown) Reveal(call);
        if (speaks) Say(e, call, call.Held.Span, withName: !wasShown);
        Gate.DropHeld(call);
    }

    /// <summary>A call that never got arguments takes none: <c>{}</c> is what clients can parse.</summary>
    private void Complete(ChatEvent e, CallState call)
    {
        Note("empty-arguments", RepairAction.Added, 2);
        call.Follow("{}"u8);
        if (!_observes) Say(e, call, "{}"u8, withName: false);
    }

    /// <summary>Into the call's own piece where it stands in this event, else before the event.</summary>
    private void Say(ChatEvent e, CallState call, ReadOnlySpan<byte> arguments, bool withName)
    {
        Span<EventPart> parts = e.Parts;
        for (int i = parts.Length - 1; i >= 0; i--)
        {
            if (parts[i].Kind != PartKind.ToolCall || parts[i].Removed || parts[i].Choice != call.Choice) continue;
            if ((parts[i].NewToolIndex ?? parts[i].ToolIndex) != call.Index) continue;
            _text.Clear();
            _text.Write(e.Text(parts[i]));
            _text.Write(arguments);
            e.SetText(i, _text.Span);
            return;
        }

        string? id = withName ? call.IdText : null;
        e.Add(PartPlace.Before, PartKind.ToolCall, call.Choice, arguments, call.Index, id, withName ? call.NameText : null);
    }

    private void SetArguments(ChatEvent e, int index, string rule, ReadOnlySpan<byte> json)
    {
        Note(rule, RepairAction.Rewritten, json.Length);
        if (!_observes) e.SetText(index, json);
    }

    /// <summary>The client is about to see the call: it gets its index and, where upstream gave none, an id.</summary>
    private void Reveal(CallState call)
    {
        _book.Show(call);
        if (!call.Id.IsEmpty || call.MintedId is not null) return;
        call.MintedId = _observes ? "" : mintId();
        Note("id-minted", RepairAction.Added, 0);
    }

    private static ChatEvent Edit(ChatEvent e)
    {
        e.MarkEdited();
        return e;
    }

    private void KeepEnvelope(ChatEvent e)
    {
        if (_envelope is not null || _observes) return;
        _envelope = new ChatEvent();
        _envelope.CopyFrom(e);
    }

    private void Note(string rule, RepairAction action, int bytes) =>
        context.Report.Note(Name, rule, _observes ? RepairAction.Observed : action, "tools", bytes);
}
