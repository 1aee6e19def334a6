namespace QwenProxy.Configuration;

internal enum ConfigNodeKind
{
    Object,
    Array,
    Text,
    Number,
    Boolean,
    Null,
}

/// <summary>Where something stands in the file; both count from 1.</summary>
internal readonly record struct ConfigPosition(int Line, int Column);

/// <summary>One value of the configuration file, with its place. Strings are unescaped, numbers and words are as written.</summary>
internal sealed class ConfigNode(ConfigNodeKind kind, string text, ConfigPosition position)
{
    public ConfigNodeKind Kind { get; } = kind;

    public string Text { get; } = text;

    public ConfigPosition Position { get; } = position;

    /// <summary>The members of an object in the order written.</summary>
    public List<ConfigMember> Members { get; } = [];

    /// <summary>The elements of an array.</summary>
    public List<ConfigNode> Items { get; } = [];

    public ConfigNode? Find(string key) => Members.Find(m => m.Key == key)?.Value;

    /// <summary>What a person calls this kind of value.</summary>
    public string KindInWords => Kind switch
    {
        ConfigNodeKind.Object => "an object",
        ConfigNodeKind.Array => "a list",
        ConfigNodeKind.Text => "a text",
        ConfigNodeKind.Number => "a number",
        ConfigNodeKind.Boolean => "true or false",
        _ => "null",
    };
}

internal sealed record ConfigMember(string Key, ConfigPosition Position, ConfigNode Value);
