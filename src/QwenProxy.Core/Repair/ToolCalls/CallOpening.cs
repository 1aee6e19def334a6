using System.Text;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

internal enum CallForm
{
    /// <summary>Parameters in tags follow.</summary>
    Function,

    /// <summary>A JSON object of arguments follows.</summary>
    Json,

    /// <summary>A JSON string that holds the arguments follows.</summary>
    JsonInString,

    /// <summary>The arguments were read with the opening.</summary>
    Whole,
}

/// <summary>
/// The opening of a leaked call, from its first <c>&lt;</c> up to where the arguments begin. It is a call only when the tool is declared and
/// what follows the name has the shape of arguments: a text that merely mentions a tag, or shows <c>{...}</c> in place of arguments, is text.
/// </summary>
internal readonly ref struct CallOpening
{
    public string Name { get; private init; }

    public CallForm Form { get; private init; }

    /// <summary>Bytes up to the arguments.</summary>
    public int Length { get; private init; }

    /// <summary>The arguments are a member of an object that has to close behind them.</summary>
    public bool InObject { get; private init; }

    /// <summary>The arguments, for <see cref="CallForm.Whole"/>.</summary>
    public ReadOnlySpan<byte> Arguments { get; private init; }

    /// <summary>The call stands inside a wrapper, whose end has to follow its own.</summary>
    public bool IsWrapped { get; private init; }

    public static Match TryRead(ReadOnlySpan<byte> text, DeclaredTools tools, ScanEnd end, out CallOpening opening)
    {
        opening = default;
        Match wrapper = CallTags.Wrapper(text, out int at);
        bool wrapped = wrapper == Match.Yes;
        if (wrapped)
        {
            at += TagMatch.Space(text[at..]);
            if (at == text.Length) return Match.Maybe;
            if (text[at] == '{') return ReadJson(text, at, tools, end, out opening);
        }
        else at = 0;

        Match function = CallTags.Function(text[at..], out ReadOnlySpan<byte> name, out int length);
        if (function == Match.Maybe && !tools.AnyStartsWith(name)) return Match.No;
        if (function != Match.Yes) return wrapper == Match.Maybe ? wrapper : function;
        string declared = Encoding.UTF8.GetString(name);
        return tools.Has(declared) ? ReadBody(text, at + length, declared, wrapped, end, out opening) : Match.No;
    }

    private static Match ReadBody(ReadOnlySpan<byte> text, int at, string name, bool wrapped, ScanEnd end, out CallOpening opening)
    {
        int body = at + TagMatch.Space(text[at..]);
        opening = new CallOpening { Name = name, Form = CallForm.Function, Length = body, IsWrapped = wrapped };
        if (body == text.Length) return end is ScanEnd.Stopped or ScanEnd.Followed && wrapped ? Match.Yes : Match.Maybe;
        ReadOnlySpan<byte> next = text[body..];
        if (next[0] == '{')
        {
            Match json = ArgumentsBegin(next);
            if (json == Match.Yes) opening = opening with { Form = CallForm.Json };
            return json;
        }

        Match match = CallTags.Better(CallTags.Parameter(next, out _, out _), CallTags.FunctionEnd(next, out _));
        if (!wrapped || match == Match.Yes) return match;
        return CallTags.Better(match, CallTags.Better(CallTags.WrapperEnd(next, out _), CallTags.Wrapper(next, out _)));
    }

    /// <summary>Hermes: a JSON object with a name and arguments, in either order.</summary>
    private static Match ReadJson(ReadOnlySpan<byte> text, int at, DeclaredTools tools, ScanEnd end, out CallOpening opening)
    {
        opening = default;
        string? name = null;
        ByteRange arguments = default;
        at++;
        while (true)
        {
            at += TagMatch.Space(text[at..]);
            if (at == text.Length) return Match.Maybe;
            if (text[at] == '}') return Closed(text, at, name, arguments, tools, end, out opening);
            if (text[at] == ',')
            {
                at++;
                continue;
            }

            Match key = ReadKey(text, ref at, out ReadOnlySpan<byte> member);
            if (key != Match.Yes) return key;
            bool isArguments = member.SequenceEqual("arguments"u8) || member.SequenceEqual("parameters"u8);
            if (isArguments && name is not null) return Begin(text, at, name, out opening);
            int valueEnd = JsonScanner.SkipValue(text, at);
            // A number at the very end may go on; a string or an object has its own end.
            if (valueEnd < 0 || valueEnd == text.Length)
            {
                if (IsDeadName(text[at..], member, tools)) return Match.No;
                return valueEnd < 0 ? ValueMayGoOn(text[at..]) : Match.Maybe;
            }

            if (member.SequenceEqual("name"u8))
            {
                if (text[at] != '"') return Match.No;
                name = Encoding.UTF8.GetString(text[(at + 1)..(valueEnd - 1)]);
                if (!tools.Has(name)) return Match.No;
            }
            else if (isArguments)
            {
                if (text[at] != '{' || !ValueCoercion.IsJson(text[at..valueEnd])) return Match.No;
                arguments = new ByteRange(at, valueEnd - at);
            }

            at = valueEnd;
        }
    }

    private static Match ReadKey(ReadOnlySpan<byte> text, ref int at, out ReadOnlySpan<byte> member)
    {
        member = default;
        if (text[at] != '"') return Match.No;
        int close = text[(at + 1)..].IndexOf((byte)'"');
        if (close < 0) return text.Length - at <= 32 ? Match.Maybe : Match.No;
        member = text.Slice(at + 1, close);
        at += close + 2;
        at += TagMatch.Space(text[at..]);
        if (at == text.Length) return Match.Maybe;
        if (text[at] != ':') return Match.No;
        at++;
        at += TagMatch.Space(text[at..]);
        return at == text.Length ? Match.Maybe : Match.Yes;
    }

    /// <summary>An unfinished name that no declared tool begins with need not be waited for.</summary>
    private static bool IsDeadName(ReadOnlySpan<byte> value, ReadOnlySpan<byte> member, DeclaredTools tools) =>
        member.SequenceEqual("name"u8) && (value[0] != '"' || !tools.AnyStartsWith(value[1..].TrimEnd((byte)'"')));

    private static Match ValueMayGoOn(ReadOnlySpan<byte> value) =>
        "\"{[-tfn0123456789"u8.Contains(value[0]) ? Match.Maybe : Match.No;

    private static Match Begin(ReadOnlySpan<byte> text, int at, string name, out CallOpening opening)
    {
        opening = new CallOpening { Name = name, Form = text[at] == '"' ? CallForm.JsonInString : CallForm.Json, Length = at, InObject = true };
        if (text[at] == '{') return ArgumentsBegin(text[at..]);
        if (text[at] != '"') return Match.No;
        if (at + 1 == text.Length) return Match.Maybe;
        return text[at + 1] == '{' ? Match.Yes : Match.No;
    }

    /// <summary>Arguments are real when a first key and the beginning of its value are there: <c>{...}</c> is a placeholder.</summary>
    private static Match ArgumentsBegin(ReadOnlySpan<byte> json)
    {
        int at = 1 + TagMatch.Space(json[1..]);
        if (at == json.Length) return Match.Maybe;
        if (json[at] == '}') return Match.Yes;
        if (json[at] != '"') return Match.No;
        int close = json[(at + 1)..].IndexOf((byte)'"');
        if (close < 0) return Match.Maybe;
        at += close + 2;
        at += TagMatch.Space(json[at..]);
        if (at == json.Length) return Match.Maybe;
        if (json[at] != ':') return Match.No;
        at++;
        at += TagMatch.Space(json[at..]);
        if (at == json.Length) return Match.Maybe;
        return ValueMayGoOn(json[at..]) == Match.Maybe ? Match.Yes : Match.No;
    }

    /// <summary>The object closed before arguments began streaming: they came first, or there are none.</summary>
    private static Match Closed(
        ReadOnlySpan<byte> text, int at, string? name, ByteRange arguments, DeclaredTools tools, ScanEnd end, out CallOpening opening)
    {
        opening = default;
        if (name is null || !tools.Has(name)) return Match.No;
        ReadOnlySpan<byte> json = arguments.IsEmpty ? "{}"u8 : arguments.In(text);
        opening = new CallOpening { Name = name, Form = CallForm.Whole, Length = at + 1, Arguments = json };
        if (!arguments.IsEmpty) return Match.Yes;
        ReadOnlySpan<byte> next = text[(at + 1)..];
        next = next[TagMatch.Space(next)..];
        return next.IsEmpty && end is ScanEnd.Stopped or ScanEnd.Followed ? Match.Yes : CallTags.WrapperEnd(next, out _);
    }
}
