using System.Buffers;
using System.Globalization;
using System.Text;

namespace QwenProxy.Core.Tokens;

/// <summary>
/// Cuts valid UTF-8 into the pieces inside which tokens are merged, as the published expression of Qwen2 to Qwen3 does:
/// <c>(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</c>.
/// By hand rather than by <c>Regex</c>, which reads only UTF-16 and took most of the time.
/// </summary>
public ref struct PieceScanner(ReadOnlySpan<byte> utf8)
{
    private enum Kind
    {
        /// <summary>The end of the text.</summary>
        None,
        Letter,
        Number,
        LineEnd,
        Space,
        Other,
    }

    private static readonly Kind[] s_ascii = [.. Enumerable.Range(0, 128).Select(c => Classify(new Rune(c)))];

    private readonly ReadOnlySpan<byte> _text = utf8;
    private int _position;

    /// <summary>False at the end of the text.</summary>
    public bool MoveNext(out ReadOnlySpan<byte> piece)
    {
        int length = _position < _text.Length ? LengthAt(_position) : 0;
        piece = _text.Slice(_position, length);
        _position += length;
        return length > 0;
    }

    private readonly int LengthAt(int start)
    {
        Kind first = KindAt(start, out int size);
        int end = start + size;
        if (first == Kind.Letter) return Run(end, Kind.Letter) - start;
        if (first == Kind.Number) return size;
        if (_text[start] == '\'' && ContractionAt(end) is > 0 and int contraction) return contraction + 1;
        Kind second = KindAt(end, out int secondSize);
        if (first != Kind.LineEnd && second == Kind.Letter) return Run(end + secondSize, Kind.Letter) - start;
        if (first == Kind.Other || (_text[start] == ' ' && second == Kind.Other))
        {
            return Run(Run(end, Kind.Other), Kind.LineEnd) - start;
        }

        return SpaceLength(start);
    }

    /// <summary>Up to the last line end among the spaces; without one all of them, but for the last when a word follows, which it belongs to.</summary>
    private readonly int SpaceLength(int start)
    {
        int end = start;
        int last = start;
        int afterLineEnd = -1;
        while (KindAt(end, out int size) is (Kind.Space or Kind.LineEnd) and Kind kind)
        {
            last = end;
            end += size;
            if (kind == Kind.LineEnd) afterLineEnd = end;
        }

        if (afterLineEnd >= 0) return afterLineEnd - start;
        return end < _text.Length && last > start ? last - start : end - start;
    }

    private readonly int Run(int position, Kind kind)
    {
        while (KindAt(position, out int size) == kind) position += size;
        return position;
    }

    /// <summary>The bytes of a contraction behind its apostrophe; 0 for none.</summary>
    private readonly int ContractionAt(int position)
    {
        ReadOnlySpan<byte> rest = _text[position..];
        if (rest.IsEmpty) return 0;
        int first = rest[0] | 0x20;
        if (first is 's' or 't' or 'm' or 'd') return 1;
        int second = rest.Length > 1 ? rest[1] | 0x20 : 0;
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 2 : 0;
    }

    private readonly Kind KindAt(int position, out int size)
    {
        size = 1;
        if (position >= _text.Length) return Kind.None;
        byte first = _text[position];
        if (first < 128) return s_ascii[first];
        OperationStatus status = Rune.DecodeFromUtf8(_text[position..], out Rune rune, out size);
        System.Diagnostics.Debug.Assert(status == OperationStatus.Done, "Only valid UTF-8 comes here.");
        return Classify(rune);
    }

    private static Kind Classify(Rune rune)
    {
        if (rune.Value is '\r' or '\n') return Kind.LineEnd;
        if (Rune.IsWhiteSpace(rune)) return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }
}
