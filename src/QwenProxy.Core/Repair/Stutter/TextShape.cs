using System.Buffers;
using System.Text;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// How much a repetition of a text would say. White space, punctuation, digits and <c>ha</c>-like texts say nothing: they are repeated by
/// honest writers. Only the first <see cref="LookedAtBytes"/> are looked at.
/// </summary>
internal readonly record struct TextShape
{
    private const int LookedAtBytes = 1024;
    private const int NeededDistinct = 3;
    private const int NeededLetters = 2;
    private const int FirstWide = 0x2E80;

    /// <summary>What stands between two of a kind: in sentences, lists, tables, paths, rules and operators.</summary>
    private static ReadOnlySpan<byte> Separators => ".,;:!?()[]{}<>|/\\-_=+&~#"u8;

    /// <summary>Characters, CJK counted twice; 0 when the text is periodic or has fewer than three different letters or digits.</summary>
    public int Weight { get; private init; }

    /// <summary>Different characters, counted up to three.</summary>
    public int Distinct { get; private init; }

    /// <summary>The text is not a shorter one written twice or more.</summary>
    public bool IsAperiodic { get; private init; }

    /// <summary>Characters, however wide, as far as they are looked at.</summary>
    public int Characters { get; private init; }

    /// <summary>
    /// The text does not end where a writer could begin it again: its last character is no white space, no mark or bracket that separates, and no
    /// CJK, and its first is no white space. <c>import os⏎import os⏎</c>, <c>a|a|</c> and 你好你好 are natural, <c>HelloHello</c> is not.
    /// </summary>
    public bool OpenEnd { get; private init; }

    /// <summary>A line break stands before the text or at its end: whole lines are what honest writers repeat at any length.</summary>
    public bool IsLines { get; private init; }

    public static TextShape Of(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty) return default;
        bool open = IsOpenEnd(text), lines = text[0] is (byte)'\n' or (byte)'\r' || text.TrimEnd(" \t\r"u8).EndsWith("\n"u8);
        if (text.Length > LookedAtBytes) text = text[..LookedAtBytes];
        TextShape counted = Count(text);
        bool aperiodic = IsNoRepetition(text);
        return counted with { IsAperiodic = aperiodic, Weight = aperiodic ? counted.Weight : 0, OpenEnd = open, IsLines = lines };
    }

    /// <summary>A letter or digit of an alphabet that puts spaces between words; what lies beyond is CJK, where any character may stand twice.</summary>
    public static bool EndsInWord(ReadOnlySpan<byte> text)
    {
        Rune.DecodeLastFromUtf8(text, out Rune last, out _);
        return IsInWord(last);
    }

    /// <summary>A letter or digit, or the mark of a list, heading or quotation with its space: against the end of a word it is no new text.</summary>
    public static bool IsLineStart(ReadOnlySpan<byte> text)
    {
        Rune.DecodeFromUtf8(text, out Rune first, out _);
        int marks = text.IndexOfAnyExcept("#->*"u8);
        return IsInWord(first) || (marks is > 0 and <= 6 && text[marks] == ' ');
    }

    private static bool IsInWord(Rune rune) => Rune.IsLetterOrDigit(rune) && rune.Value < FirstWide;

    private static bool IsOpenEnd(ReadOnlySpan<byte> text)
    {
        Rune.DecodeFromUtf8(text, out Rune first, out _);
        Rune.DecodeLastFromUtf8(text, out Rune last, out _);
        return last.Value < FirstWide && !Rune.IsWhiteSpace(last) && !Rune.IsWhiteSpace(first) && (last.Value > 127 || !Separators.Contains((byte)last.Value));
    }

    private static TextShape Count(ReadOnlySpan<byte> text)
    {
        Span<int> wordlike = stackalloc int[NeededDistinct], seen = stackalloc int[NeededDistinct];
        int words = 0, different = 0, letters = 0, weight = 0, characters = 0;
        while (Rune.DecodeFromUtf8(text, out Rune rune, out int used) != OperationStatus.NeedMoreData && used > 0)
        {
            text = text[used..];
            characters++;
            weight += rune.Value >= FirstWide ? 2 : 1;
            if (different < NeededDistinct && seen[..different].IndexOf(rune.Value) < 0) seen[different++] = rune.Value;
            if (!Rune.IsLetterOrDigit(rune)) continue;
            if (Rune.IsLetter(rune)) letters++;
            if (words < NeededDistinct && wordlike[..words].IndexOf(rune.Value) < 0) wordlike[words++] = rune.Value;
        }

        return new TextShape
        {
            Weight = words == NeededDistinct && letters >= NeededLetters ? weight : 0,
            Distinct = different,
            Characters = characters,
        };
    }

    /// <summary>By the border function of Knuth, Morris and Pratt.</summary>
    private static bool IsNoRepetition(ReadOnlySpan<byte> text)
    {
        Span<short> border = stackalloc short[LookedAtBytes];
        border[0] = 0;
        int length = 0;
        for (int i = 1; i < text.Length; i++)
        {
            while (length > 0 && text[i] != text[length]) length = border[length - 1];
            if (text[i] == text[length]) length++;
            border[i] = (short)length;
        }

        return text.Length - length > text.Length / 2;
    }
}
