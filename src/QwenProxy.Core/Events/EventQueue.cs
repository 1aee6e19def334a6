namespace QwenProxy.Core.Events;

/// <summary>Events that wait, with bytes of their own, in the order they came.</summary>
internal sealed class EventQueue : IDisposable
{
    private readonly List<ChatEvent> _events = [];
    private readonly Stack<ChatEvent> _spare = new();

    public int Count => _events.Count;

    /// <summary>What the waiting events hold in memory.</summary>
    public long Bytes { get; private set; }

    public ChatEvent this[int index] => _events[index];

    public ChatEvent Add(ChatEvent borrowed)
    {
        ChatEvent copy = _spare.Count > 0 ? _spare.Pop() : ChatEvent.Rent();
        copy.CopyFrom(borrowed);
        _events.Add(copy);
        Bytes += borrowed.Raw.Length;
        return copy;
    }

    /// <summary>Passes all of them on.</summary>
    public void Release(IEventSink next)
    {
        foreach (ChatEvent ready in _events)
        {
            next.Push(ready);
            _spare.Push(ready);
        }

        _events.Clear();
        Bytes = 0;
    }

    public void Dispose()
    {
        foreach (ChatEvent held in _events) held.Dispose();
        foreach (ChatEvent spare in _spare) spare.Dispose();
        _events.Clear();
        _spare.Clear();
    }
}
