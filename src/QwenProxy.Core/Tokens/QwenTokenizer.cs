using System.Text;
using System.Text.Unicode;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tokens;

/// <summary>
/// Byte-level byte-pair encoding as Qwen's models do it: special tokens are taken out of the text, what is between them is composed (NFC), cut into
/// pieces and merged. Immutable; any number of callers.
/// </summary>
public sealed class QwenTokenizer(TokenData data)
{
    /// <summary>The number of tokens. Bytes that are no UTF-8 count as U+FFFD, one for each that a decoder would write.</summary>
    public int Count(ReadOnlySpan<byte> utf8) => Run(utf8, null);

    public IReadOnlyList<int> Encode(ReadOnlySpan<byte> utf8)
    {
        List<int> ids = [];
        Run(utf8, ids);
        return ids;
    }

    private int Run(ReadOnlySpan<byte> text, List<int>? ids)
    {
        PieceMerger merger = new(data);
        int count = 0;
        while (true)
        {
            int at = FindSpecial(text, out SpecialToken? special);
            count += RunPlain(at < 0 ? text : text[..at], merger, ids);
            if (special is null) return count;
            count++;
            ids?.Add(special.Id);
            text = text[(at + special.Text.Length)..];
        }
    }

    private int RunPlain(ReadOnlySpan<byte> text, PieceMerger merger, List<int>? ids)
    {
        if (Ascii.IsValid(text)) return RunComposed(text, merger, ids);
        if (!Utf8.IsValid(text)) text = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(text));
        if (data.Composition.IsComposed(text)) return RunComposed(text, merger, ids);
        using PooledBytes composed = new(text.Length);
        data.Composition.Compose(text, composed);
        return RunComposed(composed.Span, merger, ids);
    }

    private static int RunComposed(ReadOnlySpan<byte> text, PieceMerger merger, List<int>? ids)
    {
        int count = 0;
        PieceScanner pieces = new(text);
        while (pieces.MoveNext(out ReadOnlySpan<byte> piece)) count += merger.Merge(piece, ids);
        return count;
    }

    /// <summary>Where the first special token begins; -1 for none. They all begin with an angle bracket, and none is the beginning of another.</summary>
    private int FindSpecial(ReadOnlySpan<byte> text, out SpecialToken? special)
    {
        for (int at = 0; at < text.Length; at++)
        {
            int step = text[at..].IndexOf((byte)'<');
            if (step < 0) break;
            at += step;
            foreach (SpecialToken candidate in data.Specials)
            {
                if (!text[at..].StartsWith(candidate.Text)) continue;
                special = candidate;
                return at;
            }
        }

        special = null;
        return -1;
    }
}
