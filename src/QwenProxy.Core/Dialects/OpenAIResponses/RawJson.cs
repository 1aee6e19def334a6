using System.Text;
using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// One JSON value in the bytes it came in, so that it can be copied on token by token: escapes, Chinese text and number spellings survive.
/// The bytes have passed a JSON reader. A value that is not there has no bytes.
/// </summary>
internal readonly struct RawJson(ReadOnlyMemory<byte> bytes)
{
    public ReadOnlyMemory<byte> Bytes => bytes;

    public ReadOnlySpan<byte> Span => bytes.Span;

    public bool IsString => Span.Length > 1 && Span[0] == '"';

    public bool IsObject => Span.Length > 1 && Span[0] == '{';

    public bool IsArray => Span.Length > 1 && Span[0] == '[';

    /// <summary>Absent or null: the two mean the same in this API.</summary>
    public bool IsNothing => Span.IsEmpty || Span[0] == 'n';

    public bool IsTrue => Is("true"u8);

    /// <summary>A string's inside as it is spelt; empty for anything else.</summary>
    public ReadOnlySpan<byte> Inside => IsString ? Span[1..^1] : default;

    public bool Is(ReadOnlySpan<byte> token) => Span.SequenceEqual(token);

    /// <summary>True when this is the string <paramref name="text"/>, spelt without escapes.</summary>
    public bool IsText(ReadOnlySpan<byte> text) => IsString && Inside.SequenceEqual(text);

    /// <summary>A string in plain UTF-16; empty for anything else.</summary>
    public string Text()
    {
        ReadOnlySpan<byte> inside = Inside;
        if (inside.IndexOf((byte)'\\') < 0) return Encoding.UTF8.GetString(inside);
        using PooledBytes plain = new(inside.Length);
        JsonText.Unescape(inside, plain);
        return Encoding.UTF8.GetString(plain.Span);
    }

    /// <summary>An object's member; nothing when it has none of that name or is no object. The last of several counts.</summary>
    public RawJson Member(ReadOnlySpan<byte> name) => IsObject ? At(JsonScanner.Find(Span, name)) : default;

    /// <summary>An array's items; none for anything else.</summary>
    public List<RawJson> Items()
    {
        List<RawJson> items = [];
        if (!IsArray) return items;
        JsonScanner scanner = new(Span);
        while (scanner.MoveNext()) items.Add(At(scanner.Value));
        return items;
    }

    /// <summary>True for one whole value with nothing behind it, read by a real JSON reader: text of a model's, whose tokens nobody has looked at yet.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> text)
    {
        try
        {
            Utf8JsonReader reader = new(text);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The same JSON without white space between tokens: on one line, as an SSE event needs it.</summary>
    public static byte[] Compact(ReadOnlySpan<byte> json)
    {
        if (json.IndexOfAny((byte)'\n', (byte)'\r') < 0) return json.ToArray();
        using PooledBytes compact = new(json.Length);
        for (int at = JsonScanner.SkipSpace(json, 0); at < json.Length; at = JsonScanner.SkipSpace(json, at))
        {
            int end = json[at] == '"' ? JsonScanner.SkipValue(json, at) : at + 1;
            compact.Write(json[at..end]);
            at = end;
        }

        return compact.Span.ToArray();
    }

    public RawJson At(ByteRange range) => new(bytes.Slice(range.Start, range.Length));

    /// <summary>The bytes of a string value.</summary>
    public static byte[] Quote(string text) => JsonText.Quote(text);
}
