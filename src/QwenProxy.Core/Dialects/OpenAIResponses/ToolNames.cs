using System.Globalization;
using System.Text;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

internal enum ToolKind : byte
{
    Function,

    /// <summary>A custom tool: its input is a text.</summary>
    Custom,

    /// <summary>A custom tool whose text is known not to be JSON: a grammar says so, or the tool's name.</summary>
    PlainCustom,

    /// <summary>The search for further tools, which the client runs.</summary>
    Search,
}

/// <summary>What a chat function stands for in the client's request.</summary>
/// <param name="Namespace">The group the tool was declared in; null for a tool of its own.</param>
/// <param name="Name">The tool's name as the client knows it.</param>
/// <param name="Kind">What the client calls it, and how its input is written.</param>
internal readonly record struct ToolTarget(string? Namespace, string Name, ToolKind Kind)
{
    public bool IsCustom => Kind is ToolKind.Custom or ToolKind.PlainCustom;
}

/// <summary>
/// Chat knows only functions with flat names; this API has groups of them (<c>namespace</c>) and custom tools. Names are made flat on the way to the
/// model, and told apart again on the way back: clients look a call up by namespace and name, and refuse a flat one.
/// </summary>
internal sealed class ToolNames
{
    private const int MaxLength = 64;

    /// <summary>What the search for tools is called, which has no name of its own.</summary>
    private const string SearchName = "tool_search";

    /// <summary>The group that stands for none: agents that group all their tools put those of their own into it, and models call them without it.</summary>
    private const string NoGroup = "functions";

    private readonly Dictionary<string, ToolTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<(string? Namespace, string Name), string> _flat = [];
    private string? _search;

    /// <summary>Declares a tool and returns its flat name. Tools outside any group come first, so that theirs never have to change.</summary>
    public string Add(string? group, string name, ToolKind kind)
    {
        if (_flat.TryGetValue((group, name), out string? known)) return known;
        return _flat[(group, name)] = AddUnique(Join(group, name), new ToolTarget(group, name, kind));
    }

    /// <summary>Declares the search for tools.</summary>
    public string AddSearch() => _search ??= AddUnique(SearchName, new ToolTarget(null, SearchName, ToolKind.Search));

    /// <summary>The flat name of a tool that a history or a tool choice names, declared or not.</summary>
    public string Flat(string? group, string name) => _flat.GetValueOrDefault((group, name)) ?? Join(group, name);

    /// <summary>The flat name of the search for tools, declared or not.</summary>
    public string Search => _search ?? SearchName;

    /// <summary>
    /// What the model means by a name: the tool itself, or the only one of that name in any group. A name nobody declared is passed on as it is, for
    /// the client to refuse in its own words.
    /// </summary>
    public ToolTarget Find(string flat)
    {
        if (_targets.TryGetValue(flat, out ToolTarget target)) return target;
        List<ToolTarget> bare = [.. _targets.Values.Where(t => t.Name == flat || (t.Namespace is not null && $"{t.Namespace}.{t.Name}" == flat)).Take(2)];
        return bare.Count == 1 ? bare[0] : new ToolTarget(null, flat, ToolKind.Function);
    }

    private string AddUnique(string wish, ToolTarget target)
    {
        string flat = wish;
        for (int n = 2; _targets.ContainsKey(flat); n++) flat = Shorten(wish, "_" + n.ToString(CultureInfo.InvariantCulture));
        _targets[flat] = target;
        return flat;
    }

    private static string Join(string? group, string name)
    {
        if (string.IsNullOrEmpty(group) || group == NoGroup) return name;
        StringBuilder joined = new(group.Length + name.Length + 2);
        joined.Append(group);
        if (!group.EndsWith("__", StringComparison.Ordinal)) joined.Append("__");
        joined.Append(name);
        for (int i = 0; i < joined.Length; i++)
        {
            if (!char.IsAsciiLetterOrDigit(joined[i]) && joined[i] is not ('_' or '-')) joined[i] = '_';
        }

        string flat = joined.ToString();
        return flat.Length <= MaxLength ? flat : Shorten(flat, "_" + Hash(flat));
    }

    private static string Shorten(string name, string ending) =>
        string.Concat(name.AsSpan(0, Math.Min(name.Length, MaxLength - ending.Length)), ending);

    /// <summary>Long names that differ only past the limit stay apart, and are the same in every request, as prompt caches need.</summary>
    private static string Hash(string text)
    {
        uint hash = 2166136261;
        foreach (char c in text) hash = (hash ^ c) * 16777619;
        return hash.ToString("x8", CultureInfo.InvariantCulture);
    }
}
