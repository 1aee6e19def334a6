using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Looks into JSON that is known to be well-formed. Values are slices of the text; absent and null are empty.</summary>
internal static class JsonField
{
    /// <summary>The member's value; of several with one name the last, as JSON readers do.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        if (!IsObject(json)) return default;
        ReadOnlySpan<byte> found = JsonScanner.Find(json, name).In(json);
        return found.SequenceEqual("null"u8) ? default : found;
    }

    public static bool IsString(ReadOnlySpan<byte> value) => value.Length > 1 && value[0] == '"';

    public static bool IsArray(ReadOnlySpan<byte> value) => value.Length > 1 && value[0] == '[';

    public static bool IsObject(ReadOnlySpan<byte> value) => value.Length > 1 && value[0] == '{';

    public static bool IsTrue(ReadOnlySpan<byte> value) => value.SequenceEqual("true"u8);

    /// <summary>The JSON spelling of a string without its quotes; empty for anything else.</summary>
    public static ReadOnlySpan<byte> Inside(ReadOnlySpan<byte> value) => IsString(value) ? value[1..^1] : default;

    public static bool StringIs(ReadOnlySpan<byte> value, ReadOnlySpan<byte> text) => IsString(value) && Inside(value).SequenceEqual(text);

    /// <summary>The plain text of a string value; empty for anything else.</summary>
    public static string Text(ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> inside = Inside(value);
        if (inside.IndexOf((byte)'\\') < 0) return Encoding.UTF8.GetString(inside);
        using PooledBytes plain = new(inside.Length);
        JsonText.Unescape(inside, plain);
        return Encoding.UTF8.GetString(plain.Span);
    }

    public static bool HasCacheMarker(ReadOnlySpan<byte> block) => IsObject(Find(block, "cache_control"u8));
}
