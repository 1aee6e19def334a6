using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair.Stutter;

public enum StutterMode : byte
{
    /// <summary>Nothing is looked at.</summary>
    Off,

    /// <summary>Decide and count, edit and hold nothing.</summary>
    Observe,

    /// <summary>Act on proof from outside the text: evidence E1 to E4.</summary>
    Safe,

    /// <summary>Act on all evidence.</summary>
    Auto,
}

/// <summary>A channel's state, under the names the logs use.</summary>
internal enum StutterState : byte
{
    /// <summary>Nothing, or only a first delta, has come.</summary>
    Initial,

    /// <summary>The text is being restated: proven.</summary>
    Stuttering,

    /// <summary>Refuted, or over: text passes through.</summary>
    NormalFlow,

    /// <summary>A delta looks like a restatement and nothing proves it yet.</summary>
    Recovering,

    /// <summary>The channel has ended.</summary>
    Terminating,
}

/// <summary>A part that waits in the queue: under the restating reading only what follows <see cref="Keep"/> is new.</summary>
internal readonly record struct HeldPart(long Event, int Part, int Keep, int Bytes);

/// <summary>
/// What all channels of one stream share: the settings, the report, and the events that wait for a decision. Whole events wait, not texts:
/// one that is let go must go out in the bytes it came in, at its place among the others.
/// </summary>
internal sealed class StutterRun(RepairContext context, StutterMode mode)
{
    public const string StageName = "stutter";

    private readonly List<Waiting> _queue = new(4);
    private readonly Stack<ChatEvent> _spare = new(4);
    private long _headEvent;
    private int _currentOpen;
    private ChatEvent _current = null!;

    public RepairContext Context => context;

    public StutterMode Mode => mode;

    public int Count => _queue.Count;

    public int HeldBytes { get; private set; }

    /// <summary>Waiting events with text; comments and empty deltas wait behind them but say nothing.</summary>
    public int HeldTexts { get; private set; }

    public long RawBytes { get; set; }

    public long RemovedBytes { get; private set; }

    /// <summary>Milliseconds since the event before; negative when the driver measures no time.</summary>
    public long GapMilliseconds { get; private set; } = -1;

    private long LastArrival { get; set; }

    public void Begin(ChatEvent current)
    {
        _current = current;
        _currentOpen = 0;
        GapMilliseconds = LastArrival > 0 ? context.ArrivalMilliseconds - LastArrival : -1;
        LastArrival = context.ArrivalMilliseconds;
    }

    public HeldPart Hold(int part, int keep, int bytes)
    {
        _currentOpen++;
        return new HeldPart(_headEvent + _queue.Count, part, keep, bytes);
    }

    /// <summary>A held part is decided: cut when restatement was proven, else left as it came.</summary>
    public void Settle(in HeldPart held, bool proven, string rule, string channel, string detail)
    {
        int place = (int)(held.Event - _headEvent);
        bool inQueue = mode != StutterMode.Observe && place < _queue.Count;
        if (inQueue) _queue[place] = _queue[place] with { Open = _queue[place].Open - 1 };
        else _currentOpen--;
        if (proven) Cut(inQueue ? _queue[place].Event : _current, held.Part, held.Keep, rule, channel, detail);
    }

    public void CutCurrent(int part, int keep, string rule, string channel, string detail) => Cut(_current, part, keep, rule, channel, detail);

    /// <summary>Takes a whole part out, with a tool call's id and name: its event was sent before.</summary>
    public void Drop(int part, int bytes, string rule, string channel, string detail)
    {
        Note(rule, RepairAction.Removed, channel, bytes, detail);
        if (mode == StutterMode.Observe) return;
        RemovedBytes += bytes;
        _current.Remove(part);
    }

    public void Note(string rule, RepairAction action, string channel, int bytes, string? detail) =>
        context.Report.Note(StageName, rule, mode == StutterMode.Observe ? RepairAction.Observed : action, channel, bytes, detail);

    /// <summary>Passes on what is decided, in order, then the current event or a copy of it into the queue.</summary>
    public void Pass(ChatEvent current, IEventSink next, int textBytes)
    {
        FlushReady(next);
        if (mode == StutterMode.Observe || (_queue.Count == 0 && _currentOpen == 0))
        {
            next.Push(current);
            return;
        }

        ChatEvent copy = _spare.Count > 0 ? _spare.Pop() : ChatEvent.Rent();
        copy.CopyFrom(current);
        _queue.Add(new Waiting(copy, _currentOpen, textBytes));
        HeldBytes += textBytes;
        if (textBytes > 0) HeldTexts++;
    }

    public void FlushReady(IEventSink next)
    {
        int ready = 0;
        while (ready < _queue.Count && _queue[ready].Open == 0)
        {
            next.Push(_queue[ready].Event);
            HeldBytes -= _queue[ready].TextBytes;
            if (_queue[ready].TextBytes > 0) HeldTexts--;
            _spare.Push(_queue[ready].Event);
            ready++;
        }

        _queue.RemoveRange(0, ready);
        _headEvent += ready;
    }

    public void Release()
    {
        foreach (Waiting waiting in _queue) waiting.Event.Dispose();
        while (_spare.Count > 0) _spare.Pop().Dispose();
        _queue.Clear();
    }

    private void Cut(ChatEvent e, int part, int keep, string rule, string channel, string detail)
    {
        if (keep == 0) return;
        Note(rule, RepairAction.Removed, channel, keep, detail);
        if (mode == StutterMode.Observe) return;
        RemovedBytes += keep;
        ref readonly EventPart cut = ref e.Parts[part];
        ReadOnlySpan<byte> rest = e.Text(cut)[keep..];
        bool speaks = cut.Kind == PartKind.ToolCall && (cut.ToolId.Length > 2 || cut.ToolName.Length > 2);
        if (rest.IsEmpty && !speaks) e.Remove(part);
        else e.SetText(part, rest);
    }

    private readonly record struct Waiting(ChatEvent Event, int Open, int TextBytes);
}
