using QwenProxy.Core.Repair.Tags;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// The tags of calls written as text: Qwen's <c>&lt;tool_call&gt;</c>, <c>&lt;function=NAME&gt;</c>, <c>&lt;parameter=K&gt;</c>, and the form with
/// attributes, <c>&lt;function_calls&gt;</c>, <c>&lt;invoke name="NAME"&gt;</c>, <c>&lt;parameter name="K"&gt;</c>, which may carry a namespace.
/// </summary>
internal static class CallTags
{
    private const int MaxNameBytes = 128;

    private static ReadOnlySpan<byte> Namespace => "antml:"u8;

    /// <summary>Enough of a tag is there for its next byte to decide, so waiting is a question of bytes and no longer of time.</summary>
    public static bool IsLikely(ReadOnlySpan<byte> text) =>
        text.StartsWith("<tool"u8) || text.StartsWith("<func"u8) || text.StartsWith("<invo"u8) || text.StartsWith("<antml"u8);

    /// <summary>What may stand around calls.</summary>
    public static Match Wrapper(ReadOnlySpan<byte> text, out int length)
    {
        Match match = At(text, "<"u8, "tool_call>"u8, out length);
        return match == Match.Yes ? match : Better(match, At(text, "<"u8, "function_calls>"u8, out length));
    }

    public static Match WrapperEnd(ReadOnlySpan<byte> text, out int length)
    {
        Match match = At(text, "</"u8, "tool_call>"u8, out length);
        return match == Match.Yes ? match : Better(match, At(text, "</"u8, "function_calls>"u8, out length));
    }

    /// <summary>The end of one call.</summary>
    public static Match FunctionEnd(ReadOnlySpan<byte> text, out int length)
    {
        Match match = At(text, "</"u8, "function>"u8, out length);
        return match == Match.Yes ? match : Better(match, At(text, "</"u8, "invoke>"u8, out length));
    }

    public static Match AnyEnd(ReadOnlySpan<byte> text, out int length)
    {
        Match match = FunctionEnd(text, out length);
        return match == Match.Yes ? match : Better(match, WrapperEnd(text, out length));
    }

    public static Match ParameterEnd(ReadOnlySpan<byte> text, out int length) => At(text, "</"u8, "parameter>"u8, out length);

    /// <summary>A call's own opening tag, without what stands around it. <paramref name="length"/> is its length with the name.</summary>
    public static Match Function(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> name, out int length)
    {
        name = default;
        Match match = At(text, "<"u8, "function="u8, out length);
        if (match == Match.Yes) return PlainName(text, length, "\n>"u8, out name, out length);
        Match invoke = At(text, "<"u8, "invoke"u8, out length);
        return invoke == Match.Yes ? NameAttribute(text, length, out name, out length) : Better(match, invoke);
    }

    public static Match Parameter(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> name, out int length)
    {
        name = default;
        Match match = At(text, "<"u8, "parameter"u8, out length);
        if (match != Match.Yes) return match;
        if (length < text.Length && text[length] == '=') return PlainName(text, length + 1, ">"u8, out name, out length);
        return NameAttribute(text, length, out name, out length);
    }

    /// <summary>A call, or what stands around calls, begins.</summary>
    public static Match AnyStart(ReadOnlySpan<byte> text)
    {
        Match match = Wrapper(text, out _);
        if (match == Match.Yes) return match;
        match = Better(match, At(text, "<"u8, "function="u8, out _));
        return Better(match, At(text, "<"u8, "invoke name="u8, out _));
    }

    /// <summary>A whole opening, with the parameter or the end behind it that tells it from a mention.</summary>
    public static Match WholeStart(ReadOnlySpan<byte> text)
    {
        Match match = Function(text, out _, out int length);
        if (match != Match.Yes) return match;
        ReadOnlySpan<byte> next = text[length..];
        next = next[TagMatch.Space(next)..];
        return Better(At(next, "<"u8, "parameter"u8, out _), FunctionEnd(next, out _));
    }

    public static Match Better(Match a, Match b) => a > b ? a : b;

    private static Match At(ReadOnlySpan<byte> text, ReadOnlySpan<byte> open, ReadOnlySpan<byte> tag, out int length)
    {
        length = open.Length + tag.Length;
        Match match = TagMatch.At(text, open);
        if (match != Match.Yes) return match;
        ReadOnlySpan<byte> rest = text[open.Length..];
        Match space = TagMatch.At(rest, Namespace);
        if (space == Match.Yes)
        {
            rest = rest[Namespace.Length..];
            length += Namespace.Length;
        }

        match = TagMatch.At(rest, tag);
        return space == Match.Maybe ? Better(match, space) : match;
    }

    private static Match PlainName(ReadOnlySpan<byte> text, int at, ReadOnlySpan<byte> ends, out ReadOnlySpan<byte> name, out int length)
    {
        int close = text[at..].IndexOfAny(ends);
        name = (close < 0 ? text[at..] : text.Slice(at, close)).Trim(" \"\r"u8);
        length = close < 0 ? text.Length : at + close + 1;
        return close >= 0 ? Match.Yes : text.Length - at <= MaxNameBytes ? Match.Maybe : Match.No;
    }

    /// <summary>The value of the attribute <c>name</c>; others may stand beside it.</summary>
    private static Match NameAttribute(ReadOnlySpan<byte> text, int at, out ReadOnlySpan<byte> name, out int length)
    {
        name = default;
        length = text.Length;
        ReadOnlySpan<byte> rest = text[at..];
        if (rest.IsEmpty) return Match.Maybe;
        if (rest[0] is not ((byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r')) return Match.No;
        int close = rest.IndexOf((byte)'>');
        ReadOnlySpan<byte> attributes = close < 0 ? rest : rest[..close];
        if (attributes.IndexOf((byte)'<') >= 0) return Match.No;
        length = at + close + 1;
        int start = attributes.IndexOf("name="u8);
        if (start >= 0 && start + 5 < attributes.Length)
        {
            ReadOnlySpan<byte> value = attributes[(start + 5)..];
            byte quote = value[0];
            if (quote is not ((byte)'"' or (byte)'\'')) return Match.No;
            int end = value[1..].IndexOf(quote);
            name = end < 0 ? value[1..] : value.Slice(1, end);
            if (close >= 0) return end < 0 ? Match.No : Match.Yes;
        }

        return close < 0 && rest.Length <= MaxNameBytes + 32 ? Match.Maybe : Match.No;
    }
}
