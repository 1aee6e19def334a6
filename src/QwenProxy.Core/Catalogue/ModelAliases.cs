using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>
/// The user's other names for models, in the order written; the first that matches wins. An alias may name another alias.
/// A name that resolves to itself is an end, so that <c>"*": "qwen3.7-plus"</c> is a plain catch-all and no loop.
/// </summary>
public sealed class ModelAliases(ImmutableArray<KeyValuePair<string, string>> entries)
{
    public static ModelAliases None { get; } = new([]);

    /// <summary>The model meant by a name; the name itself when no alias matches, or when the aliases run in a circle (refused at load).</summary>
    public string Resolve(string name) => Follow(name, out string end) ? end : name;

    /// <summary>Follows a name to its end. False when it runs in a circle; <paramref name="end"/> then is the name that came twice.</summary>
    public bool Follow(string name, out string end)
    {
        end = name;

        // Each step leaves by one entry, and a chain without a circle uses each entry at most once.
        for (int step = 0; step <= entries.Length; step++)
        {
            string next = Next(end);
            if (next == end) return true;
            end = next;
        }

        return false;
    }

    private string Next(string name)
    {
        foreach ((string pattern, string target) in entries)
        {
            if (ModelPattern.Matches(pattern, name)) return target;
        }

        return name;
    }
}
