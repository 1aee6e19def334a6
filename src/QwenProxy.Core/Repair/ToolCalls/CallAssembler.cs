using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Takes the pieces of a stream's calls one by one, says in each event what may be said, and keeps the rest.</summary>
internal sealed class CallAssembler : IDisposable
{
    private readonly RepairContext _context;
    private readonly CallNotes _notes;
    private readonly CallBook _book;
    private readonly CallEnds _ends;
    private readonly PooledBytes _scratch = new(64);
    private readonly PooledBytes _text = new(256);
    private readonly PooledBytes _out = new(256);
    private bool _sendsPlaceholders;

    public CallAssembler(RepairContext context, bool observes, Func<string> mintId)
    {
        _context = context;
        _notes = new CallNotes(context, observes);
        _book = new CallBook(context, _notes, mintId);
        _ends = new CallEnds(_book, _notes);
    }

    /// <summary>An event with something undecided waits.</summary>
    public bool Waits
    {
        get
        {
            foreach (CallState call in _book.Calls)
            {
                if (call.Waits) return true;
            }

            return false;
        }
    }

    public void Note(string rule, RepairAction action, int bytes) => _notes.Note(rule, action, bytes);

    /// <summary>The event at hand waits from now on as a copy.</summary>
    public void Moved(ChatEvent e, ChatEvent kept)
    {
        foreach (CallState call in _book.Calls)
        {
            if (call.LonePlace.Event == e) call.LonePlace = call.LonePlace with { Event = kept };
            if (call.NamePlace.Event == e) call.NamePlace = call.NamePlace with { Event = kept };
        }
    }

    /// <summary>Takes one part of an event, which is a piece of a call.</summary>
    public void Take(ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        CallPart said = CallPart.Read(e, part, _scratch);
        _text.Clear();
        _text.Write(said.IsObject ? part.ToolArguments.In(e.Data.Span) : e.Text(part));
        CallMatch match = _book.Find(part.Choice, said, _text.Span, out CallState? call);
        if (match == CallMatch.Unknown || call is { IsOver: true })
        {
            // A piece of no call at all has no name to run it by; clients that build calls from it fail the whole answer.
            Note("orphan", RepairAction.Removed, _text.Length);
            e.Remove(index);
            return;
        }

        bool begins = match == CallMatch.Begins, isGiven = false;
        if (begins)
        {
            call = _book.Begin(part.Choice, said, new CallArguments(_notes.Note));
            isGiven = _text.Span.Trim(" \t\r\n"u8).IsEmpty && _book.Before(call)?.Arguments.TakeForeign(_text) == true;
        }

        TakeHead(e, index, call!, said, begins);
        if (said.IsObject) Note("object", RepairAction.Rewritten, _text.Length);
        if (isGiven) Note("arguments-first", RepairAction.Rewritten, _text.Length);
        TakeArguments(e, index, call!, said, begins, said.IsObject || isGiven);
    }

    /// <summary>Something was said that is none of what waits: names are whole as they are, and so is a lone <c>{}</c>, unless this upstream is known
    /// to say it before others.</summary>
    public void SettleAll(CallState? but)
    {
        foreach (CallState call in _book.Calls)
        {
            if (call == but || !call.Waits) continue;
            call.IsNameSettled = true;
            call.NamePlace = default;
            if (call.LonePlace is not ({ } waiting, int at, _)) continue;
            if (but is null || !_sendsPlaceholders) call.Arguments.KeepLone();
            else if (call.Arguments.DropLone()) waiting.SetText(at, default);
            else continue;
            call.LonePlace = default;
        }
    }

    /// <summary>A choice ends: what waits in its calls is said in the event or dropped.</summary>
    public CallsEnd End(ChatEvent e, int choice, bool claimsWhole)
    {
        SettleAll(null);
        return _ends.End(e, choice, claimsWhole);
    }

    /// <summary>The stream ends without a word: what waits is said in an event of its own, if there is any.</summary>
    public ChatEvent? End()
    {
        if (_notes.Envelope is not { } envelope) return null;
        envelope.BecomeEnvelope();
        _ends.End(envelope, null, claimsWhole: false);
        return envelope.Parts.Length > 0 ? envelope : null;
    }

    public void Dispose()
    {
        foreach (CallState call in _book.Calls) call.Dispose();
        _notes.Dispose();
        _ends.Dispose();
        _scratch.Dispose();
        _text.Dispose();
        _out.Dispose();
    }

    /// <summary>The id and the name. What the client has already, or has in the proxy's own words, is not said again.</summary>
    private void TakeHead(ChatEvent e, int index, CallState call, in CallPart said, bool begins)
    {
        if (begins) return;
        if (call.UpstreamIndex < 0) call.UpstreamIndex = said.Index;
        if (!said.Id.IsEmpty)
        {
            bool isLate = call.Id.IsEmpty;
            if (isLate) call.SetId(said.Id);
            if (isLate && call.IsShown) Note("late-id", RepairAction.Removed, said.Id.Length);
            if (call.IsShown && (call.MintedId is not null || !call.Id.SequenceEqual(said.Id))) Edit(e).Parts[index].NewToolId = "";
        }

        if (said.Name.IsEmpty) return;
        if (call.Name.IsEmpty)
        {
            call.SetName(said.Name);
            return;
        }

        if (call.JoinName(said.Name, _context.DeclaredTools) is { } joined)
        {
            call.SetName(joined);
            Note("name-joined", RepairAction.Rewritten, said.Name.Length);
            if (call.NamePlace is ({ } waiting, int at)) Edit(waiting).Parts[at].NewToolName = call.NameText;
        }
        else Note("name-repeated", RepairAction.Removed, said.Name.Length);

        if (call.IsShown) Edit(e).Parts[index].NewToolName = "";
    }

    private void TakeArguments(ChatEvent e, int index, CallState call, in CallPart said, bool begins, bool isOther)
    {
        bool wasLone = call.Arguments.IsLone;
        int held = call.Arguments.HeldBytes;
        call.Arguments.Take(_text.Span, _out, _context.HoldLimitBytes - _context.HeldBytes + held);
        _notes.CountHeld(call.Arguments.HeldBytes - held);
        if (call.Arguments.KeepsAny) _notes.KeepEnvelope(e);
        if (call.Arguments.ReplacedLone) ReplaceLone(call);
        bool isLone = call.Arguments.IsLone && !wasLone;
        bool isNew = !call.IsShown && MayShow(call);
        if (!call.IsShown && !isNew) Hide(e, index, call, isLone);
        else
        {
            int kept = isLone ? call.Held?.Length ?? 0 : call.HeldBeforeLone;
            if (isNew) Show(e, index, call, said, begins);
            Say(e, index, call, said.Index, isNew, isOther);
            if (isLone || (isNew && call.Arguments.IsLone)) PlaceLone(e, index, call, isNew ? kept : 0);
            if (isNew && !call.IsNameSettled && (!call.Arguments.HasAny || call.Arguments.IsLone)) call.NamePlace = (e, index);
        }

        if (!call.Arguments.HasAny || call.Arguments.MayBeLone || _text.Span.Trim(" \t\r\n"u8).IsEmpty) return;
        call.NamePlace = default;
        call.IsNameSettled |= call.IsShown;
        SettleAll(call);
    }

    /// <summary>The name is there, and what is there is the whole name; the call is not one that was said before.</summary>
    private bool MayShow(CallState call)
    {
        if (call.Name.IsEmpty) return false;
        DeclaredTools tools = _context.DeclaredTools;
        call.IsNameSettled |= tools.IsEmpty || !tools.AnyGoesOn(call.Name);
        return (call.IsNameSettled || tools.Has(call.Name)) && _book.MayBeAgain(call) is null;
    }

    /// <summary>Arguments that cannot be passed on yet are kept apart from their event.</summary>
    private void Hide(ChatEvent e, int index, CallState call, bool isLone)
    {
        _notes.KeepEnvelope(e);
        if (call.Held is null)
        {
            call.Held = new PooledBytes(256);
            Note(call.Name.IsEmpty ? "name-missing" : "call-undecided", RepairAction.Held, _out.Length);
        }

        if (isLone) call.HeldBeforeLone = call.Held.Length;
        call.Held.Write(_out.Span);
        e.Remove(index);
        if (call.Held.Length > CallArguments.MaxWaitBytes) _ends.Drop(call, call.Held.Length);
    }

    /// <summary>The first piece that a client sees has an id and a name.</summary>
    private void Show(ChatEvent e, int index, CallState call, in CallPart said, bool begins)
    {
        _book.Reveal(call);
        if (call.Held is { Length: > 0 } held)
        {
            _scratch.Clear();
            _scratch.Write(_out.Span);
            _out.Clear();
            _out.Write(held.Span);
            _out.Write(_scratch.Span);
            held.Clear();
        }

        if (begins && call.MintedId is null && !said.Name.IsEmpty) return;
        Edit(e).Parts[index].NewToolId = call.IdText;
        e.Parts[index].NewToolName = call.NameText;
    }

    /// <summary>Puts what may be said in the place of the piece, where it is another text, and gives it the index the client counts by.</summary>
    private void Say(ChatEvent e, int index, CallState call, int upstreamIndex, bool isNew, bool isOther)
    {
        bool changed = isOther || !_out.Span.SequenceEqual(_text.Span);
        if (changed && _out.Length == 0 && !isNew) e.Remove(index);
        else if (changed) e.SetText(index, _out.Span);
        if (upstreamIndex == call.Index || e.Parts[index].Removed) return;
        Note(upstreamIndex < 0 ? "index-missing" : "index-moved", RepairAction.Rewritten, 0);
        Edit(e).Parts[index].NewToolIndex = call.Index;
    }

    private void PlaceLone(ChatEvent e, int index, CallState call, int kept)
    {
        if (_sendsPlaceholders && call.Arguments.DropLone()) e.SetText(index, default);
        else call.LonePlace = (e, index, kept);
    }

    /// <summary>The <c>{}</c> that was said stood in for other arguments: it leaves its event, or what is held.</summary>
    private void ReplaceLone(CallState call)
    {
        _sendsPlaceholders = true;
        if (call.LonePlace is ({ } waiting, int at, int kept)) waiting.SetText(at, waiting.Text(waiting.Parts[at])[..kept].ToArray());
        else call.Held?.Truncate(call.HeldBeforeLone);
        call.LonePlace = default;
    }

    private static ChatEvent Edit(ChatEvent e)
    {
        e.MarkEdited();
        return e;
    }
}
