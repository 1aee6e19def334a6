using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Arguments that are a JSON string which holds JSON, where they should be that JSON.</summary>
internal static class WrappedArguments
{
    /// <summary>What has come of the string is the beginning of an object with a key, or of an empty one.</summary>
    public static bool BeginsWithObject(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> token = text.TrimStart(" \t\r\n"u8);
        if (token.Length < 3 || token[0] != '"' || token[1] != '{') return false;
        return token[2] is (byte)'\\' or (byte)' ' or (byte)'}';
    }

    /// <summary>Only a string whose content is one JSON object, with nothing behind it, is proof; some models wrap twice.</summary>
    public static bool TryUnwrap(ReadOnlySpan<byte> text, PooledBytes plain)
    {
        ReadOnlySpan<byte> token = text.Trim(" \t\r\n"u8);
        for (int layer = 0; layer < 3; layer++)
        {
            if (token.Length < 2 || token[0] != '"' || JsonScanner.SkipValue(token, 0) != token.Length || !ValueCoercion.IsJson(token)) return false;
            using PooledBytes inside = new(token.Length);
            JsonText.Unescape(token[1..^1], inside);
            plain.Clear();
            plain.Write(inside.Span);
            token = plain.Span.Trim(" \t\r\n"u8);
            if (token.Length > 1 && token[0] == '{') return ValueCoercion.IsJson(token);
            if (token.Length > 1 && token[0] == '"') token = token.ToArray();
        }

        return false;
    }
}
