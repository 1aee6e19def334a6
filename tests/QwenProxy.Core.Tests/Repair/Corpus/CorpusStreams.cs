using System.Text;

namespace QwenProxy.Core.Tests.Repair.Corpus;

internal enum Pattern
{
    /// <summary>Incremental, as a healthy upstream streams.</summary>
    Clean,

    /// <summary>S1: the first event restated once, byte for byte.</summary>
    FirstTwice,

    /// <summary>S2: growing prefixes at the start, then increments.</summary>
    GrowingStart,

    /// <summary>S3: growing prefixes that shrink again once, then increments.</summary>
    Rewind,

    /// <summary>S4: each event is the whole text so far.</summary>
    Cumulative,

    /// <summary>S5: increments first, from the middle on cumulative; half of them fall back to increments.</summary>
    Late,
}

/// <summary>Ways of cutting a text into deltas, and of spoiling the deltas. The label of each stream is the text it was made from.</summary>
internal static class CorpusStreams
{
    /// <summary>
    /// Cuts in any way, evenly: by character, by line, by words, by chance. Never inside a character (that would be another defect).
    /// </summary>
    public static List<string> Cut(string text, Random random) => Cut(text, random, random.Next(6));

    /// <summary>Cuts as upstreams do: mostly a few tokens at a time; one stream in twenty character by character.</summary>
    public static List<string> CutLikeTokens(string text, Random random) =>
        Cut(text, random, random.Next(20) is 0 and int one ? one : random.Next(1, 5));

    private static List<string> Cut(string text, Random random, int way)
    {
        List<string> pieces = [];
        StringBuilder piece = new();
        int left = Next(way, random);
        foreach (string unit in way is 2 or 3 or 4 ? Words(text) : text.EnumerateRunes().Select(r => r.ToString()))
        {
            piece.Append(unit);
            bool full = way == 5 ? unit == "\n" : --left <= 0;
            if (!full) continue;
            pieces.Add(piece.ToString());
            piece.Clear();
            left = Next(way, random);
        }

        if (piece.Length > 0) pieces.Add(piece.ToString());
        return pieces;
    }

    /// <summary>
    /// The deltas of one stream. Restated ones carry the mark of a first event when <paramref name="mark"/> is set; the body never does.
    /// </summary>
    public static List<Delta> Deltas(Pattern pattern, List<string> pieces, Random random, bool mark)
    {
        List<Delta> deltas = [];
        switch (pattern)
        {
            case Pattern.Clean:
                deltas.AddRange(pieces.Select(p => new Delta(p)));
                break;
            case Pattern.FirstTwice:
                deltas.Add(new Delta(pieces[0]));
                deltas.Add(new Delta(pieces[0]) { Marked = mark });
                deltas.AddRange(pieces.Skip(1).Select(p => new Delta(p)));
                break;
            case Pattern.GrowingStart or Pattern.Rewind:
                Grow(deltas, pieces, random, mark, rewind: pattern == Pattern.Rewind);
                break;
            case Pattern.Cumulative:
                for (int i = 1; i <= pieces.Count; i++) deltas.Add(new Delta(string.Concat(pieces.Take(i))));
                break;
            default:
                Late(deltas, pieces, random);
                break;
        }

        if (deltas.Count > 0) deltas[0] = deltas[0] with { Marked = mark };
        return deltas;
    }

    /// <summary>Things between events that say nothing: comments, empty deltas, a usage that is null.</summary>
    public static string AddNoise(string stream, Random random)
    {
        StringBuilder noisy = new();
        foreach (string frame in stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            int noise = random.Next(10);
            if (noise == 0) noisy.Append(": keep-alive\n\n");
            if (noise == 1) noisy.Append(ChunkWriter.Chunk("{\"content\":\"\",\"reasoning_content\":null}"));
            noisy.Append(frame).Append("\n\n");
        }

        return noisy.ToString();
    }

    private static int Next(int way, Random random) => way switch
    {
        0 => 1,
        1 => random.Next(2, 12),
        2 => random.Next(1, 4),
        3 => random.Next(1, 3),
        4 => random.Next(3, 9),
        _ => 1,
    };

    /// <summary>Roughly what a tokenizer makes: a word with the space before it, in pieces of at most six characters.</summary>
    private static IEnumerable<string> Words(string text)
    {
        StringBuilder word = new();
        foreach (Rune rune in text.EnumerateRunes())
        {
            bool joins = Rune.IsLetter(rune) && rune.Value < 0x2E80;
            bool opens = word.Length == 1 && word[0] == ' ';
            bool breaks = word.Length > 0 && !(joins && (opens || (char.IsLetter(word[^1]) && word.Length < 6)));
            if (breaks)
            {
                yield return word.ToString();
                word.Clear();
            }

            word.Append(rune.ToString());
        }

        if (word.Length > 0) yield return word.ToString();
    }

    /// <summary>Two to five growing events; a rewind says one of the shorter ones again, as a marked event.</summary>
    private static void Grow(List<Delta> deltas, List<string> pieces, Random random, bool mark, bool rewind)
    {
        int grown = Math.Min(random.Next(3, 6), pieces.Count);
        for (int i = 1; i <= grown; i++) deltas.Add(new Delta(string.Concat(pieces.Take(i))) { Marked = mark });
        if (rewind && grown > 1) deltas.Insert(random.Next(2, grown + 1), new Delta(string.Concat(pieces.Take(random.Next(1, 2)))) { Marked = mark });
        deltas.AddRange(pieces.Skip(grown).Select(p => new Delta(p)));
    }

    private static void Late(List<Delta> deltas, List<string> pieces, Random random)
    {
        int from = 1;
        while (from < pieces.Count && Encoding.UTF8.GetByteCount(string.Concat(pieces.Take(from))) < 64) from++;
        from += random.Next(Math.Max(1, pieces.Count - from - 3));
        int to = random.Next(2) == 0 ? pieces.Count : Math.Min(pieces.Count, from + random.Next(2, 6));
        for (int i = 0; i < pieces.Count; i++)
        {
            bool restated = i >= from && i < to;
            deltas.Add(new Delta(restated ? string.Concat(pieces.Take(i + 1)) : pieces[i]));
        }
    }
}
