using System.Text;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Finds where a raw parameter ends. Its text may hold the closing tags themselves (a file about this very format, an XML file with
/// <c>&lt;/parameter&gt;</c> in it), so a closing tag counts only when what follows is what may follow: the next parameter or the call's end, and
/// inside a wrapper the wrapper's end behind that. Where the text goes on instead, or where a whole call was quoted before, the tag waits for what
/// comes: with a later end it was text.
/// </summary>
internal sealed class ParameterEnd(DeclaredTools tools)
{
    private string _tool = "";
    private bool _isWrapped;
    private HashSet<string> _seen = [];
    private int _quotedCalls;
    private int _quotedEnds;

    private enum Strength
    {
        No,
        Maybe,

        /// <summary>An end, unless another one comes later.</summary>
        Weak,
        Strong,
    }

    /// <param name="seen">The parameters of this call so far.</param>
    public void StartCall(string tool, bool isWrapped, HashSet<string> seen)
    {
        _tool = tool;
        _isWrapped = isWrapped;
        _seen = seen;
    }

    public void StartParameter() => _quotedCalls = _quotedEnds = 0;

    /// <param name="text">From a '&lt;' on.</param>
    /// <param name="atLineStart">The '&lt;' begins a line.</param>
    /// <param name="isLast">No more text comes.</param>
    /// <param name="length">How many bytes the closing tag itself takes; 0 when the parameter was left open and the next tag is not its own.</param>
    public Match At(ReadOnlySpan<byte> text, bool atLineStart, bool isLast, out int length)
    {
        length = 0;
        if (CallTags.ParameterEnd(text, out int tag) == Match.Maybe && isLast)
        {
            // The tag was cut off by the end of the text.
            length = text.Length;
            return text.Length > 2 ? Match.Yes : Match.No;
        }

        if (_quotedEnds > 0 && CallTags.AnyEnd(text, out _) is not Match.No and var rest)
        {
            if (rest == Match.Yes) _quotedEnds--;
            return rest == Match.Yes || isLast ? Match.No : Match.Maybe;
        }

        Strength strength = Look(text, isLast, out tag);
        if (strength >= Strength.Weak)
        {
            length = CallTags.ParameterEnd(text, out _) == Match.Yes ? tag : 0;
            return strength == Strength.Strong && _quotedCalls == 0 ? Match.Yes : Judge(text[tag..], isLast);
        }

        Match quoted = CallTags.WholeStart(text);
        if (quoted == Match.Yes) _quotedCalls++;
        Match match = strength == Strength.Maybe || quoted == Match.Maybe ? Match.Maybe : Match.No;
        if (atLineStart && match == Match.No && quoted != Match.Yes) return NextParameter(text, isLast);
        return isLast ? Match.No : match;
    }

    /// <summary>A closing tag that may be text: it is, when an end that is this call's own comes later.</summary>
    private Match Judge(ReadOnlySpan<byte> behind, bool isLast)
    {
        bool goesOn = CallTags.Parameter(behind[TagMatch.Space(behind)..], out _, out _) == Match.Yes;
        Match later = EndsLater(behind, isLast, Math.Max(0, goesOn ? _quotedCalls : _quotedCalls - 1));
        if (later == Match.Maybe && !isLast) return Match.Maybe;
        if (later != Match.Yes) return Match.Yes;
        if (goesOn || _quotedCalls == 0) return Match.No;
        // The quoted call ends here, with all its tags.
        _quotedCalls--;
        while (CallTags.AnyEnd(behind = behind[TagMatch.Space(behind)..], out int length) == Match.Yes)
        {
            _quotedEnds++;
            behind = behind[length..];
        }

        return Match.No;
    }

    /// <summary>A closing tag at the text's beginning, and what follows it. <paramref name="tag"/> is its length.</summary>
    private Strength Look(ReadOnlySpan<byte> text, bool isLast, out int tag)
    {
        Match own = CallTags.ParameterEnd(text, out tag);
        if (own == Match.Yes) return Behind(text[tag..], isLast, afterParameter: true);
        Match other = CallTags.AnyEnd(text, out tag);
        if (other == Match.Yes) return Behind(text[tag..], isLast, afterParameter: false);
        return own == Match.Maybe || other == Match.Maybe ? Strength.Maybe : Strength.No;
    }

    private Strength Behind(ReadOnlySpan<byte> text, bool isLast, bool afterParameter)
    {
        ReadOnlySpan<byte> next = text[TagMatch.Space(text)..];
        if (next.IsEmpty) return isLast ? Strength.Strong : Strength.Maybe;
        Match match = CallTags.Better(CallTags.WrapperEnd(next, out _), CallTags.AnyStart(next));
        if (match == Match.Yes) return Strength.Strong;
        if (afterParameter)
        {
            Match parameter = CallTags.Parameter(next, out ReadOnlySpan<byte> name, out _);
            // No call has one parameter twice: that is a text about calls.
            if (parameter == Match.Yes) return _seen.Contains(Encoding.UTF8.GetString(name)) ? Strength.No : Strength.Strong;
            Match function = CallTags.FunctionEnd(next, out int length);
            if (function == Match.Yes) return BehindFunction(next[length..], isLast);
            match = CallTags.Better(match, CallTags.Better(parameter, function));
        }

        if (match == Match.Maybe) return isLast ? Strength.Strong : Strength.Maybe;
        return Strength.No;
    }

    private Strength BehindFunction(ReadOnlySpan<byte> text, bool isLast)
    {
        if (!_isWrapped) return Strength.Strong;
        ReadOnlySpan<byte> next = text[TagMatch.Space(text)..];
        if (next.IsEmpty) return isLast ? Strength.Strong : Strength.Maybe;
        Match match = CallTags.Better(CallTags.WrapperEnd(next, out _), CallTags.AnyStart(next));
        if (match == Match.Maybe && !isLast) return Strength.Maybe;
        return match == Match.No ? Strength.Weak : Strength.Strong;
    }

    /// <summary>Whether an end that belongs to this call comes later, behind <paramref name="depth"/> ends of calls that are quoted.</summary>
    private Match EndsLater(ReadOnlySpan<byte> text, bool isLast, int depth)
    {
        int at = 0;
        while (at < text.Length)
        {
            int offset = text[at..].IndexOf((byte)'<');
            if (offset < 0) break;
            at += offset;
            ReadOnlySpan<byte> rest = text[at..];
            int step = 1;
            if (CallTags.ParameterEnd(rest, out int tag) == Match.Yes && Behind(rest[tag..], isLast, afterParameter: true) == Strength.Strong)
            {
                // Another parameter behind it is no end of a call.
                ReadOnlySpan<byte> next = rest[tag..];
                bool goesOn = CallTags.Parameter(next[TagMatch.Space(next)..], out _, out _) == Match.Yes;
                if (!goesOn && depth == 0) return Match.Yes;
                if (!goesOn) depth--;
                step = tag;
            }
            else if (CallTags.WholeStart(rest) == Match.Yes) depth++;

            at += step;
        }

        return isLast ? Match.No : Match.Maybe;
    }

    /// <summary>An opening tag on a line of its own that names another declared parameter: the one before was left open.</summary>
    private Match NextParameter(ReadOnlySpan<byte> text, bool isLast)
    {
        Match match = CallTags.Parameter(text, out ReadOnlySpan<byte> bytes, out int length);
        if (match == Match.Yes)
        {
            string name = Encoding.UTF8.GetString(bytes);
            bool isNext = length < 160 && tools.HasParameter(_tool, name) && !_seen.Contains(name) && _quotedCalls == 0;
            return isNext ? Match.Yes : Match.No;
        }

        if (text.IndexOf((byte)'\n') >= 0) return Match.No;
        return match == Match.Maybe && isLast ? Match.No : match;
    }
}
