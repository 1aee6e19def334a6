using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>
/// The user's other names for models, in the order written; the first that matches wins. An alias may name another alias, but only by its exact
/// name: a pattern is for what clients ask. Were patterns tried again on a target, <c>"*"</c> as a catch-all would undo every alias before it.
/// </summary>
public sealed class ModelAliases(ImmutableArray<KeyValuePair<string, string>> entries)
{
    public static ModelAliases None { get; } = new([]);

    /// <summary>The model meant by a name; the name itself when no alias matches, or when the aliases run in a circle (refused at load).</summary>
    public string Resolve(string name) => Follow(name, out string end) ? end : name;

    /// <summary>Follows a name to its end. False when it runs in a circle; <paramref name="end"/> then is the name that came twice.</summary>
    public bool Follow(string name, out string end)
    {
        end = FirstMatch(name) ?? name;

        // Each step leaves by one entry, and a chain without a circle uses each entry at most once.
        for (int step = 0; step <= entries.Length; step++)
        {
            if (ExactMatch(end) is not { } next || next == end) return true;
            end = next;
        }

        return false;
    }

    private string? FirstMatch(string name)
    {
        foreach ((string pattern, string target) in entries)
        {
            if (ModelPattern.Matches(pattern, name)) return target;
        }

        return null;
    }

    private string? ExactMatch(string name)
    {
        foreach ((string pattern, string target) in entries)
        {
            if (pattern == name) return target;
        }

        return null;
    }
}
