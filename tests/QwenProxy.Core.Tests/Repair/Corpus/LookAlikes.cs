using System.Globalization;
using System.Text;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>
/// Healthy texts that look like a stutter: lines, imports, table rows and log lines that stand twice, lists that count, growing lists, refrains.
/// Cut where it hurts, too: just behind or just before every separator, so that a delta is exactly what the one before it was.
/// </summary>
internal static class LookAlikes
{
    private static readonly string[] Words =
        "alpha record value total error worker buffer garden number window status letter import retry timeout connected 数据 记录 你好 完成".Split(' ');

    private static readonly string[] Separators = ["\n", " ", "|", ",", ", ", "; ", " | ", "\t", "-", "/", "。", ". ", "\n\n", "\r\n", "> ", ") "];

    public static string Text(Random random)
    {
        StringBuilder text = new();
        int parts = random.Next(1, 4);
        for (int i = 0; i < parts; i++) text.Append(Part(random));
        return text.ToString();
    }

    /// <summary>One time in three as upstreams cut, else at a separator of the text: behind it, before it, or at every second or third of them.</summary>
    public static List<string> Cut(string text, Random random)
    {
        if (random.Next(3) == 0) return CorpusStreams.Cut(text, random);
        string[] there = [.. Separators.Where(s => text.Contains(s, StringComparison.Ordinal))];
        if (there.Length == 0) return CorpusStreams.Cut(text, random);
        string separator = there[random.Next(there.Length)];
        bool before = random.Next(3) == 0;
        int every = random.Next(1, 4);
        List<string> pieces = [];
        int start = 0, from = 0, seen = 0;
        while (text.IndexOf(separator, from, StringComparison.Ordinal) is >= 0 and int at)
        {
            from = at + separator.Length;
            int cut = before ? at : from;
            if (cut == start || ++seen % every != 0) continue;
            pieces.Add(text[start..cut]);
            start = cut;
        }

        if (start < text.Length) pieces.Add(text[start..]);
        return pieces;
    }

    private static string Part(Random random)
    {
        switch (random.Next(12))
        {
            case 0: return Repeat(random, Line(random) + "\n", "");
            case 1: return Repeat(random, "\n" + Line(random), "");
            case 2: return Repeat(random, Word(random), Separators[random.Next(Separators.Length)]);
            case 3: return Repeat(random, "| " + Word(random) + " | " + Word(random) + " |\n", "");
            case 4: return Repeat(random, $"2026-03-0{random.Next(1, 9)} 12:00:0{random.Next(9)} INFO {Word(random)}: {Word(random)} {Word(random)}\n", "");
            case 5: return Counting(random);
            case 6: return Growing(random);
            case 7: return Repeat(random, Sentence(random) + ".", random.Next(2) == 0 ? " " : "\n");
            case 8: return Repeat(random, random.Next(2) == 0 ? $"import {Word(random)}.{Word(random)}.{Word(random)}\n" : $"using {Word(random)};\n", "");
            case 9: return Repeat(random, $"{{\"{Word(random)}\":\"{Word(random)}\"}}", random.Next(2) == 0 ? "," : "\n");
            case 10: return Repeat(random, new[] { "🎉", "👍🏽", "哈", "1|", "0.00 ", "--", "=", "ha ", "\t", "no, " }[random.Next(10)], "");
            default: return Sentence(random) + ". " + Sentence(random) + ".\n";
        }
    }

    private static string Repeat(Random random, string what, string separator)
    {
        string text = string.Join(separator, Enumerable.Repeat(what, random.Next(2, 6)));
        return separator.Length == 0 || random.Next(3) == 0 ? text : text + separator;
    }

    private static string Counting(Random random)
    {
        string form = new[] { "{0}. {1}\n", "Step {0}: {1}\n", "{1} {0}\n", "\n- {1} {0}", "{0}, ", "{1}{0} ", "{0}|", "v{0}.0 ", "[{0}] {1}; " }[random.Next(9)];
        string word = Word(random);
        StringBuilder text = new();
        int step = new[] { 1, 1, 10, 9 }[random.Next(4)];
        for (int i = 0, n = 1; i < random.Next(4, 14); i++, n = step == 10 ? n * 10 % 1000000007 : n + step)
        {
            text.Append(string.Format(CultureInfo.InvariantCulture, form, n, word));
        }

        return text.ToString();
    }

    /// <summary>Each item begins with the one before it, with a separator between them.</summary>
    private static string Growing(Random random)
    {
        string word = Word(random) + Word(random);
        string separator = Separators[random.Next(Separators.Length)];
        return string.Concat(Enumerable.Range(1, word.Length).Select(n => word[..n] + separator));
    }

    private static string Line(Random random) => random.Next(3) switch
    {
        0 => $"from {Word(random)} import {Word(random)}",
        1 => $"    {Word(random)}.{Word(random)}({Word(random)});",
        _ => "- " + Sentence(random),
    };

    private static string Sentence(Random random) => string.Join(' ', Enumerable.Range(0, random.Next(2, 11)).Select(_ => Word(random)));

    private static string Word(Random random) => Words[random.Next(Words.Length)];
}
