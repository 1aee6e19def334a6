using System.Buffers;
using System.Text;

namespace QwenProxy.Wire;

/// <summary>Strings between their JSON spelling and plain UTF-8.</summary>
public static class JsonText
{
    private static readonly SearchValues<byte> MustEscape = SearchValues.Create([
        .. Enumerable.Range(0, 0x20).Select(i => (byte)i), (byte)'"', (byte)'\\',
    ]);

    /// <summary>
    /// Appends the plain UTF-8 of a JSON string's inside (without quotes). Lone surrogate escapes become U+FFFD, since UTF-8 cannot carry them.
    /// The input must have passed a JSON reader.
    /// </summary>
    public static void Unescape(ReadOnlySpan<byte> inside, IBufferWriter<byte> output)
    {
        while (true)
        {
            int backslash = inside.IndexOf((byte)'\\');
            if (backslash < 0)
            {
                output.Write(inside);
                return;
            }

            output.Write(inside[..backslash]);
            inside = inside[backslash..];
            int used = UnescapeOne(inside, output);
            inside = inside[used..];
        }
    }

    /// <summary>The bytes of a JSON string with quotes.</summary>
    public static byte[] Quote(string text)
    {
        using PooledBytes bytes = new(text.Length + 16);
        WriteString(Encoding.UTF8.GetBytes(text), bytes);
        return bytes.Span.ToArray();
    }

    /// <summary>Appends a JSON string with quotes. Only what JSON demands is escaped: Chinese text and slashes stay as they are.</summary>
    public static void WriteString(ReadOnlySpan<byte> utf8, IBufferWriter<byte> output)
    {
        output.Write("\""u8);
        WriteInside(utf8, output);
        output.Write("\""u8);
    }

    /// <summary>The same without the quotes.</summary>
    public static void WriteInside(ReadOnlySpan<byte> utf8, IBufferWriter<byte> output)
    {
        while (true)
        {
            int at = utf8.IndexOfAny(MustEscape);
            if (at < 0)
            {
                output.Write(utf8);
                return;
            }

            output.Write(utf8[..at]);
            WriteEscape(utf8[at], output);
            utf8 = utf8[(at + 1)..];
        }
    }

    private static void WriteEscape(byte value, IBufferWriter<byte> output)
    {
        switch (value)
        {
            case (byte)'"': output.Write("\\\""u8); break;
            case (byte)'\\': output.Write("\\\\"u8); break;
            case (byte)'\n': output.Write("\\n"u8); break;
            case (byte)'\r': output.Write("\\r"u8); break;
            case (byte)'\t': output.Write("\\t"u8); break;
            case (byte)'\b': output.Write("\\b"u8); break;
            case (byte)'\f': output.Write("\\f"u8); break;
            default:
                Span<byte> escape = output.GetSpan(6);
                "\\u00"u8.CopyTo(escape);
                escape[4] = HexDigit(value >> 4);
                escape[5] = HexDigit(value & 15);
                output.Advance(6);
                break;
        }
    }

    private static byte HexDigit(int value) => (byte)(value < 10 ? '0' + value : 'a' + value - 10);

    private static int UnescapeOne(ReadOnlySpan<byte> text, IBufferWriter<byte> output)
    {
        if (text.Length < 2) return text.Length;
        if (text[1] != 'u')
        {
            Span<byte> one = output.GetSpan(1);
            one[0] = text[1] switch
            {
                (byte)'n' => (byte)'\n',
                (byte)'r' => (byte)'\r',
                (byte)'t' => (byte)'\t',
                (byte)'b' => (byte)'\b',
                (byte)'f' => (byte)'\f',
                byte other => other,
            };
            output.Advance(1);
            return 2;
        }

        int used = 6;
        char high = Hex(text);
        Rune rune = Rune.ReplacementChar;
        if (char.IsHighSurrogate(high) && text.Length >= 12 && text[6] == '\\' && text[7] == 'u' && char.IsLowSurrogate(Hex(text[6..])))
        {
            rune = new Rune(high, Hex(text[6..]));
            used = 12;
        }
        else if (!char.IsSurrogate(high)) rune = new Rune(high);

        output.Advance(rune.EncodeToUtf8(output.GetSpan(4)));
        return Math.Min(used, text.Length);
    }

    private static char Hex(ReadOnlySpan<byte> escape) =>
        System.Buffers.Text.Utf8Parser.TryParse(escape.Slice(2, Math.Min(4, escape.Length - 2)), out int value, out _, 'x') ? (char)value : '\uFFFD';
}
