using System.Text;

namespace QwenProxy.Simulator.Answers;

/// <summary>
/// Cuts text into the small pieces a model streams: one to some thirty characters, always at the same places for the same text. A piece
/// never holds half a code point, but a family emoji may well be cut between its members, as models do.
/// </summary>
internal static class TextCutter
{
    private static readonly int[] Sizes = [3, 12, 9, 17, 1, 6, 26, 2, 11, 8];

    public static List<string> Cut(string text)
    {
        List<string> pieces = [];
        StringBuilder piece = new();
        int want = Sizes[0];
        foreach (Rune rune in text.EnumerateRunes())
        {
            piece.Append(rune.ToString());
            // Dense scripts carry more per character, so their pieces are shorter.
            if (piece.Length < want && !(rune.Value > 0x2E80 && piece.Length * 3 >= want)) continue;
            pieces.Add(piece.ToString());
            piece.Clear();
            want = Sizes[pieces.Count % Sizes.Length];
        }

        if (piece.Length > 0) pieces.Add(piece.ToString());
        return pieces;
    }
}
