using System.Collections.Immutable;

namespace QwenProxy.Console.Setup;

/// <summary>One value that an agent's settings file shall hold.</summary>
/// <param name="Path">Keys from the root down. In YAML an item of a list is addressed by its <c>name</c>.</param>
/// <param name="Value">As JSON text, which TOML and YAML read the same way.</param>
/// <param name="OnlyIfMissing">A value that is there already is left alone, whatever it is.</param>
internal sealed record SettingWish(ImmutableArray<string> Path, string Value, bool OnlyIfMissing = false);

/// <summary>A settings file that cannot be edited without risk; the message says where and why. Nothing has been written.</summary>
internal sealed class SettingsFault(string message) : Exception(message);

/// <summary>How the settings files of an agent are written.</summary>
internal enum SettingsFormat
{
    Json,
    Toml,
    Yaml,
}

/// <summary>
/// Makes wishes true in the text of a settings file by changing as little of it as possible. Comments, order, unknown keys and line ends stay: these are
/// files that people keep by hand, and a rewrite would lose what a parser does not see.
/// </summary>
internal static class SettingsText
{
    public static string Apply(SettingsFormat format, string text, IReadOnlyList<SettingWish> wishes)
    {
        string result = ApplyAll(format, text, wishes);

        // An edit that went to the wrong place shows itself here, before anything is written.
        if (ApplyAll(format, result, wishes) != result) throw new SettingsFault("it is written in a form that cannot be edited safely");
        return result;
    }

    /// <summary>The line end that the file uses.</summary>
    public static string NewLineOf(string text) => text.Contains("\r\n", StringComparison.Ordinal) ? "\r\n" : "\n";

    /// <summary>Where the line that holds <paramref name="at"/> is over: behind its line end, or at the end of the text.</summary>
    public static int EndOfLine(string text, int at)
    {
        int end = text.IndexOf('\n', at);
        return end < 0 ? text.Length : end + 1;
    }

    /// <summary>Puts whole lines at a place that begins a line, or at the end of the text.</summary>
    public static string InsertLines(string text, int at, string lines)
    {
        string newLine = NewLineOf(text);
        string before = at > 0 && text[at - 1] != '\n' ? newLine : "";
        return text.Insert(at, before + lines.Replace("\n", newLine, StringComparison.Ordinal));
    }

    private static string ApplyAll(SettingsFormat format, string text, IReadOnlyList<SettingWish> wishes)
    {
        foreach (SettingWish wish in wishes)
        {
            text = format switch
            {
                SettingsFormat.Json => JsonSettings.Set(text, wish),
                SettingsFormat.Toml => TomlSettings.Set(text, wish),
                _ => YamlSettings.Set(text, wish),
            };
        }

        return text;
    }
}
