using System.Text;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Puts tool calls together from pieces that come in any order, and gives every piece the index, id and name that clients rely on. A healthy call
/// passes untouched while it streams. What is undecided waits: arguments before their name, an event with a lone <c>{}</c> or with a name that
/// may go on, until the next event that says something; the rest is decided when the choice ends.
/// </summary>
/// <param name="context">Gives the request, the limit and the report.</param>
/// <param name="mode">On or observe.</param>
/// <param name="mintId">A new tool call id, e.g. <c>call_…</c>, different each time.</param>
public sealed class ToolDeltaStage(RepairContext context, RepairMode mode, Func<string> mintId) : RepairStage, IDisposable
{
    private const int MaxWaitingEvents = 256;

    private readonly EventQueue _queue = new();
    private readonly bool _observes = mode == RepairMode.Observe;
    private ChatEvent? _shadow;
    private CallAssembler? _calls;

    public override string Name => "tool-deltas";

    /// <inheritdoc/>
    /// <remarks>Half a call is of no use to a client, so none of it is a question of time.</remarks>
    public override bool IsHolding => false;

    /// <summary>A call that upstream called finished has arguments that are no JSON.</summary>
    public bool HasBrokenArguments { get; private set; }

    /// <summary>The answer passes as it is, broken arguments and all.</summary>
    public void NotePassed()
    {
        if (HasBrokenArguments) _calls!.Note("broken-arguments", RepairAction.Passed, 0);
    }

    /// <remarks>An observing stage decides on a copy that nobody reads.</remarks>
    public override void Push(ChatEvent chatEvent)
    {
        if (!_observes)
        {
            Take(chatEvent);
            return;
        }

        if (_calls is not null || HasCall(chatEvent))
        {
            _shadow ??= ChatEvent.Rent();
            _shadow.CopyFrom(chatEvent);
            Take(_shadow);
        }

        Next.Push(chatEvent);
    }

    public override void LetGo()
    {
        // Nothing here waits for time; see IsHolding.
    }

    public override void Finish()
    {
        _calls?.SettleAll(null);
        _queue.Release(Sink);
        if (_calls?.End() is { } last) Sink.Push(last);
    }

    public void Dispose()
    {
        _calls?.Dispose();
        _queue.Dispose();
        _shadow?.Dispose();
    }

    private IEventSink Sink => _observes ? Nowhere.Instance : Next;

    private static bool HasCall(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Kind == PartKind.ToolCall) return true;
        }

        return false;
    }

    private void Take(ChatEvent e)
    {
        if (e.Kind == EventKind.Chunk)
        {
            int count = e.Parts.Length;
            for (PartPlace place = PartPlace.Before; place <= PartPlace.After; place++)
            {
                for (int i = 0; i < count; i++) Visit(e, i, place);
            }

            if (MustWait(e)) return;
            _queue.Release(Sink);
        }
        else if (e.Kind != EventKind.Silent) Finish();

        Sink.Push(e);
    }

    private void Visit(ChatEvent e, int index, PartPlace place)
    {
        EventPart part = e.Parts[index];
        if (part.Place != place || part.Removed) return;
        if (part.Kind == PartKind.ToolCall) (_calls ??= new CallAssembler(context, _observes, mintId)).Take(e, index);
        else if (_calls is null) return;
        else if (part.Kind == PartKind.Finish) VisitFinish(_calls, e, index);
        else if (part.Kind is PartKind.Content or PartKind.Reasoning && !e.Text(part).IsEmpty) _calls.SettleAll(null);
    }

    /// <summary>The event waits when something in it or before it is undecided.</summary>
    private bool MustWait(ChatEvent e)
    {
        if (_calls is not { Waits: true }) return false;
        if (_queue.Count < MaxWaitingEvents)
        {
            _calls.Moved(e, _queue.Add(e));
            return true;
        }

        _calls.SettleAll(null);
        return false;
    }

    private void VisitFinish(CallAssembler calls, ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        ReadOnlySpan<byte> reason = e.Text(part);
        bool isCalls = reason.SequenceEqual("tool_calls"u8) || reason.SequenceEqual("function_call"u8);
        bool claimsWhole = isCalls || reason.SequenceEqual("stop"u8);
        CallsEnd end = calls.End(e, part.Choice, claimsWhole);
        HasBrokenArguments |= end.HasBroken && !_observes;
        if (!claimsWhole) return;
        string? right = end.HasUnfinished ? "length" : end.HasCalls && !isCalls ? "tool_calls" : end is { HasCalls: false, HasDropped: true } && isCalls ? "stop" : null;
        if (right is null) return;
        calls.Note(end.HasUnfinished ? "unfinished-arguments" : "finish-of-calls", RepairAction.Rewritten, 0);
        e.SetText(index, Encoding.ASCII.GetBytes(right));
    }

    private sealed class Nowhere : IEventSink
    {
        public static readonly Nowhere Instance = new();

        public void Push(ChatEvent chatEvent)
        {
            // An observing stage has decided; what it would have said is nobody's.
        }
    }
}
