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

    /// <summary>Characters, CJK counted twice; 0 when the text is periodic or has fewer than three different letters or digits.</summary>
    public int Weight { get; private init; }

    /// <summary>Different visible characters, counted up to three.</summary>
    public int Distinct { get; private init; }

    public bool HasLetter { get; private init; }

    /// <summary>The text is not a shorter one written twice or more.</summary>
    public bool IsAperiodic { get; private init; }

    /// <summary>
    /// True when the text could well stand twice in a row: its seam with itself is not two characters of one word. <c>import os⏎import os⏎</c>
    /// and 你好你好 are natural, <c>HelloHello</c> and <c>- one- one</c> are not.
    /// </summary>
    public bool NaturalSeam { get; private init; }

    public static TextShape Of(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty) return new TextShape { NaturalSeam = true };
        bool natural = !EndsInWord(text) || !BeginsLikeALine(text);
        if (text.Length > LookedAtBytes) text = text[..LookedAtBytes];
        TextShape counted = Count(text);
        bool aperiodic = IsNoRepetition(text);
        return counted with { IsAperiodic = aperiodic, Weight = aperiodic ? counted.Weight : 0, NaturalSeam = natural };
    }

    public static bool EndsInWord(ReadOnlySpan<byte> text)
    {
        Rune.DecodeLastFromUtf8(text, out Rune last, out _);
        return IsSpacedWord(last);
    }

    /// <summary>A letter or digit, or the mark of a list, heading or quotation with its space.</summary>
    private static bool BeginsLikeALine(ReadOnlySpan<byte> text)
    {
        Rune.DecodeFromUtf8(text, out Rune first, out _);
        int marks = text.IndexOfAnyExcept("#->*"u8);
        return IsSpacedWord(first) || (marks is > 0 and <= 6 && text[marks] == ' ');
    }

    /// <summary>Of an alphabet that puts spaces between words; what lies beyond is CJK, where any character may stand twice.</summary>
    private static bool IsSpacedWord(Rune rune) => Rune.IsLetterOrDigit(rune) && rune.Value < 0x2E80;

    private static TextShape Count(ReadOnlySpan<byte> text)
    {
        Span<int> wordlike = stackalloc int[NeededDistinct], visible = stackalloc int[NeededDistinct];
        int words = 0, shown = 0, letters = 0, weight = 0;
        while (Rune.DecodeFromUtf8(text, out Rune rune, out int used) != OperationStatus.NeedMoreData && used > 0)
        {
            text = text[used..];
            weight += rune.Value >= 0x2E80 ? 2 : 1;
            if (shown < NeededDistinct && !Rune.IsWhiteSpace(rune) && visible[..shown].IndexOf(rune.Value) < 0) visible[shown++] = rune.Value;
            if (!Rune.IsLetterOrDigit(rune)) continue;
            if (Rune.IsLetter(rune)) letters++;
            if (words < NeededDistinct && wordlike[..words].IndexOf(rune.Value) < 0) wordlike[words++] = rune.Value;
        }

        return new TextShape
        {
            Weight = words == NeededDistinct && letters >= NeededLetters ? weight : 0,
            Distinct = shown,
            HasLetter = letters > 0,
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
