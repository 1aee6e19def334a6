using System.Text;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Finds where a raw parameter ends. Its text may hold the closing tag itself (a file about this very format, an XML file with
/// <c>&lt;/parameter&gt;</c> in it), so a closing tag counts only when what follows is what may follow: the next parameter or the call's end.
/// </summary>
internal static class ParameterEnd
{
    /// <param name="text">From a '&lt;' on.</param>
    /// <param name="atLineStart">The '&lt;' begins a line.</param>
    /// <param name="length">How many bytes the closing tag itself takes; 0 when the parameter was left open and the next tag is not its own.</param>
    public static Match At(ReadOnlySpan<byte> text, bool atLineStart, DeclaredTools tools, string tool, HashSet<string> seen, bool isLast,
        out int length)
    {
        length = 0;
        if (TagMatch.At(text, "</parameter>"u8) is not Match.No and var close)
        {
            length = "</parameter>"u8.Length;
            if (close == Match.Maybe)
            {
                length = text.Length;
                return isLast && text.Length > 2 ? Match.Yes : isLast ? Match.No : Match.Maybe;
            }

            return After(text[length..], isLast, afterParameter: true);
        }

        foreach (string tag in (ReadOnlySpan<string>)["</function>", "</tool_call>"])
        {
            ReadOnlySpan<byte> bytes = Encoding.ASCII.GetBytes(tag);
            Match match = TagMatch.At(text, bytes);
            if (match == Match.Maybe) return isLast ? Match.No : Match.Maybe;
            if (match == Match.Yes) return After(text[bytes.Length..], isLast, afterParameter: false);
        }

        return atLineStart ? NextParameter(text, tools, tool, seen, isLast) : Match.No;
    }

    private static Match After(ReadOnlySpan<byte> text, bool isLast, bool afterParameter)
    {
        ReadOnlySpan<byte> next = text[TagMatch.Space(text)..];
        if (next.IsEmpty) return isLast ? Match.Yes : Match.Maybe;
        Match match = TagMatch.AnyOf(next, "</tool_call>"u8, "<tool_call>"u8, "<function="u8);
        if (match != Match.Yes && afterParameter)
        {
            match = (Match)Math.Max((int)match, (int)TagMatch.AnyOf(next, "<parameter="u8, "</function>"u8, "</function>"u8));
        }

        return match == Match.Maybe && isLast ? Match.Yes : match;
    }

    /// <summary>An opening tag on a line of its own that names another declared parameter: the one before was left open.</summary>
    private static Match NextParameter(ReadOnlySpan<byte> text, DeclaredTools tools, string tool, HashSet<string> seen, bool isLast)
    {
        ReadOnlySpan<byte> tag = "<parameter="u8;
        Match match = TagMatch.At(text, tag);
        if (match == Match.Yes)
        {
            int close = text.IndexOf((byte)'>');
            if (close < 0) match = text.Length < 160 && text.IndexOf((byte)'\n') < 0 ? Match.Maybe : Match.No;
            else
            {
                string name = Encoding.UTF8.GetString(text[tag.Length..close]);
                match = tools.HasParameter(tool, name) && !seen.Contains(name) ? Match.Yes : Match.No;
            }
        }

        return match == Match.Maybe && isLast ? Match.No : match;
    }
}
