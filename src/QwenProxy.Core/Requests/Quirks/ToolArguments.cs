using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>The arguments of a past tool call: a string that holds a JSON object, or can be made to.</summary>
internal static class ToolArguments
{
    private const int MaxDepth = 64;

    /// <summary>
    /// What the value should be; null when it is right as it is. An object becomes a string, one that was encoded twice is unwrapped, one that was
    /// cut is closed, and whatever is left becomes <c>{}</c>: the model has seen that call's result, so its words can be spared.
    /// </summary>
    public static byte[]? Mend(ReadOnlySpan<byte> value)
    {
        if (JsonValue.IsObject(value)) return JsonValue.Quote(IsWholeObject(value) ? value : "{}"u8);
        if (!JsonValue.IsString(value)) return "\"{}\""u8.ToArray();
        using PooledBytes plain = new(value.Length);
        JsonText.Unescape(JsonValue.Inside(value), plain);
        if (IsWholeObject(plain.Span)) return null;
        using PooledBytes closed = new(value.Length + 16);
        return JsonValue.Quote(Unwrap(plain.Span) ?? Close(plain.Span, closed));
    }

    /// <summary>The same for a dialect that has them as an object, where the value is something else.</summary>
    public static byte[] MendObject(ReadOnlySpan<byte> value)
    {
        if (!JsonValue.IsString(value)) return "{}"u8.ToArray();
        using PooledBytes plain = new(value.Length);
        JsonText.Unescape(JsonValue.Inside(value), plain);
        if (IsWholeObject(plain.Span)) return plain.Span.ToArray();
        using PooledBytes closed = new(value.Length + 16);
        return Unwrap(plain.Span) ?? Close(plain.Span, closed).ToArray();
    }

    private static bool IsWholeObject(ReadOnlySpan<byte> text)
    {
        int start = JsonScanner.SkipSpace(text, 0);
        if (start == text.Length || text[start] != '{') return false;
        try
        {
            Utf8JsonReader reader = new(text, new JsonReaderOptions { MaxDepth = MaxDepth * 4 });
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            // That it cannot be read is the answer to the question.
            return false;
        }
    }

    private static byte[]? Unwrap(ReadOnlySpan<byte> text)
    {
        int start = JsonScanner.SkipSpace(text, 0);
        if (start == text.Length || text[start] != '"') return null;
        int end = JsonScanner.SkipValue(text, start);
        if (end < 0 || JsonScanner.SkipSpace(text, end) != text.Length) return null;
        using PooledBytes inner = new(text.Length);
        JsonText.Unescape(text[(start + 1)..(end - 1)], inner);
        return IsWholeObject(inner.Span) ? inner.Span.ToArray() : null;
    }

    /// <summary>Closes the string and the brackets that are open at the end of a text that was cut.</summary>
    private static ReadOnlySpan<byte> Close(ReadOnlySpan<byte> text, PooledBytes output)
    {
        Span<byte> closers = stackalloc byte[MaxDepth];
        int depth = 0;
        bool inString = false;
        for (int i = 0; i < text.Length; i++)
        {
            byte b = text[i];
            if (inString)
            {
                if (b == '\\') i++;
                inString = i >= text.Length || b != '"';
            }
            else if (b == '"') inString = true;
            else if (b is (byte)'{' or (byte)'[')
            {
                if (depth == MaxDepth) return "{}"u8;
                closers[depth++] = (byte)(b == '{' ? '}' : ']');
            }
            else if (b is (byte)'}' or (byte)']' && (depth == 0 || closers[--depth] != b)) return "{}"u8;
        }

        output.Write(WithoutDanglingEnd(text, inString));
        if (inString) output.Write("\""u8);
        while (depth > 0) output.Write(closers.Slice(--depth, 1));
        return IsWholeObject(output.Span) ? output.Span : "{}"u8;
    }

    /// <summary>An escape that lost its second half, or a comma with nothing behind it, would spoil what is closed after it.</summary>
    private static ReadOnlySpan<byte> WithoutDanglingEnd(ReadOnlySpan<byte> text, bool inString)
    {
        if (!inString)
        {
            ReadOnlySpan<byte> trimmed = text.TrimEnd(" \t\r\n"u8);
            return trimmed.EndsWith(","u8) ? trimmed[..^1] : trimmed;
        }

        int unicode = text.LastIndexOf("\\u"u8);
        if (unicode >= 0 && text.Length - unicode < 6 && !IsEscaped(text, unicode)) return text[..unicode];
        int slash = text.Length - 1;
        return text[slash] == '\\' && !IsEscaped(text, slash) ? text[..slash] : text;
    }

    private static bool IsEscaped(ReadOnlySpan<byte> text, int at)
    {
        int slashes = 0;
        while (at - slashes > 0 && text[at - slashes - 1] == '\\') slashes++;
        return slashes % 2 == 1;
    }
}
