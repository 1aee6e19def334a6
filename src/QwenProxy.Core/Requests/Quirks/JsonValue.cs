using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>Looks at JSON values by their bytes. An absent value is empty.</summary>
internal static class JsonValue
{
    public static bool IsNull(ReadOnlySpan<byte> value) => value.SequenceEqual("null"u8);

    public static bool IsNothing(ReadOnlySpan<byte> value) => value.IsEmpty || IsNull(value);

    public static bool IsTrue(ReadOnlySpan<byte> value) => value.SequenceEqual("true"u8);

    public static bool IsFalse(ReadOnlySpan<byte> value) => value.SequenceEqual("false"u8);

    public static bool IsString(ReadOnlySpan<byte> value) => value.Length > 1 && value[0] == '"';

    public static bool IsArray(ReadOnlySpan<byte> value) => value.Length > 1 && value[0] == '[';

    public static bool IsObject(ReadOnlySpan<byte> value) => value.Length > 1 && value[0] == '{';

    /// <summary>An array or object without a member.</summary>
    public static bool IsEmptyContainer(ReadOnlySpan<byte> value) =>
        (IsArray(value) || IsObject(value)) && JsonScanner.SkipSpace(value, 1) == value.Length - 1;

    /// <summary>The JSON spelling of a string without its quotes; empty for anything else.</summary>
    public static ReadOnlySpan<byte> Inside(ReadOnlySpan<byte> value) => IsString(value) ? value[1..^1] : default;

    public static bool StringIs(ReadOnlySpan<byte> value, ReadOnlySpan<byte> text) => IsString(value) && Inside(value).SequenceEqual(text);

    /// <summary>The member's value; of several with one name the last, as JSON readers do.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => FindRange(json, name).In(json);

    public static ByteRange FindRange(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => IsObject(json) ? JsonScanner.Find(json, name) : default;

    /// <summary>The plain text of a string value; empty for anything else.</summary>
    public static string Text(ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> inside = Inside(value);
        if (inside.IndexOf((byte)'\\') < 0) return Encoding.UTF8.GetString(inside);
        using PooledBytes plain = new(inside.Length);
        JsonText.Unescape(inside, plain);
        return Encoding.UTF8.GetString(plain.Span);
    }

    public static byte[] Quote(ReadOnlySpan<byte> plain)
    {
        using PooledBytes bytes = new(plain.Length + 16);
        JsonText.WriteString(plain, bytes);
        return bytes.Span.ToArray();
    }

    public static byte[] Quote(string plain) => Quote(Encoding.UTF8.GetBytes(plain));
}
