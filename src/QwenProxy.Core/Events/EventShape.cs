using System.Buffers;
using QwenProxy.Wire;

namespace QwenProxy.Core.Events;

/// <summary>
/// Nearly every event of a stream is the one before it with another text: the bytes around the text are the same. Once such an event was read in
/// full, the next one of the same form is recognised by comparing bytes and only its places are moved; that is a fifth of the cost of a JSON reader.
/// What is not exactly of the form is read in full, so nothing is ever guessed.
/// </summary>
internal sealed class EventShape : IDisposable
{
    private const int MaxBytes = 4096;
    private const int MaxMisses = 32;
    private static readonly SearchValues<byte> Special = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (byte)i), (byte)'"', (byte)'\\']);

    private readonly PooledBytes _around = new(512);
    private int _before;
    private int _textLength;
    private int _misses;
    private ByteRange _id;
    private ByteRange _model;
    private ByteRange _choices;
    private bool _finishReasonFirst;
    private bool _saysOther;
    private EventPart _part;

    /// <summary>Fills the event in when its data has the remembered form. The event must be reset and carry its data.</summary>
    public bool TryRead(ChatEvent e)
    {
        if (_before == 0) return false;
        ReadOnlySpan<byte> data = e.Data.Span, around = _around.Span;
        int length = data.Length - around.Length;
        if (length < 0 || !data.StartsWith(around[.._before]) || !data.EndsWith(around[_before..]) || !IsInsideOfString(data.Slice(_before, length))) return false;
        int moved = length - _textLength;
        EventPart part = _part;
        part.Value = Moved(part.Value, moved);
        part.Field = Moved(part.Field, moved);
        e.Id = Moved(_id, moved);
        e.Model = Moved(_model, moved);
        e.Choices = Moved(_choices, moved);
        e.ChoiceCount = 1;
        e.FinishReasonFirst = _finishReasonFirst;
        e.SaysOther = _saysOther;
        e.AddOriginal(part);
        _misses = 0;
        return true;
    }

    /// <summary>Remembers the form of an event that was read in full, when it is one that may come again.</summary>
    public void Learn(ChatEvent e)
    {
        if (_misses > MaxMisses || e.Kind != EventKind.Chunk || e.Parts.Length != 1 || e.ChoiceCount != 1 || e.Data.Length > MaxBytes) return;
        ref readonly EventPart part = ref e.Parts[0];
        if (part.Kind is not (PartKind.Content or PartKind.Reasoning) || !e.Usage.IsEmpty || !e.Logprobs.IsEmpty) return;
        // A stream that changes something else with every event, a number or an id, is left to the reader.
        _misses++;
        ReadOnlySpan<byte> data = e.Data.Span;
        _around.Clear();
        _around.Write(data[..(part.Value.Start + 1)]);
        _around.Write(data[(part.Value.End - 1)..]);
        _before = part.Value.Start + 1;
        _textLength = part.Value.Length - 2;
        (_id, _model, _choices, _finishReasonFirst, _saysOther, _part) = (e.Id, e.Model, e.Choices, e.FinishReasonFirst, e.SaysOther, part);
    }

    public void Dispose() => _around.Dispose();

    /// <summary>True when the bytes may stand between the quotes of a JSON string. <c>\u</c> escapes are left to the reader.</summary>
    private static bool IsInsideOfString(ReadOnlySpan<byte> text)
    {
        while (true)
        {
            int at = text.IndexOfAny(Special);
            if (at < 0) return true;
            if (text[at] != '\\' || at + 1 == text.Length) return false;
            if (text[at + 1] is not ((byte)'n' or (byte)'"' or (byte)'\\' or (byte)'t' or (byte)'r' or (byte)'/' or (byte)'b' or (byte)'f')) return false;
            text = text[(at + 2)..];
        }
    }

    /// <summary>A place before the text stays, one around it grows, one behind it moves.</summary>
    private ByteRange Moved(ByteRange range, int by) =>
        range.IsEmpty || range.End <= _before ? range : range.Start >= _before ? new ByteRange(range.Start + by, range.Length) : new ByteRange(range.Start, range.Length + by);
}
