using System.Text;
using System.Text.Json;

namespace QwenProxy.Configuration;

/// <summary>Why a text is not JSON, in the words of a person who writes it by hand, and where.</summary>
internal readonly record struct JsonFault(ConfigPosition Place, string Words)
{
    /// <param name="bytes">The whole text, without a byte order mark.</param>
    /// <param name="fault">What the reader made of it.</param>
    public static JsonFault Of(ReadOnlySpan<byte> bytes, JsonException fault)
    {
        if (bytes.Trim(" \t\r\n"u8).IsEmpty) return new JsonFault(new ConfigPosition(1, 1), "the file is empty");
        ConfigPosition place = new((int)(fault.LineNumber ?? 0) + 1, (int)(fault.BytePositionInLine ?? 0) + 1);
        if (fault.Message.Contains("maximum configured depth", StringComparison.Ordinal)) return new JsonFault(place, "it is nested too deep; 64 levels are the most");
        int at = OffsetOf(bytes, fault);
        if (at >= bytes.TrimEnd(" \t\r\n"u8).Length) return FindOpen(bytes) is { } open ? open : new JsonFault(place, "not JSON: the text ends too early");
        if (bytes[at] is (byte)'\n' or (byte)'\r') return new JsonFault(place, "not JSON: the text that begins in this line is not closed with \"");
        Rune.DecodeFromUtf8(bytes[at..], out Rune character, out _);
        return new JsonFault(place, $"not JSON: `{character}` cannot stand here");
    }

    private static int OffsetOf(ReadOnlySpan<byte> bytes, JsonException fault)
    {
        int start = 0;
        for (long line = fault.LineNumber ?? 0; line > 0; line--)
        {
            int end = bytes[start..].IndexOf((byte)'\n');
            if (end < 0) break;
            start += end + 1;
        }

        return start + (int)(fault.BytePositionInLine ?? 0);
    }

    /// <summary>The innermost bracket, or the text, that is still open at the end.</summary>
    private static JsonFault? FindOpen(ReadOnlySpan<byte> bytes)
    {
        Stack<(byte Bracket, int At)> open = [];
        for (int i = 0; i < bytes.Length; i++)
        {
            switch (bytes[i])
            {
                case (byte)'{' or (byte)'[':
                    open.Push((bytes[i], i));
                    break;
                case (byte)'}' or (byte)']':
                    open.TryPop(out _);
                    break;
                case (byte)'/':
                    i = EndOfComment(bytes, i);
                    break;
                case (byte)'"':
                    int begin = i;
                    while (++i < bytes.Length && bytes[i] != '"') i += bytes[i] == '\\' ? 1 : 0;
                    if (i >= bytes.Length) return new JsonFault(At(bytes, begin), $"not JSON: the text that begins in line {At(bytes, begin).Line} is not closed with \"");
                    break;
            }
        }

        return open.TryPop(out (byte Bracket, int At) last) ? new JsonFault(At(bytes, last.At), $"not JSON: `{(char)last.Bracket}` of line {At(bytes, last.At).Line} is not closed") : null;
    }

    /// <summary>Where the last byte of a comment stands; a lone slash is its own end.</summary>
    private static int EndOfComment(ReadOnlySpan<byte> bytes, int at)
    {
        ReadOnlySpan<byte> rest = bytes[at..];
        int length = rest.StartsWith("//"u8) ? rest.IndexOf((byte)'\n') : rest.StartsWith("/*"u8) ? rest.IndexOf("*/"u8) + 1 : 0;
        return length < 0 ? bytes.Length : at + length;
    }

    private static ConfigPosition At(ReadOnlySpan<byte> bytes, int offset) =>
        new(bytes[..offset].Count((byte)'\n') + 1, Encoding.UTF8.GetCharCount(bytes[(bytes[..offset].LastIndexOf((byte)'\n') + 1)..offset]) + 1);
}
