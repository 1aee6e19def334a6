namespace QwenProxy.Configuration;

/// <summary>Guesses what a person meant by a word that is not known.</summary>
internal static class Spelling
{
    /// <summary>A sentence: the likely word, or all that are allowed.</summary>
    public static string Suggest(string word, IEnumerable<string> known)
    {
        List<string> words = [.. known];
        string? nearest = words.MinBy(w => Distance(word, w));

        // A third of the word may be wrong; more than that and a guess only confuses.
        if (nearest is not null && Distance(word, nearest) <= Math.Max(2, word.Length / 3)) return $"Did you mean \"{nearest}\"?";
        return "Allowed: " + string.Join(", ", words) + ".";
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
