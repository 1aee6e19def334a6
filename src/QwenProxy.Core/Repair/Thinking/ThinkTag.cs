using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>The tags around thinking, and whether a closing one is meant or talked about.</summary>
internal static class ThinkTag
{
    public static Match Open(ReadOnlySpan<byte> text, out int length)
    {
        Match match = TagMatch.At(text, "<think>"u8);
        length = (match == Match.No ? "<thinking>"u8 : "<think>"u8).Length;
        return match == Match.No ? TagMatch.At(text, "<thinking>"u8) : match;
    }

    public static Match Close(ReadOnlySpan<byte> text, out int length)
    {
        Match match = TagMatch.At(text, "</think>"u8);
        length = (match == Match.No ? "</thinking>"u8 : "</think>"u8).Length;
        return match == Match.No ? TagMatch.At(text, "</thinking>"u8) : match;
    }

    /// <summary>So much of a think tag is there that waiting for the rest is no question of time.</summary>
    public static bool IsLikely(ReadOnlySpan<byte> text) => text.StartsWith("<thin"u8) || text.StartsWith("</th"u8);

    /// <summary>Where a thinking's closing tag stands, or may begin at the end of a text that goes on; the text's length when there is none.</summary>
    public static int FindClose(ReadOnlySpan<byte> text, int start, bool open)
    {
        int at = start;
        while (at < text.Length)
        {
            int offset = text[at..].IndexOf((byte)'<');
            if (offset < 0) break;
            at += offset;
            Match match = Close(text[at..], out _);
            if (match == Match.Yes || (match == Match.Maybe && open)) return at;
            at++;
        }

        return text.Length;
    }

    /// <summary>Nothing but white space follows on the tag's line.</summary>
    public static Match EndsLine(ReadOnlySpan<byte> after, ScanEnd end)
    {
        ReadOnlySpan<byte> rest = after.TrimStart(" \t\r"u8);
        if (rest.IsEmpty) return end == ScanEnd.Open ? Match.Maybe : Match.Yes;
        return rest[0] == '\n' ? Match.Yes : Match.No;
    }

    /// <summary>
    /// Whether a closing tag outside code is meant. Between two quotation marks or brackets it is quoted; between a space and a lower-case word or a
    /// comma it is a word of a sentence ("the &lt;/think&gt; tag").
    /// </summary>
    public static Match IsMeant(byte before, ReadOnlySpan<byte> after, ScanEnd end)
    {
        bool open = end == ScanEnd.Open;
        if (after.IsEmpty) return open && IsSentenceOrWrap(before) ? Match.Maybe : Match.Yes;
        if (Wraps(before, after[0]) || ClosesForeignQuote(after)) return Match.No;
        if (before is not ((byte)' ' or (byte)'(')) return Match.Yes;
        if (after[0] is (byte)',' or (byte)'.' or (byte)';' or (byte)':' or (byte)')' or (byte)'?' or (byte)'!') return Match.No;
        if (after[0] is (byte)'\n' or (byte)'\r') return EndsParagraph(after, open);
        if (after[0] != ' ') return Match.Yes;
        if (after.Length == 1) return open ? Match.Maybe : Match.Yes;
        return char.IsAsciiLetterLower((char)after[1]) ? Match.No : Match.Yes;
    }

    /// <summary>"begins after &lt;/think&gt;" may end a line; thinking that ends inside a line has a blank one behind it.</summary>
    private static Match EndsParagraph(ReadOnlySpan<byte> after, bool open)
    {
        ReadOnlySpan<byte> rest = after.TrimStart((byte)'\r');
        if (rest.Length > 1) rest = rest[1..].TrimStart((byte)'\r');
        else return open ? Match.Maybe : Match.Yes;
        if (rest.IsEmpty) return open ? Match.Maybe : Match.Yes;
        return rest[0] == '\n' ? Match.Yes : Match.No;
    }

    private static bool IsSentenceOrWrap(byte before) => before is (byte)' ' or >= 0x80 || "\"'*_([{|>"u8.Contains(before);

    private static bool Wraps(byte before, byte after) => before switch
    {
        (byte)'"' or (byte)'\'' or (byte)'*' or (byte)'_' or (byte)'|' => after == before,
        (byte)'(' => after == ')',
        (byte)'[' => after == ']',
        (byte)'{' => after == '}',
        (byte)'>' => after == '<',
        _ => false,
    };

    /// <summary>The closing marks of typographic and CJK quotations.</summary>
    private static bool ClosesForeignQuote(ReadOnlySpan<byte> after) =>
        after.StartsWith("”"u8) || after.StartsWith("’"u8) || after.StartsWith("“"u8) || after.StartsWith("‘"u8) || after.StartsWith("»"u8)
        || after.StartsWith("」"u8) || after.StartsWith("』"u8) || after.StartsWith("》"u8);
}
