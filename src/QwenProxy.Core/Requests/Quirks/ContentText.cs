using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>The content of messages: a string, or an array of parts. Texts keep the JSON spelling the client gave them.</summary>
internal static class ContentText
{
    private static ReadOnlySpan<byte> Separator => "\\n\\n"u8;

    /// <summary>An array that holds only texts, as one string with an empty line between two; null for anything else.</summary>
    public static byte[]? Flatten(ReadOnlySpan<byte> content)
    {
        if (!JsonValue.IsArray(content)) return null;
        using PooledBytes text = new(content.Length);
        text.Write("\""u8);
        JsonScanner parts = new(content);
        while (parts.MoveNext())
        {
            ReadOnlySpan<byte> part = parts.Value.In(content);
            ReadOnlySpan<byte> words = JsonValue.Find(part, "text"u8);
            if (!JsonValue.StringIs(JsonValue.Find(part, "type"u8), "text"u8) || !JsonValue.IsString(words)) return null;
            if (text.Length > 1 && words.Length > 2) text.Write(Separator);
            text.Write(JsonValue.Inside(words));
        }

        text.Write("\""u8);
        return parts.Failed ? null : text.Span.ToArray();
    }

    /// <summary>A string as an array of one text part; null for anything else.</summary>
    public static byte[]? ToParts(ReadOnlySpan<byte> content)
    {
        if (!JsonValue.IsString(content)) return null;
        return [.. "[{\"type\":\"text\",\"text\":"u8, .. content, .. "}]"u8];
    }

    /// <summary>Several contents as one: a string when all are, else an array in which every part stays a part.</summary>
    public static byte[] Join(IReadOnlyList<ReadOnlyMemory<byte>> contents)
    {
        bool asParts = contents.Any(c => JsonValue.IsArray(c.Span));
        using PooledBytes joined = new();
        joined.Write(asParts ? "["u8 : "\""u8);
        foreach (ReadOnlyMemory<byte> content in contents)
        {
            ReadOnlySpan<byte> value = content.Span;
            if (JsonValue.IsEmptyContainer(value) || (!JsonValue.IsArray(value) && JsonValue.Inside(value).IsEmpty)) continue;
            if (joined.Length > 1) joined.Write(asParts ? ","u8 : Separator);
            if (!asParts) joined.Write(JsonValue.Inside(value));
            else joined.Write(JsonValue.IsArray(value) ? value[1..^1] : ToParts(value).AsSpan()[1..^1]);
        }

        joined.Write(asParts ? "]"u8 : "\""u8);
        return joined.Span.ToArray();
    }
}
