using System.Buffers;
using QwenProxy.Wire;

namespace QwenProxy.Core.Events;

/// <summary>
/// Nearly every event of a stream is the one before it with another text: the bytes around the text are the same. Once such an event was read in
/// full, the next one of the same form is recognised by comparing bytes and only its places are moved; that is a fifth of the cost of a JSON reader.
/// In dialects that number their frames the number is a second place that may change. What is not exactly of the form is read in full, so nothing
/// is ever guessed.
/// </summary>
internal sealed class EventShape : IDisposable
{
    private const int MaxBytes = 4096;
    private const int MaxMisses = 32;
    private const int MaxDigits = 9;
    private static readonly SearchValues<byte> Special = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (byte)i), (byte)'"', (byte)'\\']);

    /// <summary>The bytes around the holes: before the first, between the two, behind the last.</summary>
    private readonly PooledBytes _around = new(512);
    private int _before;
    private int _between;
    private int _misses;
    private ByteRange _text;
    private ByteRange _number;
    private ByteRange _id;
    private ByteRange _model;
    private ByteRange _choices;
    private bool _finishReasonFirst;
    private bool _saysOther;
    private FrameMark _frame;
    private EventPart _part;

    /// <summary>Fills the event in when its data has the remembered form. The event must be reset and carry its data.</summary>
    public bool TryRead(ChatEvent e)
    {
        if (_before == 0) return false;
        ReadOnlySpan<byte> data = e.Data.Span, around = _around.Span;
        if (data.Length < around.Length || !data.StartsWith(around[.._before]) || !data.EndsWith(around[(_before + _between)..])) return false;
        if (!TryPlace(data, around, out ByteRange text, out ByteRange number) || !IsInsideOfString(text.In(data))) return false;
        Moves moves = new(_text, text.Length - _text.Length, _number, number.Length - _number.Length);
        EventPart part = _part;
        part.Value = moves.Of(part.Value);
        part.Field = moves.Of(part.Field);
        part.ToolArguments = moves.Of(part.ToolArguments);
        part.Tool = moves.Of(part.Tool);
        part.ToolList = moves.Of(part.ToolList);
        FrameMark frame = _frame;
        frame.IndexPlace = moves.Of(frame.IndexPlace);
        frame.NumberPlace = moves.Of(frame.NumberPlace);
        frame.Subject = moves.Of(frame.Subject);
        e.Frame = frame;
        e.Id = moves.Of(_id);
        e.Model = moves.Of(_model);
        e.Choices = moves.Of(_choices);
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
        ReadOnlySpan<byte> data = e.Data.Span;
        ByteRange token = TokenOf(part);
        if (token.Length < 2 || data[token.Start] != '"' || !part.Meaning.IsEmpty || !e.Usage.IsEmpty || !e.Logprobs.IsEmpty) return;
        // A stream that changes something else with every event, a number or an id, is left to the reader.
        _misses++;
        _text = new ByteRange(token.Start + 1, token.Length - 2);
        _number = e.Frame.NumberPlace;
        (ByteRange first, ByteRange last) = _number.IsEmpty ? (_text, _text) : _number.Start < _text.Start ? (_number, _text) : (_text, _number);
        _before = first.Start;
        _between = _number.IsEmpty ? 0 : last.Start - first.End;
        _around.Clear();
        _around.Write(data[.._before]);
        _around.Write(data.Slice(first.End, _between));
        _around.Write(data[last.End..]);
        (_id, _model, _choices, _finishReasonFirst, _saysOther, _frame, _part) = (e.Id, e.Model, e.Choices, e.FinishReasonFirst, e.SaysOther, e.Frame, part);
    }

    public void Dispose() => _around.Dispose();

    /// <summary>The text that may change: of a call only its arguments, so one that names itself is of no form.</summary>
    private static ByteRange TokenOf(in EventPart part) => part.Kind switch
    {
        PartKind.Content or PartKind.Reasoning => part.Value,
        PartKind.ToolCall when part.ToolId.IsEmpty && part.ToolName.IsEmpty => part.ToolArguments,
        _ => default,
    };

    /// <summary>Where text and number stand in data that begins and ends as it should.</summary>
    private bool TryPlace(ReadOnlySpan<byte> data, ReadOnlySpan<byte> around, out ByteRange text, out ByteRange number)
    {
        int end = data.Length - (around.Length - _before - _between);
        text = new ByteRange(_before, end - _before);
        number = default;
        if (_number.IsEmpty) return true;
        ReadOnlySpan<byte> inside = data[_before..end], between = around.Slice(_before, _between);
        bool numberFirst = _number.Start < _text.Start;
        int digits = 0;
        while (digits < MaxDigits && digits < inside.Length && char.IsAsciiDigit((char)inside[numberFirst ? digits : inside.Length - 1 - digits])) digits++;
        if (digits == 0 || inside.Length < digits + _between) return false;
        if (!inside.Slice(numberFirst ? digits : inside.Length - digits - _between, _between).SequenceEqual(between)) return false;
        int length = inside.Length - digits - _between;
        text = new ByteRange(numberFirst ? _before + digits + _between : _before, length);
        number = new ByteRange(numberFirst ? _before : end - digits, digits);
        return digits == 1 || data[number.Start] != '0';
    }

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

    /// <summary>What has changed its length since the form was learned: a place behind it moves, one around it grows, one before it stays.</summary>
    private readonly struct Moves(ByteRange text, int textGrowth, ByteRange number, int numberGrowth)
    {
        public ByteRange Of(ByteRange range)
        {
            if (range.IsEmpty) return range;
            int by = 0, longer = 0;
            Add(range, text, textGrowth, ref by, ref longer);
            if (!number.IsEmpty) Add(range, number, numberGrowth, ref by, ref longer);
            return new ByteRange(range.Start + by, range.Length + longer);
        }

        private static void Add(ByteRange range, ByteRange hole, int growth, ref int by, ref int longer)
        {
            if (hole.End < range.Start || (hole.End == range.Start && hole.Length > 0)) by += growth;
            else if (hole.Start >= range.Start && hole.End <= range.End) longer += growth;
        }
    }
}
