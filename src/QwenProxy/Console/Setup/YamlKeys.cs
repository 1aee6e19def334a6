using System.Collections.Immutable;

namespace QwenProxy.Console.Setup;

/// <summary>Finds, replaces and removes single values in YAML text. The items of a list are addressed by their <c>name</c>.</summary>
internal static class YamlKeys
{
    private const string Name = "name";

    public static string? Get(string text, ImmutableArray<string> path) => Find(text, path) is { IsScalar: true } node ? text[node.Start..node.End] : null;

    public static string Replace(string text, ImmutableArray<string> path, string raw)
    {
        YamlNode node = Find(text, path)!;
        return text[..node.Start] + raw + text[node.End..];
    }

    /// <summary>A value goes with its line, an item of a list with all of its lines.</summary>
    public static string Remove(string text, ImmutableArray<string> path)
    {
        YamlNode node = Find(text, path)!;
        int from = path.Length == 2 ? text.LastIndexOf('-', node.Start) : node.Start;
        int last = path.Length == 2 ? node.Members.Max(m => m.Value.End) : node.End;
        int start = from == 0 ? 0 : text.LastIndexOf('\n', from - 1) + 1;
        return text.Remove(start, SettingsText.EndOfLine(text, Math.Max(from, last - 1)) - start);
    }

    public static ImmutableArray<string>? Members(string text, ImmutableArray<string> path)
    {
        YamlNode? node = Find(text, path);
        if (node is null) return path.IsEmpty ? [] : null;
        if (node.IsMap) return [.. node.Members.Select(m => m.Key).Where(k => path.IsEmpty || k != Name)];
        if (node.Items.Count > 0) return [.. node.Items.Select(i => i.Find(Name)?.Scalar ?? "")];
        return node.Scalar is "" or "~" or "null" ? [] : null;
    }

    private static YamlNode? Find(string text, ImmutableArray<string> path)
    {
        YamlNode? node = YamlNode.Read(text);
        for (int i = 0; i < path.Length && node is not null; i++)
            node = i == 1 ? node.Items.Find(item => item.Find(Name)?.Scalar == path[1]) : node.Find(path[i]);
        return node;
    }
}
