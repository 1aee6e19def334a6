using System.Runtime.InteropServices;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Events;

public enum EventKind : byte
{
    /// <summary>Comments or blank lines only.</summary>
    Silent,

    /// <summary>A chunk of an answer.</summary>
    Chunk,

    /// <summary>An error object inside the stream.</summary>
    Error,

    /// <summary>The terminal marker.</summary>
    Done,

    /// <summary>Data that is not a JSON object: the text it carried is lost.</summary>
    Broken,
}

/// <summary>
/// One decoded upstream event: what it says, as parts, over the bytes it came in. It is borrowed: the next decode reuses it, and whoever
/// wants to keep it copies it with <see cref="CopyFrom"/>. Parts may be edited; an event nobody edited is written as it came.
/// </summary>
public sealed partial class ChatEvent : IDisposable
{
    private readonly List<EventPart> _parts = new(2);
    private readonly PooledBytes _edits = new(256);
    private readonly PooledBytes _scratch = new(256);
    private PooledBytes? _copy;
    private EventShape? _shape;
    private ByteRange _usage;

    public EventKind Kind { get; internal set; }

    /// <summary>The wire API of <see cref="Raw"/>.</summary>
    public WireDialect Dialect { get; internal set; }

    /// <summary>The frame's place among the others of its stream.</summary>
    public FrameMark Frame { get; internal set; }

    /// <summary>Nothing follows this event: it is the last one, although it says something.</summary>
    public bool EndsStream { get; internal set; }

    /// <summary>The frame's bytes as they came, with its blank line.</summary>
    public ReadOnlyMemory<byte> Raw { get; internal set; }

    /// <summary>The frame's JSON text.</summary>
    public ReadOnlyMemory<byte> Data { get; internal set; }

    /// <summary>Where <see cref="Data"/> starts in <see cref="Raw"/>; -1 when it was joined from several lines.</summary>
    public int DataOffset { get; internal set; }

    /// <summary>The frame's <c>id:</c>, empty when absent. Borrowed like the rest.</summary>
    public ReadOnlyMemory<byte> FrameId { get; internal set; }

    /// <summary>The status of a <c>:HTTP_STATUS/429</c> line; 0 when absent.</summary>
    public int HttpStatus { get; internal set; }

    public ByteRange Id { get; internal set; }

    public ByteRange Model { get; internal set; }

    /// <summary>The value of <c>choices</c>; empty when the event has none.</summary>
    public ByteRange Choices { get; internal set; }

    /// <summary>How many items <c>choices</c> holds.</summary>
    public int ChoiceCount { get; internal set; }

    /// <summary>The <c>usage</c> object in the upstream's own words; empty when absent or null. What it says is <see cref="UsageJson"/>.</summary>
    public ByteRange Usage { get; internal set; }

    /// <summary>The usage report as chat writes it; empty when the event brings none. Valid until the event is changed.</summary>
    public ReadOnlySpan<byte> UsageJson => IsEnvelope ? default : _usage.IsEmpty ? Usage.In(Data.Span) : _usage.In(_edits.Span);

    /// <summary>Another report stands in the place of the upstream's.</summary>
    public bool HasNewUsage { get; private set; }

    /// <summary>The <c>error</c> value, or the whole object where the error is flat; empty when there is none.</summary>
    public ByteRange Error { get; internal set; }

    /// <summary>The <c>logprobs</c> object of the first choice; empty when absent or null. A stage that edits the text removes it.</summary>
    public ByteRange Logprobs { get; internal set; }

    /// <summary>True when the first choice's keys came in the order the serialiser uses for the very first event (see stutter evidence E3).</summary>
    public bool FinishReasonFirst { get; internal set; }

    /// <summary>A choice says something that is none of the parts: <c>audio</c>, <c>function_call</c>, a vendor's own field.</summary>
    public bool SaysOther { get; internal set; }

    /// <summary>True once a stage changed anything: the raw bytes no longer tell what the event says.</summary>
    public bool Edited { get; private set; }

    /// <summary>True when the event only lends its envelope (id, model, …) to parts of a stage's making: its own words were said before.</summary>
    public bool IsEnvelope { get; private set; }

    public Span<EventPart> Parts => CollectionsMarshal.AsSpan(_parts);

    /// <summary>A usage report that belongs to no choice: the event clients see only when they asked for it.</summary>
    public bool IsUsageOnly => Kind == EventKind.Chunk && ChoiceCount == 0 && !Usage.IsEmpty;

    /// <summary>The part's text in plain UTF-8 (for a tool call: its arguments). Valid until the next call of this method or the next decode.</summary>
    public ReadOnlySpan<byte> Text(in EventPart part)
    {
        if (part.HasNewText) return part.NewText.In(_edits.Span);
        if (!part.Meaning.IsEmpty) return part.Meaning.In(_edits.Span);
        return Plain(part.Kind == PartKind.ToolCall ? part.ToolArguments : part.Value);
    }

    /// <summary>The plain UTF-8 of a JSON string token in <see cref="Data"/>; empty for anything else. Same lifetime as <see cref="Text"/>.</summary>
    public ReadOnlySpan<byte> Plain(ByteRange token)
    {
        if (token.Length < 2) return default;
        ReadOnlySpan<byte> json = token.In(Data.Span);
        if (json[0] != '"') return default;
        ReadOnlySpan<byte> inside = json[1..^1];
        if (inside.IndexOf((byte)'\\') < 0) return inside;
        _scratch.Clear();
        JsonText.Unescape(inside, _scratch);
        return _scratch.Span;
    }

    /// <summary>The part is words: text, thinking, or anything of a tool call. By the length of the JSON tokens: two quotes are no text.</summary>
    public bool Speaks(in EventPart part) => !part.Removed && part.Kind switch
    {
        PartKind.Content or PartKind.Reasoning => part.HasNewText ? part.NewText.Length > 0 : part.Value.Length > 2,
        PartKind.ToolCall => (part.HasNewText ? part.NewText.Length > 0 : part.ToolArguments.Length > 2) || part.ToolName.Length > 2 || !string.IsNullOrEmpty(part.NewToolName),
        _ => false,
    };

    public string PlainString(ByteRange token) => Encoding.UTF8.GetString(Plain(token));

    /// <summary>Puts other words in a part's place.</summary>
    public void SetText(int part, ReadOnlySpan<byte> utf8)
    {
        int start = _edits.Length;
        _edits.Write(utf8);
        Span<EventPart> parts = Parts;
        parts[part].NewText = new ByteRange(start, utf8.Length);
        parts[part].HasNewText = true;
        Edited = true;
    }

    public void Remove(int part)
    {
        Parts[part].Removed = true;
        Edited = true;
    }

    /// <summary>Puts another report, in chat's words, in the place of the upstream's.</summary>
    public void SetUsage(ReadOnlySpan<byte> usage)
    {
        TellUsage(usage);
        HasNewUsage = Edited = true;
    }

    /// <summary>Marks the event as changed after a stage wrote to a part's own fields (tool id, name, index).</summary>
    public void MarkEdited() => Edited = true;

    /// <summary>Adds a part of a stage's own making. Several parts of one place are said in the order they were added.</summary>
    public void Add(PartPlace place, PartKind kind, int choice, ReadOnlySpan<byte> text, int? toolIndex = null, string? toolId = null, string? toolName = null)
    {
        int start = _edits.Length;
        _edits.Write(text);
        _parts.Add(new EventPart
        {
            Kind = kind,
            Place = place,
            Choice = choice,
            ToolIndex = -1,
            HasNewText = true,
            NewText = new ByteRange(start, text.Length),
            NewToolIndex = toolIndex,
            NewToolId = toolId,
            NewToolName = toolName,
        });
        Edited = true;
    }

    /// <summary>Takes over another event, with bytes of its own, so that it may be held.</summary>
    public void CopyFrom(ChatEvent other)
    {
        Reset();
        _copy ??= new PooledBytes(other.Raw.Length + 64);
        _copy.Clear();
        _copy.Write(other.Raw.Span);
        int dataStart = other.DataOffset >= 0 ? other.DataOffset : _copy.Length;
        if (other.DataOffset < 0) _copy.Write(other.Data.Span);
        int idStart = _copy.Length;
        _copy.Write(other.FrameId.Span);
        ReadOnlyMemory<byte> all = _copy.Memory;
        Raw = all[..other.Raw.Length];
        Data = all.Slice(dataStart, other.Data.Length);
        FrameId = all.Slice(idStart, other.FrameId.Length);
        Kind = other.Kind;
        Dialect = other.Dialect;
        Frame = other.Frame;
        EndsStream = other.EndsStream;
        HasNewUsage = other.HasNewUsage;
        _usage = other._usage;
        DataOffset = other.DataOffset;
        HttpStatus = other.HttpStatus;
        Id = other.Id;
        Model = other.Model;
        Choices = other.Choices;
        ChoiceCount = other.ChoiceCount;
        Usage = other.Usage;
        Error = other.Error;
        Logprobs = other.Logprobs;
        FinishReasonFirst = other.FinishReasonFirst;
        SaysOther = other.SaysOther;
        Edited = other.Edited;
        IsEnvelope = other.IsEnvelope;
        _parts.AddRange(other._parts);
        _edits.Write(other._edits.Span);
    }

    /// <summary>Drops what the event said and keeps its envelope, for words that a stage says when no event is at hand.</summary>
    public void BecomeEnvelope()
    {
        _parts.Clear();
        _edits.Clear();
        _usage = default;
        HasNewUsage = EndsStream = false;
        IsEnvelope = Edited = true;
    }

    /// <summary>Begins anew with a frame's bytes; what they say is the reader's to fill in.</summary>
    internal void Take(in SseFrame frame, WireDialect dialect)
    {
        Reset();
        Dialect = dialect;
        Raw = frame.Raw;
        Data = frame.Data;
        DataOffset = frame.DataOffset;
        FrameId = frame.Id;
        HttpStatus = frame.HttpStatus;
    }

    /// <summary>Notes in chat's words what the event's usage says.</summary>
    internal void TellUsage(ReadOnlySpan<byte> usage)
    {
        _usage = new ByteRange(_edits.Length, usage.Length);
        _edits.Write(usage);
    }

    /// <summary>Adds a part of the frame whose value has another word in chat's dialect.</summary>
    internal void AddOriginal(EventPart part, ReadOnlySpan<byte> meaning)
    {
        part.Meaning = new ByteRange(_edits.Length, meaning.Length);
        _edits.Write(meaning);
        _parts.Add(part);
    }

    internal void Reset()
    {
        _parts.Clear();
        _edits.Clear();
        Edited = IsEnvelope = HasNewUsage = EndsStream = false;
        Kind = EventKind.Silent;
        Frame = new FrameMark { Index = -1 };
        _usage = default;
        Id = Model = Choices = Usage = Error = Logprobs = default;
        ChoiceCount = HttpStatus = 0;
        FinishReasonFirst = SaysOther = false;
    }

    /// <summary>The form that this stream's events have; it stays when the event is reset.</summary>
    internal EventShape Shape => _shape ??= new EventShape();

    internal void AddOriginal(in EventPart part)
    {
        _parts.Add(part);
        Edited |= part.Removed;
    }
}
