namespace QwenProxy.Configuration;

/// <summary>Guesses what a person meant by a word that is not known.</summary>
internal static class Spelling
{
    /// <summary>A sentence: the likely word, or all that are allowed.</summary>
    public static string Suggest(string word, IEnumerable<string> known)
    {
        List<string> words = [.. known];
        return Nearest(word, words) is { } nearest ? $"Did you mean \"{nearest}\"?" : "Allowed: " + string.Join(", ", words) + ".";
    }

    /// <summary>The word most like the one given; null when none is like it. With more than a third wrong a guess only confuses.</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        if (known.MinBy(w => Distance(word, w)) is not { } nearest) return null;
        int distance = Distance(word, nearest);

        // Two swapped letters count as two changes, hence two in a word of four.
        return distance <= Math.Max(2, word.Length / 3) && distance * 2 <= word.Length ? nearest : null;
    }

    private static int Distance(string a, string b)
    {
        int[] previous = [.. Enumerable.Range(0, b.Length + 1)];
        int[] current = new int[b.Length + 1];
        for (int i = 1; i <= a.Length; i++)
        {
            current[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int change = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                current[j] = Math.Min(Math.Min(current[j - 1], previous[j]) + 1, previous[j - 1] + change);
            }

            (previous, current) = (current, previous);
        }

        return previous[b.Length];
    }
}
