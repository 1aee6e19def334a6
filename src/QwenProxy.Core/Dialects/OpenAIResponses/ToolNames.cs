using System.Globalization;
using System.Text;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>What a chat function stands for in the client's request.</summary>
/// <param name="Namespace">The group the tool was declared in; null for a tool of its own.</param>
/// <param name="Name">The tool's name as the client knows it.</param>
/// <param name="IsCustom">A custom tool: its input is plain text, not JSON.</param>
internal readonly record struct ToolTarget(string? Namespace, string Name, bool IsCustom);

/// <summary>
/// Chat knows only functions with flat names; this API has groups of them (<c>namespace</c>) and custom tools. Names are made flat on the way to the
/// model, and told apart again on the way back: clients look a call up by namespace and name, and refuse a flat one.
/// </summary>
internal sealed class ToolNames
{
    private const int MaxLength = 64;

    private readonly Dictionary<string, ToolTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<(string? Namespace, string Name), string> _flat = [];

    /// <summary>Declares a tool and returns its flat name. Tools outside any group come first, so that theirs never have to change.</summary>
    public string Add(string? group, string name, bool isCustom)
    {
        if (_flat.TryGetValue((group, name), out string? known)) return known;
        string flat = Join(group, name);
        if (group is not null)
        {
            string wish = flat;
            for (int n = 2; _targets.ContainsKey(flat); n++) flat = Shorten(wish, "_" + n.ToString(CultureInfo.InvariantCulture));
        }

        _targets[flat] = new ToolTarget(group, name, isCustom);
        _flat[(group, name)] = flat;
        return flat;
    }

    /// <summary>The flat name of a tool that a history or a tool choice names, declared or not.</summary>
    public string Flat(string? group, string name) => _flat.GetValueOrDefault((group, name)) ?? Join(group, name);

    /// <summary>What the model means by a name; a name nobody declared is passed on as it is, for the client to refuse in its own words.</summary>
    public ToolTarget Find(string flat) => _targets.TryGetValue(flat, out ToolTarget target) ? target : new ToolTarget(null, flat, false);

    private static string Join(string? group, string name)
    {
        if (string.IsNullOrEmpty(group)) return name;
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
