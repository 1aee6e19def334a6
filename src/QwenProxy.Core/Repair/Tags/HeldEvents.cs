using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Tags;

/// <summary>Undecided text inside a held event: from <paramref name="Start"/> of a part's text on.</summary>
internal readonly record struct HeldSpan(int Serial, int Part, int Start, int Length);

/// <summary>
/// Events that wait, whole, until an undecided piece of their text is decided. Holding the event and not only the doubtful bytes is what
/// keeps a false alarm (<c>a &lt; b</c>) byte for byte what upstream sent.
/// </summary>
internal sealed class HeldEvents : IDisposable
{
    private readonly List<Entry> _entries = [];
    private readonly Stack<ChatEvent> _spare = new();
    private int _firstSerial;
    private ChatEvent? _current;

    public int Count => _entries.Count;

    /// <summary>How many pieces of text in the event at hand are undecided.</summary>
    public int OpenHere { get; private set; }

    private int NextSerial => _firstSerial + _entries.Count;

    /// <summary>The event at hand: it is held by <see cref="HoldCurrent"/> when something in it stays undecided.</summary>
    public void Start(ChatEvent current)
    {
        _current = current;
        OpenHere = 0;
    }

    public void Open(List<HeldSpan> spans, int part, int start, int length)
    {
        spans.Add(new HeldSpan(NextSerial, part, start, length));
        OpenHere++;
    }

    public void HoldCurrent()
    {
        ChatEvent copy = _spare.Count > 0 ? _spare.Pop() : ChatEvent.Rent();
        copy.CopyFrom(_current!);
        _entries.Add(new Entry(copy) { OpenSpans = OpenHere });
    }

    /// <summary>The first <paramref name="bytes"/> of the undecided text are text after all.</summary>
    public void Keep(List<HeldSpan> spans, int bytes)
    {
        while (bytes > 0 && spans.Count > 0)
        {
            HeldSpan span = spans[0];
            int taken = Math.Min(bytes, span.Length);
            bytes -= taken;
            if (taken < span.Length) spans[0] = span with { Start = span.Start + taken, Length = span.Length - taken };
            else
            {
                spans.RemoveAt(0);
                Close(span);
            }
        }
    }

    /// <summary>What is still undecided turned out not to be text: it leaves its events.</summary>
    public void Cut(List<HeldSpan> spans)
    {
        using PooledBytes kept = new(64);
        foreach (HeldSpan span in spans)
        {
            ChatEvent held = span.Serial == NextSerial ? _current! : _entries[span.Serial - _firstSerial].Event;
            kept.Clear();
            kept.Write(held.Text(held.Parts[span.Part])[..span.Start]);
            if (kept.Length == 0) held.Remove(span.Part);
            else held.SetText(span.Part, kept.Span);
            Close(span);
        }

        spans.Clear();
    }

    /// <summary>Passes on the events at the front in which nothing is undecided.</summary>
    public void Release(IEventSink next)
    {
        while (_entries.Count > 0 && _entries[0].OpenSpans == 0)
        {
            ChatEvent ready = _entries[0].Event;
            _entries.RemoveAt(0);
            _firstSerial++;
            next.Push(ready);
            _spare.Push(ready);
        }
    }

    public void Dispose()
    {
        foreach (Entry entry in _entries) entry.Event.Dispose();
        foreach (ChatEvent spare in _spare) spare.Dispose();
    }

    private void Close(in HeldSpan span)
    {
        if (span.Serial == NextSerial) OpenHere--;
        else _entries[span.Serial - _firstSerial].OpenSpans--;
    }

    private sealed class Entry(ChatEvent chatEvent)
    {
        public ChatEvent Event => chatEvent;

        public int OpenSpans { get; set; }
    }
}
