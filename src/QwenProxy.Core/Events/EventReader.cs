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

    /// <summary>
    /// Gives a whole answer, which some upstreams send to a request for a stream, the form of a stream, so that repair, the dialects and the fold have one
    /// way; reading a second form in each of them was the alternative. False when the text is no answer of this API.
    /// </summary>
    /// <param name="whole">The body of the response.</param>
    /// <param name="stream">Gets the frames.</param>
    public abstract bool TryToStream(ReadOnlySpan<byte> whole, PooledBytes stream);

    /// <summary>Writes a frame. A line end outside a JSON string is white space, and inside one it cannot stand.</summary>
    protected internal static void WriteFrame(PooledBytes stream, ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        if (!name.IsEmpty)
        {
            stream.Write("event: "u8);
            stream.Write(name);
            stream.Write("\n"u8);
        }

        stream.Write("data: "u8);
        data.CopyTo(stream.GetSpan(data.Length));
        Span<byte> line = stream.GetSpan(data.Length)[..data.Length];
        line.Replace((byte)'\n', (byte)' ');
        line.Replace((byte)'\r', (byte)' ');
        stream.Advance(data.Length);
        stream.Write("\n\n"u8);
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
