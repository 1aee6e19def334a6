using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Says a call once that upstream said twice, once as text and once as a real one, in either order. The second of them, known by its name, waits for
/// its end and goes when its arguments are the same JSON; until then no client could run it anyway. Two real calls, or two in text, are two calls.
/// Put it behind <see cref="ToolDeltaStage"/>, which gives each call its index, id and name.
/// </summary>
/// <param name="context">Gives the report.</param>
/// <param name="mode">On or observe.</param>
/// <param name="isMade">Whether an id is that of a call which was made of text.</param>
public sealed class RepeatedCallStage(RepairContext context, RepairMode mode, Func<string, bool> isMade) : RepairStage, IDisposable
{
    /// <summary>JSON spelled in another way is not much longer: what is, is not the same.</summary>
    private const int SpellingBytes = 256;

    private readonly List<Call> _calls = [];
    private readonly bool _observes = mode == RepairMode.Observe;
    private ChatEvent? _envelope;

    public override string Name => "repeated-calls";

    public override void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind == EventKind.Chunk)
        {
            int count = chatEvent.Parts.Length;
            for (PartPlace place = PartPlace.Before; place <= PartPlace.After; place++)
            {
                for (int i = 0; i < count; i++)
                {
                    EventPart part = chatEvent.Parts[i];
                    if (part.Place != place || part.Removed) continue;
                    if (part.Kind == PartKind.ToolCall) Take(chatEvent, i);
                    else if (part.Kind == PartKind.Finish) DecideAll(chatEvent, part.Choice);
                }
            }
        }

        Next.Push(chatEvent);
    }

    public override void LetGo()
    {
        // Half a call is of no use to a client, so it is no question of time.
    }

    public override void Finish()
    {
        if (_envelope is null) return;
        _envelope.BecomeEnvelope();
        foreach (Call call in _calls) Decide(_envelope, call);
        if (_envelope.Parts.Length > 0) Next.Push(_envelope);
    }

    public void Dispose()
    {
        foreach (Call call in _calls) call.LetGo();
        _envelope?.Dispose();
    }

    private void Take(ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        int upstreamIndex = part.NewToolIndex ?? part.ToolIndex;
        Call call = Find(part.Choice, upstreamIndex) ?? Begin(e, part, upstreamIndex);
        call.Take(e.Text(part));
        if (call.IsWaiting)
        {
            if (!_observes) e.Remove(index);
            if (call.Length > (2 * call.MostBytes) + SpellingBytes) Release(e, call);
        }
        else if (!_observes && call.ShownIndex != upstreamIndex)
        {
            e.Parts[index].NewToolIndex = call.ShownIndex;
            e.MarkEdited();
        }
    }

    private Call? Find(int choice, int upstreamIndex)
    {
        foreach (Call call in _calls)
        {
            if (call.Choice == choice && call.UpstreamIndex == upstreamIndex) return call;
        }

        return null;
    }

    private Call Begin(ChatEvent e, in EventPart part, int upstreamIndex)
    {
        foreach (Call call in _calls)
        {
            // Parallel calls may come in turns: what is not whole yet goes on.
            if (call.Choice == part.Choice && call.IsWhole) Decide(e, call);
        }

        string id = part.NewToolId ?? e.PlainString(part.ToolId);
        Call begun = new(part.Choice, upstreamIndex, id, part.NewToolName ?? e.PlainString(part.ToolName), isMade(id));
        foreach (Call other in _calls)
        {
            if (CanRepeat(begun, other)) begun.MostBytes = Math.Max(begun.MostBytes, other.Length);
        }

        if (begun.MostBytes >= 0) begun.Held = new PooledBytes(256);
        _calls.Add(begun);
        if (!begun.IsWaiting) Show(begun);
        else if (_envelope is null) (_envelope = ChatEvent.Rent()).CopyFrom(e);
        return begun;
    }

    private static bool CanRepeat(Call call, Call other) =>
        other.Choice == call.Choice && other.IsMade != call.IsMade && !other.IsRepeated && !other.IsGone && other.Name == call.Name;

    /// <summary>Calls are counted as the client comes to see them, so that one which goes leaves no gap.</summary>
    private void Show(Call shown)
    {
        foreach (Call call in _calls) shown.ShownIndex += call != shown && call.Choice == shown.Choice && call.ShownIndex >= 0 ? 1 : 0;
        shown.ShownIndex++;
    }

    private void DecideAll(ChatEvent e, int choice)
    {
        foreach (Call call in _calls)
        {
            if (call.Choice == choice) Decide(e, call);
        }
    }

    private void Decide(ChatEvent e, Call call)
    {
        if (!call.IsWaiting) return;
        foreach (Call other in _calls)
        {
            if (!CanRepeat(call, other) || !call.SaysTheSameAs(other)) continue;
            other.IsRepeated = true;
            call.IsGone = true;
            call.LetGo();
            context.Report.Note(Name, "said-twice", _observes ? RepairAction.Observed : RepairAction.Removed, "tools", call.Length);
            return;
        }

        Release(e, call);
    }

    private void Release(ChatEvent e, Call call)
    {
        Show(call);
        if (!_observes) e.Add(PartPlace.Before, PartKind.ToolCall, call.Choice, call.Held!.Span, call.ShownIndex, call.Id, call.Name);
        call.LetGo();
    }

    private sealed class Call(int choice, int upstreamIndex, string id, string name, bool isMade)
    {
        private JsonDigest _digest = new();

        public int Choice => choice;

        public int UpstreamIndex => upstreamIndex;

        public string Id => id;

        public string Name => name;

        public bool IsMade => isMade;

        /// <summary>Arguments that wait.</summary>
        public PooledBytes? Held { get; set; }

        public int Length => _digest.Length;

        public bool IsWhole => _digest.IsWhole;

        /// <summary>The index the client sees; -1 while it sees none.</summary>
        public int ShownIndex { get; set; } = -1;

        /// <summary>How long the arguments are that it may repeat; -1 when there are none.</summary>
        public int MostBytes { get; set; } = -1;

        public bool IsWaiting => Held is not null;

        /// <summary>It was said again, and the second one went: another one is another call.</summary>
        public bool IsRepeated { get; set; }

        public bool IsGone { get; set; }

        public void Take(ReadOnlySpan<byte> arguments)
        {
            _digest.Add(arguments);
            Held?.Write(arguments);
        }

        /// <summary>No arguments at all are the same as an empty object.</summary>
        public bool SaysTheSameAs(Call other) => _digest.IsSame(other._digest) || (Length == 0 && other.Length == 0);

        public void LetGo()
        {
            Held?.Dispose();
            Held = null;
        }
    }
}
