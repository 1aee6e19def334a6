using System.Text.Json;

namespace QwenProxy.Console.Setup;

/// <summary>Edits YAML written in block style, as people write it. Flow style is refused where something would have to go into it.</summary>
internal static class YamlSettings
{
    public static string Set(string text, SettingWish wish)
    {
        YamlNode root = YamlNode.Read(text) ?? new YamlNode { IsMap = true, Start = text.Length };
        if (!root.IsMap || root.IsFlow) throw new SettingsFault("it is not a mapping in block style, \"key: value\" line by line");
        if (wish.Path is [string key]) return SetInMap(text, root, key, wish, text.Length);
        string list = wish.Path[0];
        string name = wish.Path[1];
        (text, YamlNode item) = FindOrAddItem(text, root, list, name);
        int at = SettingsText.EndOfLine(text, item.Members.Last(m => m.Value.IsOneLine).Value.End);
        return SetInMap(text, item, wish.Path[2], wish, at);
    }

    private static string SetInMap(string text, YamlNode map, string key, SettingWish wish, int at)
    {
        if (map.Find(key) is not { } value)
            return SettingsText.InsertLines(text, at, $"{new string(' ', map.Column)}{key}: {wish.Value}\n");
        if (wish.OnlyIfMissing) return text;
        if (!value.IsScalar) throw new SettingsFault($"line {value.Line}: {key} is not a single value of its own");
        using JsonDocument wished = JsonDocument.Parse(wish.Value);
        if (value.Scalar == wished.RootElement.GetString()) return text;
        string gap = value.Start == value.End ? " " : "";
        return text[..value.Start] + gap + wish.Value + text[value.End..];
    }

    private static (string Text, YamlNode Item) FindOrAddItem(string text, YamlNode root, string list, string name)
    {
        YamlNode? items = root.Find(list);
        if (items?.Items.Find(i => i.Find("name")?.Scalar == name) is { IsFlow: false } there) return (text, there);
        string entry = $"- name: \"{JsonEncodedText.Encode(name)}\"\n";
        string indent = new(' ', root.Column);
        if (items is null)
        {
            text = SettingsText.InsertLines(text, text.Length, $"{indent}{list}:\n{indent}  {entry}");
        }
        else if (items.Items is [{ } first, ..] && !items.IsFlow)
        {
            // First in the list, since an agent that has not been told otherwise takes the first model.
            int dash = text.LastIndexOf('-', first.Start);
            int line = text.LastIndexOf('\n', dash) + 1;
            text = SettingsText.InsertLines(text, line, text[line..dash] + entry);
        }
        else if (items.Items.Count == 0 && (items.IsFlow || items.Scalar is "" or "~" or "null"))
        {
            string newLine = SettingsText.NewLineOf(text);
            text = text[..items.Start].TrimEnd(' ') + newLine + indent + "  " + entry.TrimEnd('\n') + text[items.End..];
        }
        else
        {
            throw new SettingsFault($"line {items.Line}: {list} is not a list in block style, with \"- name: …\" line by line");
        }

        YamlNode item = YamlNode.Read(text)!.Find(list)!.Items.Find(i => i.Find("name")?.Scalar == name)!;
        return (text, item);
    }
}
