namespace QwenProxy.Core.Catalogue;

/// <summary>
/// Model names as people write them in lists: <c>*</c> matches any run of characters, everything else matches itself, case included.
/// </summary>
public static class ModelPattern
{
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        int star = pattern.IndexOf('*');
        if (star < 0) return pattern.SequenceEqual(name);
        if (!name.StartsWith(pattern[..star], StringComparison.Ordinal)) return false;
        pattern = pattern[(star + 1)..];
        name = name[star..];

        // Between two stars the first hit is as good as any later one, so there is no way back and no exponential case.
        while ((star = pattern.IndexOf('*')) >= 0)
        {
            int found = name.IndexOf(pattern[..star], StringComparison.Ordinal);
            if (found < 0) return false;
            name = name[(found + star)..];
            pattern = pattern[(star + 1)..];
        }

        return name.EndsWith(pattern, StringComparison.Ordinal);
    }

    public static bool MatchesAny(IEnumerable<string> patterns, string name)
    {
        ArgumentNullException.ThrowIfNull(patterns);
        return patterns.Any(p => Matches(p, name));
    }
}
