using System.Collections.Immutable;
using System.Text.Json;

namespace QwenProxy.Console.Setup;

/// <summary>One value that <c>setup</c> wrote.</summary>
/// <param name="Value">As JSON text.</param>
/// <param name="IsMark">It was written only because the file cannot do without it (a version, a date); it goes with what it stands in, and not alone.</param>
internal sealed record WrittenKey(ImmutableArray<string> Path, string Value, bool IsMark)
{
    /// <summary>An empty object is a place for others to write into, and nothing that a file cannot do without.</summary>
    public static WrittenKey Of(SettingWish wish) => new(wish.Path, wish.Value, wish.OnlyIfMissing && wish.Value != "{}");
}

/// <summary>
/// Takes back, key by key, what was written into a file that others have written into since: a value that still stands gives way to the one before it, or
/// goes. What is left empty and was not there before goes too. All else stays as it is.
/// </summary>
internal static class KeyUndo
{
    /// <param name="now">The text of the file.</param>
    /// <param name="before">The text before it was set up; null when there was no file.</param>
    /// <param name="newFile">What a new file was begun with.</param>
    /// <returns>Null when nothing is left that somebody else wrote, and the file was not there before.</returns>
    public static string? Apply(SettingsFormat format, string now, string? before, string newFile, IReadOnlyList<WrittenKey> keys)
    {
        string text = now;
        foreach (WrittenKey key in keys.Reverse().Where(k => !k.IsMark))
        {
            if (Get(format, text, key.Path) is not { } raw || !IsSame(format, raw, key.Value)) continue;
            string? old = before is null ? null : Get(format, before, key.Path);
            text = old is null ? Remove(format, text, key.Path) : Replace(format, text, key.Path, old);
        }

        IEnumerable<ImmutableArray<string>> containers = keys.SelectMany(k => Enumerable.Range(1, k.Path.Length - 1).Select(n => k.Path[..n]));
        foreach (ImmutableArray<string> container in containers.DistinctBy(c => string.Join('\0', c)).OrderByDescending(c => c.Length))
        {
            bool wasThere = before is not null && Keys(format, before, container) is not null;
            if (!wasThere && Keys(format, text, container) is { } members && members.All(m => IsMark(keys, [.. container, m]))) text = Remove(format, text, container);
        }

        ImmutableArray<string> begun = newFile.Length == 0 ? [] : Keys(format, newFile, []) ?? [];
        bool isOurs = (Keys(format, text, []) ?? []).All(m => IsMark(keys, [m]) || begun.Contains(m));
        return before is null && isOurs ? null : text;
    }

    private static bool IsMark(IReadOnlyList<WrittenKey> keys, ImmutableArray<string> path) => keys.Any(k => k.IsMark && k.Path.SequenceEqual(path));

    private static string? Get(SettingsFormat format, string text, ImmutableArray<string> path) => format switch
    {
        SettingsFormat.Json => JsonKeys.Get(text, path),
        SettingsFormat.Toml => TomlKeys.Get(text, path),
        _ => YamlKeys.Get(text, path),
    };

    private static string Remove(SettingsFormat format, string text, ImmutableArray<string> path) => format switch
    {
        SettingsFormat.Json => JsonKeys.Remove(text, path),
        SettingsFormat.Toml => TomlKeys.Remove(text, path),
        _ => YamlKeys.Remove(text, path),
    };

    private static string Replace(SettingsFormat format, string text, ImmutableArray<string> path, string raw) => format switch
    {
        SettingsFormat.Json => JsonKeys.Replace(text, path, raw),
        SettingsFormat.Toml => TomlKeys.Replace(text, path, raw),
        _ => YamlKeys.Replace(text, path, raw),
    };

    /// <summary>The members of a map; null when there is none at that place.</summary>
    private static ImmutableArray<string>? Keys(SettingsFormat format, string text, ImmutableArray<string> path) => format switch
    {
        SettingsFormat.Json => JsonKeys.Members(text, path),
        SettingsFormat.Toml => TomlKeys.Members(text, path),
        _ => YamlKeys.Members(text, path),
    };

    private static bool IsSame(SettingsFormat format, string raw, string wished)
    {
        if (raw == wished) return true;
        using JsonDocument value = JsonDocument.Parse(wished);
        if (format == SettingsFormat.Yaml) return value.RootElement.ValueKind == JsonValueKind.String && YamlNode.Read(raw)?.Scalar == value.RootElement.GetString();
        if (format == SettingsFormat.Toml) return false;
        using JsonDocument there = JsonDocument.Parse(raw, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
        return JsonElement.DeepEquals(there.RootElement, value.RootElement);
    }
}
