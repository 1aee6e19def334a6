using System.Buffers.Text;
using System.Text.Json;
using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects;

/// <summary>
/// What the readers of the dialects with typed events have in common: the event's <c>type</c> says what it is, an error is a type of its own,
/// calls are numbered in the order they begin, and what nobody knows stays in the bytes.
/// </summary>
public abstract class NativeEventReader : EventReader
{
    /// <summary>No answer has this many calls; past them they are not told apart.</summary>
    private const int MostCalls = 1024;

    /// <summary>The block of each call, in the upstream's counting.</summary>
    private readonly List<int> _calls = [];
    private bool _started;

    protected sealed override EventKind ReadData(ChatEvent chatEvent, bool isError)
    {
        ReadOnlySpan<byte> data = chatEvent.Data.Span;
        if (!IsObject(data)) return Unreadable(chatEvent, isError);
        ByteRange type = JsonScanner.Find(data, "type"u8);
        ReadOnlySpan<byte> name = type.Length > 2 && data[type.Start] == '"' ? data[(type.Start + 1)..(type.End - 1)] : default;
        // Gateways before the service say their errors in shapes of their own, without a type.
        bool flat = name.IsEmpty && (!Member(data, "error"u8).IsEmpty || (!Member(data, "code"u8).IsEmpty && !Member(data, "message"u8).IsEmpty));
        if (isError || flat || name.SequenceEqual("error"u8))
        {
            chatEvent.Error = Member(data, "error"u8);
            if (chatEvent.Error.IsEmpty) chatEvent.Error = new ByteRange(0, data.Length);
            return EventKind.Error;
        }

        // A stream that begins otherwise is none of the dialect's: nothing of it could be passed on or ended in the dialect's own way.
        EventKind kind = name.IsEmpty ? EventKind.Broken : ReadEvent(chatEvent, name, data);
        if (kind is EventKind.Chunk or EventKind.Done)
        {
            if (!_started && chatEvent.Frame.Step != FrameStep.Start) return EventKind.Broken;
            _started = true;
        }

        if (kind == EventKind.Chunk) chatEvent.ChoiceCount = 1;
        return kind;
    }

    public sealed override bool TryToStream(ReadOnlySpan<byte> whole, PooledBytes stream) => IsObject(whole) && TellWhole(whole, stream);

    /// <summary>Tells a whole answer as the events that say the same; false when the object is none.</summary>
    protected abstract bool TellWhole(ReadOnlySpan<byte> whole, PooledBytes stream);

    /// <summary>Notes what an event of this type says.</summary>
    protected abstract EventKind ReadEvent(ChatEvent e, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data);

    /// <summary>A call begins in a block. Returns chat's number of it.</summary>
    protected int BeginCall(int block)
    {
        if (_calls.Count < MostCalls) _calls.Add(block);
        return _calls.Count - 1;
    }

    /// <summary>Chat's number of the call in a block; -1 when the block holds none.</summary>
    protected int CallOf(int block) => _calls.LastIndexOf(block);

    protected bool HasCalls => _calls.Count > 0;

    /// <summary>A member's place; empty when it is absent, null, or <paramref name="data"/> is no object. Places are relative to <paramref name="data"/>.</summary>
    protected static ByteRange Member(ReadOnlySpan<byte> data, ReadOnlySpan<byte> name) => Member(data, new ByteRange(0, data.Length), name);

    /// <summary>A member of the object at <paramref name="of"/>, as a place in all of <paramref name="data"/>.</summary>
    protected static ByteRange Member(ReadOnlySpan<byte> data, ByteRange of, ReadOnlySpan<byte> name)
    {
        if (of.IsEmpty) return default;
        ByteRange found = JsonScanner.Find(of.In(data), name);
        return found.IsEmpty || found.In(of.In(data)).SequenceEqual("null"u8) ? default : found with { Start = of.Start + found.Start };
    }

    /// <summary>True when the JSON string at a place is this text, spelt without escapes.</summary>
    protected static bool Is(ReadOnlySpan<byte> data, ByteRange token, ReadOnlySpan<byte> text) =>
        token.Length == text.Length + 2 && token.In(data)[1..^1].SequenceEqual(text);

    /// <summary>A whole number; null where there is none.</summary>
    protected static long? NumberAt(ReadOnlySpan<byte> data, ByteRange token) =>
        !token.IsEmpty && Utf8Parser.TryParse(token.In(data), out long number, out int read) && read == token.Length ? number : null;

    /// <summary>Adds a text where the value is a string.</summary>
    protected static void AddText(ChatEvent e, PartKind kind, ByteRange value)
    {
        if (value.Length >= 2 && e.Data.Span[value.Start] == '"') e.AddOriginal(new EventPart { Kind = kind, Place = PartPlace.Original, Value = value, ToolIndex = -1 });
    }

    /// <summary>Adds a piece of a call.</summary>
    protected static void AddCall(ChatEvent e, int call, ByteRange id, ByteRange name, ByteRange arguments)
    {
        if (call < 0 || (id.IsEmpty && name.IsEmpty && arguments.IsEmpty)) return;
        e.AddOriginal(new EventPart
        {
            Kind = PartKind.ToolCall,
            Place = PartPlace.Original,
            ToolIndex = call,
            ToolId = id,
            ToolName = name,
            ToolArguments = arguments.Length > 2 ? arguments : default,
        });
    }

    /// <summary>Adds what the dialect says with another word than chat.</summary>
    protected static void AddMeant(ChatEvent e, PartKind kind, ByteRange value, ReadOnlySpan<byte> meaning) =>
        e.AddOriginal(new EventPart { Kind = kind, Place = PartPlace.Original, Value = value, ToolIndex = -1 }, meaning);

    /// <summary>Says the counts as chat would.</summary>
    protected static void TellUsage(ChatEvent e, ByteRange place, in TokenCounts counts)
    {
        e.Usage = place;
        e.TellUsage(counts.ToChatJson());
    }

    /// <summary>The places found by <see cref="JsonScanner"/> are only good in JSON that a reader accepts.</summary>
    private static bool IsObject(ReadOnlySpan<byte> data)
    {
        try
        {
            Utf8JsonReader reader = new(data, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
            while (reader.Read()) continue;
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
