using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

internal enum Match
{
    No,

    /// <summary>The text ends too early to tell.</summary>
    Maybe,
    Yes,
}

/// <summary>Compares the beginning of a text that may go on with a tag.</summary>
internal static class TagMatch
{
    public static Match At(ReadOnlySpan<byte> text, ReadOnlySpan<byte> tag)
    {
        if (text.StartsWith(tag)) return Match.Yes;
        return tag.StartsWith(text) ? Match.Maybe : Match.No;
    }

    /// <summary>The best match with any of three tags.</summary>
    public static Match AnyOf(ReadOnlySpan<byte> text, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<byte> third)
    {
        Match a = At(text, first), b = At(text, second), c = At(text, third);
        return (Match)Math.Max((int)a, Math.Max((int)b, (int)c));
    }

    /// <summary>How many bytes of white space the text begins with.</summary>
    public static int Space(ReadOnlySpan<byte> text) => JsonScanner.SkipSpace(text, 0);

    /// <summary>The length of the newline that ends the text: 0, 1 or, for CRLF, 2.</summary>
    public static int NewlineAtEnd(ReadOnlySpan<byte> text) => text.EndsWith("\r\n"u8) ? 2 : text.EndsWith("\n"u8) ? 1 : 0;
}
