using QwenProxy.Wire;

namespace QwenProxy.Core.Events;

/// <summary>
/// Reads the frames of one upstream stream into events without allocating: an event keeps places in the frame's bytes, not copies. One reader per
/// wire API; what lies behind it does not know which one it was.
/// </summary>
public abstract class EventReader
{
    /// <summary>The API of the frames.</summary>
    public abstract WireDialect Dialect { get; }

    /// <summary>Reads the next frame. The event borrows the frame's memory.</summary>
    public void Read(in SseFrame frame, ChatEvent chatEvent)
    {
        chatEvent.Take(frame, Dialect);
        bool named = frame.EventName.Span.SequenceEqual("error"u8);
        if (!frame.HasData) chatEvent.Kind = named ? EventKind.Error : EventKind.Silent;
        else if (frame.IsDone) chatEvent.Kind = EventKind.Done;
        else if (!named && frame.HttpStatus < 400 && chatEvent.Shape.TryRead(chatEvent)) chatEvent.Kind = EventKind.Chunk;
        else
        {
            chatEvent.Kind = ReadData(chatEvent, named || frame.HttpStatus >= 400);
            chatEvent.Shape.Learn(chatEvent);
        }
    }

    /// <summary>Reads the event's data, which is not empty.</summary>
    /// <param name="chatEvent">Reset, with its bytes.</param>
    /// <param name="isError">The frame calls itself an error.</param>
    protected abstract EventKind ReadData(ChatEvent chatEvent, bool isError);

    /// <summary>What data is that is no JSON object: nothing, a broken event, or an error whose text is the message.</summary>
    protected static EventKind Unreadable(ChatEvent chatEvent, bool isError)
    {
        ReadOnlySpan<byte> data = chatEvent.Data.Span;
        if (!isError) return data.Trim(" \t\r\n"u8).IsEmpty ? EventKind.Silent : EventKind.Broken;
        chatEvent.Error = new ByteRange(0, data.Length);
        return EventKind.Error;
    }
}
