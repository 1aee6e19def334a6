using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

internal enum CallMatch
{
    /// <summary>A piece of a call that is known.</summary>
    Continues,

    /// <summary>The first piece of a call.</summary>
    Begins,

    /// <summary>It says nothing, and nothing tells which call it belongs to.</summary>
    Unknown,
}

/// <summary>The calls of a stream, and the rules by which a piece finds its call.</summary>
internal sealed class CallBook(RepairContext context, CallNotes notes, Func<string> mintId)
{
    private readonly List<CallState> _calls = [];

    /// <summary>The list itself, so that walking it allocates nothing.</summary>
    public List<CallState> Calls => _calls;

    public CallMatch Find(int choice, in CallPart part, ReadOnlySpan<byte> arguments, out CallState? call)
    {
        ReadOnlySpan<byte> said = arguments.Trim(" \t\r\n"u8);
        // Brackets behind complete arguments are no beginning of other ones.
        bool opens = !said.IsEmpty && said[0] is not ((byte)'}' or (byte)']');
        call = part.Id.IsEmpty ? null : WithId(choice, part.Id, part.Index);
        if (call is not null) return IsAnother(call, part, opens) ? CallMatch.Begins : CallMatch.Continues;
        call = part.Index >= 0 ? Last(choice, part.Index) : Last(choice, null);
        if (call is null) return FindElsewhere(choice, part, said, out call);
        if (!part.Id.IsEmpty) return IsLateId(call, part) || GoesOn(call, part, said) ? CallMatch.Continues : CallMatch.Begins;
        if (part.Name.IsEmpty) return call is { Arguments.IsWhole: true, NextAnnounced: true } && opens ? CallMatch.Begins : CallMatch.Continues;
        if (BeginsByName(call, part, opens)) return CallMatch.Begins;
        call.NextAnnounced = call.Arguments.IsWhole && call.Name.SequenceEqual(part.Name);
        return CallMatch.Continues;
    }

    public CallState Begin(int choice, in CallPart part, CallArguments arguments)
    {
        CallState begun = new(choice, part.Index, arguments);
        begun.SharesId = !part.Id.IsEmpty && WithId(choice, part.Id, part.Index) is not null;
        begun.SetId(part.Id);
        begun.SetName(part.Name.IsEmpty && part.Id.IsEmpty && Last(choice, part.Index) is { NextAnnounced: true } before ? before.Name : part.Name);
        _calls.Add(begun);
        return begun;
    }

    /// <summary>The call that stands before a new one under the same index.</summary>
    public CallState? Before(CallState begun)
    {
        for (int i = _calls.Count - 1; i >= 0; i--)
        {
            CallState call = _calls[i];
            if (call != begun && call.Choice == begun.Choice && (begun.UpstreamIndex < 0 || call.UpstreamIndex == begun.UpstreamIndex)) return call;
        }

        return null;
    }

    /// <summary>The earlier call that this one may be said again, by all that has come; null when it is a call of its own.</summary>
    public CallState? MayBeAgain(CallState call)
    {
        if (!call.SharesId) return null;
        foreach (CallState earlier in _calls)
        {
            if (earlier == call) return null;
            if (earlier.Choice != call.Choice || !earlier.Id.SequenceEqual(call.Id) || !earlier.Name.SequenceEqual(call.Name)) continue;
            if (earlier.Arguments.MayBe(call.Arguments)) return earlier;
        }

        return null;
    }

    /// <summary>
    /// The client is about to see the call: it gets an id where upstream gave none or one that is taken, and its index. Calls are counted as the
    /// client comes to see them, so that one which never gets a name leaves no gap.
    /// </summary>
    public void Reveal(CallState shown)
    {
        string? rule = shown.Id.IsEmpty ? "id-minted" : IsTaken(shown) ? "id-taken" : null;
        int count = 0;
        foreach (CallState call in _calls) count += call.Choice == shown.Choice && call.IsShown ? 1 : 0;
        shown.ShowAs(count);
        if (rule is null) return;
        shown.MintedId = mintId();
        notes.Note(rule, rule == "id-minted" ? RepairAction.Added : RepairAction.Rewritten, 0);
    }

    /// <summary>Another call of this answer or of the conversation has this id: a client that pairs results by id would take the wrong one.</summary>
    private bool IsTaken(CallState shown)
    {
        foreach (CallState call in _calls)
        {
            if (call != shown && call.IsShown && call.MintedId is null && call.Id.SequenceEqual(shown.Id)) return true;
        }

        return StandsInHistory(shown.Id);
    }

    /// <summary>Looks for the member <c>id</c> or <c>tool_call_id</c> with this value. Quotes inside a text are escaped there, so a text is none.</summary>
    private bool StandsInHistory(ReadOnlySpan<byte> id)
    {
        ReadOnlySpan<byte> rest = context.Messages.Span;
        if (rest.IsEmpty) return false;
        using PooledBytes value = new(id.Length + 8);
        JsonText.WriteString(id, value);
        for (int at = rest.IndexOf(value.Span); at >= 0; at = rest.IndexOf(value.Span))
        {
            ReadOnlySpan<byte> name = rest[..at].TrimEnd(" \t\r\n"u8);
            if (name is [.., (byte)':'] && name[..^1].TrimEnd(" \t\r\n"u8).EndsWith("id\""u8)) return true;
            rest = rest[(at + value.Length)..];
        }

        return false;
    }

    /// <summary>Upstream gave one id to two calls, or says a finished call again: which it is shows when its arguments come.</summary>
    private bool IsAnother(CallState known, in CallPart part, bool opens)
    {
        if (part.Name.IsEmpty) return false;
        if (part.Index >= 0 && known.UpstreamIndex >= 0 && part.Index != known.UpstreamIndex) return true;
        return known.Arguments is { IsWhole: true, IsLone: false } && opens && !known.Name.IsEmpty && known.JoinName(part.Name, context.DeclaredTools) is null;
    }

    /// <summary>Nothing was said under this index. A head belongs to arguments that came before it without an index; a continuation under a
    /// foreign index can only mean the call that is still open; arguments alone begin a call whose head comes later.</summary>
    private CallMatch FindElsewhere(int choice, in CallPart part, ReadOnlySpan<byte> said, out CallState? call)
    {
        call = Last(choice, null);
        bool isHead = !part.Id.IsEmpty || !part.Name.IsEmpty;
        if (call is null || (call.Id.IsEmpty && call.Name.IsEmpty && call.UpstreamIndex >= 0)) return isHead || !said.IsEmpty ? CallMatch.Begins : CallMatch.Unknown;
        if (isHead) return (call.Name.IsEmpty && call.Id.IsEmpty) || (part.Id.IsEmpty && GoesOn(call, part, said)) ? CallMatch.Continues : CallMatch.Begins;
        if (!call.Arguments.IsWhole) return CallMatch.Continues;
        return said.IsEmpty ? CallMatch.Unknown : CallMatch.Begins;
    }

    /// <summary>Some upstreams give every piece an id or an index of its own: what can only be more of open arguments begins no call.</summary>
    private static bool GoesOn(CallState call, in CallPart part, ReadOnlySpan<byte> said)
    {
        if (call.Name.IsEmpty || call.Arguments.IsWhole || said.IsEmpty) return false;
        return part.Name.IsEmpty || (call.Arguments.HasAny && said[0] != '{' && part.Name.SequenceEqual(call.Name));
    }

    /// <summary>The call had to do without an id, and now one comes for it.</summary>
    private static bool IsLateId(CallState call, in CallPart part)
    {
        if (!call.Id.IsEmpty) return false;
        return part.Name.IsEmpty || call.Name.IsEmpty || (!call.Arguments.IsWhole && call.Name.SequenceEqual(part.Name));
    }

    /// <summary>
    /// A name alone begins another call when the one before is complete; before it has any arguments, only another name does that is no more of
    /// the first. While arguments are open a name is a repetition, whatever it says: two calls are never written into each other.
    /// </summary>
    private bool BeginsByName(CallState call, in CallPart part, bool opens)
    {
        if (call.Name.IsEmpty || call.JoinName(part.Name, context.DeclaredTools) is not null) return false;
        bool isOther = !call.Name.SequenceEqual(part.Name);
        if (call.Arguments.IsWhole) return isOther || (opens && (call.Id.IsEmpty || !call.Arguments.IsLone));
        return isOther && !call.Arguments.HasAny;
    }

    private CallState? WithId(int choice, ReadOnlySpan<byte> id, int index)
    {
        CallState? known = null;
        foreach (CallState call in _calls)
        {
            if (call.Choice == choice && call.Id.SequenceEqual(id) && (known is null || known.UpstreamIndex != index || call.UpstreamIndex == index)) known = call;
        }

        return known;
    }

    private CallState? Last(int choice, int? upstreamIndex)
    {
        for (int i = _calls.Count - 1; i >= 0; i--)
        {
            if (_calls[i].Choice == choice && (upstreamIndex is null || _calls[i].UpstreamIndex == upstreamIndex)) return _calls[i];
        }

        return null;
    }
}
