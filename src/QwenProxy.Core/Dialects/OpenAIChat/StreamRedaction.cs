using System.Text.Json;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>
/// Makes a captured stream fit to be shown: letters and digits inside the strings of its events become <c>x</c>, in place, so that lengths, escapes,
/// punctuation, framing and numbers stay. Strings that name things (ids, models, roles, tools) stay, and so do the tags that repair looks for.
/// Text of other scripts keeps its length in bytes. Repair may decide otherwise on the result: text of one letter proves nothing.
/// </summary>
public static class StreamRedaction
{
    private static readonly string[] s_kept =
        ["id", "object", "model", "role", "type", "name", "finish_reason", "system_fingerprint", "code", "status", "service_tier", "request_id", "event"];

    private static readonly string[] s_tags = ["think", "tool_call", "function", "parameter", "tools"];

    public static void Redact(Span<byte> stream)
    {
        while (!stream.IsEmpty)
        {
            int end = stream.IndexOfAny((byte)'\n', (byte)'\r');
            Span<byte> line = end < 0 ? stream : stream[..end];
            stream = end < 0 ? default : stream[(end + 1)..];
            if (line.StartsWith("data:"u8)) RedactData(line["data:".Length..]);
            else if (!line.StartsWith("event:"u8) && !line.StartsWith("id:"u8) && !line.StartsWith(":HTTP_STATUS"u8)) RedactText(line);
        }
    }

    private static void RedactData(Span<byte> data)
    {
        if (data.Trim((byte)' ').SequenceEqual("[DONE]"u8)) return;
        List<(int Start, int Length)> texts = [];
        try
        {
            Utf8JsonReader reader = new(data);
            bool isKept = false;
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName) isKept = IsKept(reader);
                else if (reader.TokenType == JsonTokenType.String && !isKept) texts.Add(((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length));
            }
        }
        catch (JsonException)
        {
            // Cut or broken: where its strings are cannot be told, so all of it is text.
            RedactText(data);
            return;
        }

        foreach ((int start, int length) in texts) RedactText(data.Slice(start, length));
    }

    private static bool IsKept(in Utf8JsonReader name)
    {
        foreach (string kept in s_kept)
        {
            if (name.ValueTextEquals(kept)) return true;
        }

        return false;
    }

    private static void RedactText(Span<byte> text)
    {
        int i = 0;
        while (i < text.Length)
        {
            byte b = text[i];
            if (b == '\\' && i + 1 < text.Length)
            {
                // \uXXXX stays one of its kind; the others stay what they are.
                if (text[i + 1] == 'u' && i + 6 <= text.Length) "0078"u8.CopyTo(text[(i + 2)..]);
                i += text[i + 1] == 'u' ? 6 : 2;
            }
            else if (b == '<') i += 1 + TagLength(text[(i + 1)..]);
            else if (b < 0x80)
            {
                if (char.IsAsciiLetterOrDigit((char)b)) text[i] = (byte)'x';
                i++;
            }
            else i += RedactRune(text[i..]);
        }
    }

    private static int TagLength(ReadOnlySpan<byte> rest)
    {
        int slash = rest.StartsWith("/"u8) ? 1 : 0;
        foreach (string tag in s_tags)
        {
            if (rest.Length >= slash + tag.Length && System.Text.Ascii.Equals(rest.Slice(slash, tag.Length), tag)) return slash + tag.Length;
        }

        return slash;
    }

    /// <summary>A character of several bytes becomes one of the same length; bytes that are no character become x.</summary>
    private static int RedactRune(Span<byte> text)
    {
        ReadOnlySpan<byte> stand = (text[0] >> 4) switch
        {
            0b1100 or 0b1101 => "ø"u8,
            0b1110 => "字"u8,
            0b1111 => "🔤"u8,
            _ => "x"u8,
        };
        if (stand.Length > text.Length) stand = "x"u8;
        stand.CopyTo(text);
        return stand.Length;
    }
}
