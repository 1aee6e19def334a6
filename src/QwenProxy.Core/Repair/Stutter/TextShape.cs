using System.Buffers;
using System.Text;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>
/// How much a repetition of a text would say. White space, punctuation, digits and <c>ha</c>-like texts say nothing: they are repeated by
/// honest writers. Only the first <see cref="LookedAtBytes"/> are looked at.
/// </summary>
/// <param name="Weight">Characters, CJK counted twice; 0 when the text is periodic or has fewer than three different letters or digits.</param>
/// <param name="NaturalSeam">
/// True when the text could well stand twice in a row: it ends or begins with something else than a letter or digit of an alphabet that
/// puts spaces between words. <c>import os⏎import os⏎</c> and 你好你好 are natural, <c>HelloHello</c> is not.
/// </param>
internal readonly record struct TextShape(int Weight, bool NaturalSeam)
{
    private const int LookedAtBytes = 1024;
    private const int NeededDistinct = 3;
    private const int NeededLetters = 2;

    public static TextShape Of(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty) return new TextShape(0, true);
        Rune.DecodeFromUtf8(text, out Rune first, out _);
        Rune.DecodeLastFromUtf8(text, out Rune last, out _);
        bool natural = !IsSpacedWord(first) || !IsSpacedWord(last);
        if (text.Length > LookedAtBytes) text = text[..LookedAtBytes];
        int weight = WeightOf(text);
        return new TextShape(weight > 0 && IsAperiodic(text) ? weight : 0, natural);
    }

    private static bool IsSpacedWord(Rune rune) => Rune.IsLetterOrDigit(rune) && rune.Value < 0x2E80;

    private static int WeightOf(ReadOnlySpan<byte> text)
    {
        Span<int> distinct = stackalloc int[NeededDistinct];
        int known = 0, letters = 0, weight = 0;
        while (Rune.DecodeFromUtf8(text, out Rune rune, out int used) != OperationStatus.NeedMoreData && used > 0)
        {
            text = text[used..];
            weight += rune.Value >= 0x2E80 ? 2 : 1;
            if (!Rune.IsLetterOrDigit(rune)) continue;
            if (Rune.IsLetter(rune)) letters++;
            if (known < NeededDistinct && distinct[..known].IndexOf(rune.Value) < 0) distinct[known++] = rune.Value;
        }

        return known == NeededDistinct && letters >= NeededLetters ? weight : 0;
    }

    /// <summary>False when the text is a shorter one written at least twice (the border function of Knuth, Morris and Pratt).</summary>
    private static bool IsAperiodic(ReadOnlySpan<byte> text)
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
