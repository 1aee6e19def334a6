namespace QwenProxy.Core.Repair.ToolCalls;

internal enum CallMatch
{
    /// <summary>A piece of a call that is known.</summary>
    Continues,

    /// <summary>The first piece of a call.</summary>
    Begins,

    /// <summary>A call that was complete, said again.</summary>
    Replayed,

    /// <summary>Nothing tells which call it belongs to.</summary>
    Unknown,
}

/// <summary>The calls of a stream, and the rules by which a piece finds its call.</summary>
internal sealed class CallBook
{
    private readonly List<CallState> _calls = [];

    public IReadOnlyList<CallState> Calls => _calls;

    public CallMatch Find(int choice, in CallPart part, bool hasArguments, out CallState? call)
    {
        if (!part.Id.IsEmpty && WithId(choice, part.Id) is { } known)
        {
            call = known;
            return known.IsComplete && hasArguments ? CallMatch.Replayed : CallMatch.Continues;
        }

        call = part.Index >= 0 ? Last(choice, part.Index) : Last(choice, null);
        if (call is null)
        {
            // A continuation under an index nobody used: it can only mean the call that is still open.
            call = Last(choice, null);
            if (part.Id.IsEmpty && part.Name.IsEmpty) return call is { IsComplete: false } ? CallMatch.Continues : CallMatch.Unknown;
            return CallMatch.Begins;
        }

        if (!part.Id.IsEmpty) return IsLateId(call, part) ? CallMatch.Continues : CallMatch.Begins;
        if (part.Name.IsEmpty) return call is { IsComplete: true, NextAnnounced: true } && hasArguments ? CallMatch.Begins : CallMatch.Continues;
        if (BeginsByName(call, part, hasArguments)) return CallMatch.Begins;
        call.NextAnnounced = call.IsComplete;
        return CallMatch.Continues;
    }

    public CallState Begin(int choice, in CallPart part)
    {
        CallState begun = new(choice, part.Index);
        begun.SetId(part.Id);
        begun.SetName(part.Name.IsEmpty && Last(choice, part.Index) is { NextAnnounced: true } before ? before.Name : part.Name);
        _calls.Add(begun);
        return begun;
    }

    /// <summary>Calls are counted as the client comes to see them, so that one which never gets a name leaves no gap.</summary>
    public void Show(CallState shown)
    {
        int count = 0;
        foreach (CallState call in _calls) count += call.Choice == shown.Choice && call.IsShown ? 1 : 0;
        shown.ShowAs(count);
    }

    /// <summary>The call had to do without an id, and now one comes for it.</summary>
    private static bool IsLateId(CallState call, in CallPart part)
    {
        if (!call.Id.IsEmpty) return false;
        return part.Name.IsEmpty || (!call.IsComplete && (call.Name.IsEmpty || call.Name.SequenceEqual(part.Name)));
    }

    /// <summary>
    /// A name alone begins another call when the one before is complete; before it has any arguments, only another name does. While
    /// arguments are open a name is a repetition, whatever it says: two calls are never written into each other.
    /// </summary>
    private static bool BeginsByName(CallState call, in CallPart part, bool hasArguments)
    {
        if (call.IsComplete) return hasArguments || !call.Name.SequenceEqual(part.Name);
        return !call.HasArguments && !call.Name.IsEmpty && !call.Name.SequenceEqual(part.Name);
    }

    private CallState? WithId(int choice, ReadOnlySpan<byte> id)
    {
        foreach (CallState call in _calls)
        {
            if (call.Choice == choice && call.Id.SequenceEqual(id)) return call;
        }

        return null;
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
