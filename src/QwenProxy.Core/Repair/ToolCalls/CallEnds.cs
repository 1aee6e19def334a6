using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>What the calls of a choice have come to.</summary>
/// <param name="HasCalls">A client sees a call.</param>
/// <param name="HasDropped">A call was left out that no client could have run, or that was said twice.</param>
/// <param name="HasUnfinished">The arguments of one end in the middle.</param>
/// <param name="HasBroken">The arguments of one are no JSON, though upstream called it finished.</param>
internal readonly record struct CallsEnd(bool HasCalls, bool HasDropped, bool HasUnfinished, bool HasBroken);

/// <summary>Ends calls: what was kept of them for a decision is said now, or dropped.</summary>
internal sealed class CallEnds(CallBook book, CallNotes notes) : IDisposable
{
    private readonly PooledBytes _text = new(256);
    private readonly PooledBytes _out = new(256);

    /// <param name="e">The event in which things are said.</param>
    /// <param name="choice">The choice that ends; null for all.</param>
    /// <param name="claimsWhole">The finish reason says that nothing is missing.</param>
    public CallsEnd End(ChatEvent e, int? choice, bool claimsWhole)
    {
        bool unfinished = false, broken = false, any = false, dropped = false;
        foreach (CallState call in book.Calls)
        {
            if ((choice is null || call.Choice == choice) && !call.IsOver) GiveBack(e, call);
        }

        foreach (CallState call in book.Calls)
        {
            if (choice is not null && call.Choice != choice) continue;
            if (!call.IsOver) EndOne(e, call);
            any |= call.IsShown;
            dropped |= !call.IsShown;
            if (!call.IsShown) continue;
            if (claimsWhole && !call.Arguments.HasAny) Complete(e, call);
            unfinished |= call.Arguments.IsUnfinished;
            broken |= claimsWhole && call.Arguments.IsBroken;
        }

        return new CallsEnd(any, dropped, unfinished, broken);
    }

    public void Dispose()
    {
        _text.Dispose();
        _out.Dispose();
    }

    /// <summary>A head that came again under another index while the first one never got arguments: all of it is one call.</summary>
    private void GiveBack(ChatEvent e, CallState call)
    {
        if (call.IsShown || call.Held is null || book.MayBeAgain(call) is not { Arguments.HasAny: false, IsShown: true } first) return;
        first.Arguments.Take(call.Held.Span, _out, int.MaxValue);
        call.Held.Clear();
        Add(e, first, _out.Span, isNew: false);
    }

    private void EndOne(ChatEvent e, CallState call)
    {
        call.IsOver = true;
        notes.CountHeld(-call.Arguments.HeldBytes);
        _out.Clear();
        if (call.Held is not null) _out.Write(call.Held.Span);
        call.Arguments.End(_out);
        bool isNew = !call.IsShown;
        if (isNew && (call.Name.IsEmpty || book.MayBeAgain(call) is not null))
        {
            Drop(call, _out.Length);
            return;
        }

        if (isNew) book.Reveal(call);
        if (isNew || _out.Length > 0) Add(e, call, _out.Span, isNew);
    }

    public void Drop(CallState call, int bytes)
    {
        call.IsOver = true;
        notes.Note(call.Name.IsEmpty ? "nameless" : "replayed", RepairAction.Removed, bytes);
    }

    /// <summary>A call that never got arguments takes none: <c>{}</c> is what clients can parse.</summary>
    private void Complete(ChatEvent e, CallState call)
    {
        notes.Note("empty-arguments", RepairAction.Added, 2);
        call.Arguments.Take("{}"u8, _out, 0);
        Add(e, call, _out.Span, isNew: false);
    }

    /// <summary>Into the call's own piece where it stands in this event, else before the event.</summary>
    private void Add(ChatEvent e, CallState call, ReadOnlySpan<byte> arguments, bool isNew)
    {
        Span<EventPart> parts = e.Parts;
        for (int i = parts.Length - 1; i >= 0 && !isNew; i--)
        {
            if (parts[i].Kind != PartKind.ToolCall || parts[i].Removed || parts[i].Choice != call.Choice) continue;
            if ((parts[i].NewToolIndex ?? parts[i].ToolIndex) != call.Index) continue;
            _text.Clear();
            _text.Write(e.Text(parts[i]));
            _text.Write(arguments);
            e.SetText(i, _text.Span);
            return;
        }

        e.Add(PartPlace.Before, PartKind.ToolCall, call.Choice, arguments, call.Index, isNew ? call.IdText : null, isNew ? call.NameText : null);
    }
}
