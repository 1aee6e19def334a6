using System.Buffers.Text;
using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects;

/// <summary>
/// An answer that comes from upstream in the client's own dialect. Its frames go on byte for byte; they are read only to know whether the answer
/// is whole, failed or foreign, and what it cost.
/// </summary>
public abstract class NativeAnswer : DownstreamAnswer
{
    public override bool IsStream => true;

    /// <summary>The answer is whole: a cut from here on takes nothing away.</summary>
    public bool IsFinished { get; protected set; }

    /// <summary>What upstream says the answer cost; null until it said so.</summary>
    public TokenCounts? Tokens { get; protected set; }

    /// <summary>After <see cref="EventKind.Error"/>: the error as JSON or text. Borrowed from the frame.</summary>
    public ReadOnlyMemory<byte> ErrorText { get; protected set; }

    /// <summary>
    /// Reads a frame: <see cref="EventKind.Chunk"/> for an event of the dialect, <see cref="EventKind.Done"/> for the one that ends the answer,
    /// <see cref="EventKind.Broken"/> for anything that is none of the dialect's.
    /// </summary>
    public EventKind Read(in SseFrame frame)
    {
        bool namedError = frame.HttpStatus >= 400 || frame.EventName.Span.SequenceEqual("error"u8);
        if (!frame.HasData) return namedError ? Failed(frame.Data) : EventKind.Silent;
        if (namedError) return Failed(frame.Data);
        ReadOnlyMemory<byte> type = TypeOf(frame.Data);
        if (type.IsEmpty) return EventKind.Broken;
        return type.Span.SequenceEqual("error"u8) ? Failed(frame.Data) : ReadEvent(type.Span, frame.Data);
    }

    /// <summary>Native answers are not made of chat events.</summary>
    public override void Push(ChatEvent chatEvent) => throw new NotSupportedException("A native answer is passed on as frames.");

    /// <param name="type">The event's <c>type</c>.</param>
    /// <param name="data">Its JSON object.</param>
    protected abstract EventKind ReadEvent(ReadOnlySpan<byte> type, ReadOnlyMemory<byte> data);

    protected EventKind Failed(ReadOnlyMemory<byte> error)
    {
        ErrorText = error;
        return EventKind.Error;
    }

    /// <summary>A member's number; null when it is absent or no whole number.</summary>
    protected static long? NumberOf(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> value = MemberOf(json, name);
        return Utf8Parser.TryParse(value, out long number, out int read) && read == value.Length ? number : null;
    }

    /// <summary>A member's value as it is spelt; empty when it is absent, null, or <paramref name="json"/> is no object.</summary>
    protected static ReadOnlySpan<byte> MemberOf(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> value = JsonScanner.Find(json, name).In(json);
        return value.SequenceEqual("null"u8) ? default : value;
    }

    /// <summary>The type's text; empty for what is no whole JSON object or has no type.</summary>
    private static ReadOnlyMemory<byte> TypeOf(ReadOnlyMemory<byte> data)
    {
        ReadOnlySpan<byte> json = data.Span;
        ByteRange type = default;
        JsonScanner members = new(json);
        while (members.MoveNext())
        {
            if (members.NameIs("type"u8)) type = members.Value;
        }

        return members.AtEnd() && type.Length > 2 && json[type.Start] == '"' ? data.Slice(type.Start + 1, type.Length - 2) : default;
    }
}
