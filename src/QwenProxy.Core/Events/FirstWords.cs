namespace QwenProxy.Core.Events;

/// <summary>
/// The gate before a client's encoder: events that say nothing yet (a role, empty text, comments) wait until one says something. Up to then
/// nothing is committed, so an answer that fails or turns out to be empty may still be asked for again, and the client reads one answer.
/// </summary>
/// <param name="next">The encoder.</param>
/// <param name="limitBytes">More than this is not held, though it says nothing.</param>
/// <param name="opens">Called once, before the first event passes.</param>
public sealed class FirstWords(IEventSink next, int limitBytes, Action opens) : IEventSink, IDisposable
{
    private const int MaxHeldEvents = 64;

    private readonly EventQueue _waiting = new();
    private bool _cutShort;

    /// <summary>The client's answer has begun.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>
    /// Nothing was said and nothing explains it. An answer that had no room (<c>length</c>) or was withheld (<c>content_filter</c>) explains itself.
    /// </summary>
    public bool SaidNothing => !IsOpen && !_cutShort;

    public void Push(ChatEvent chatEvent)
    {
        if (!IsOpen)
        {
            if (!Says(chatEvent) && _waiting.Count < MaxHeldEvents && _waiting.Bytes <= limitBytes)
            {
                _waiting.Add(chatEvent);
                return;
            }

            Open();
        }

        next.Push(chatEvent);
    }

    /// <summary>What waits goes out, whatever it says.</summary>
    public void Open()
    {
        if (IsOpen) return;
        IsOpen = true;
        opens();
        _waiting.Release(next);
    }

    public void Dispose() => _waiting.Dispose();

    private bool Says(ChatEvent e)
    {
        if (e.Kind != EventKind.Chunk) return false;
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (e.Speaks(part)) return true;
            if (part.Kind != PartKind.Finish || part.Removed) continue;
            ReadOnlySpan<byte> reason = e.Text(part);
            _cutShort |= reason.SequenceEqual("length"u8) || reason.SequenceEqual("content_filter"u8);
        }

        return e.SaysOther;
    }
}
