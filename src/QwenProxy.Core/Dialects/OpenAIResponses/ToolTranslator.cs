using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Tools and the choice among them, as chat has them. What only OpenAI's own servers can run (web search and the like) is left out and
/// reported: clients send such tools with every request, whatever they talk to.
/// </summary>
internal sealed class ToolTranslator(Translation translation) : IDisposable
{
    private readonly PooledBytes _tools = new(4096);
    private HashSet<string>? _allowed;

    public bool HasTools => _tools.Length > 0;

    /// <summary>Appends <c>,"tools":[…],"tool_choice":…</c>, each only when there is something to say.</summary>
    public void Write(RawJson tools, RawJson choice, PooledBytes body)
    {
        List<RawJson> declared = tools.Items();
        Declare(declared);
        _allowed = Allowed(choice);
        foreach (RawJson tool in declared) AddTool(tool);
        if (!HasTools) return;
        body.Write(",\"tools\":["u8);
        body.Write(_tools.Span);
        body.Write("]"u8);
        WriteChoice(choice, body);
    }

    public void Dispose() => _tools.Dispose();

    /// <summary>Names outside any group, and then the groups' own: known before anything is written, since a choice may name any of them.</summary>
    private void Declare(List<RawJson> tools)
    {
        foreach (RawJson tool in tools)
        {
            if (IsRunnable(tool)) translation.Tools.Add(null, tool.Member("name"u8).Text(), IsCustom(tool));
        }

        foreach (RawJson tool in tools)
        {
            if (!IsGroup(tool)) continue;
            string group = tool.Member("name"u8).Text();
            foreach (RawJson member in tool.Member("tools"u8).Items())
            {
                if (IsRunnable(member)) translation.Tools.Add(group, member.Member("name"u8).Text(), IsCustom(member));
            }
        }
    }

    private static bool IsCustom(RawJson tool) => tool.Member("type"u8).IsText("custom"u8);

    private static bool IsGroup(RawJson tool) => tool.Member("type"u8).IsText("namespace"u8);

    private static bool IsRunnable(RawJson tool)
    {
        RawJson type = tool.Member("type"u8);
        return (type.IsText("function"u8) || type.IsText("custom"u8)) && tool.Member("name"u8).Inside.Length > 0;
    }

    private void AddTool(RawJson tool)
    {
        if (IsRunnable(tool)) AddRunnable(null, tool);
        else if (IsGroup(tool))
        {
            string group = tool.Member("name"u8).Text();
            foreach (RawJson member in tool.Member("tools"u8).Items())
            {
                if (IsRunnable(member)) AddRunnable(group, member);
                else translation.Drop("tool", TypeOf(member));
            }
        }
        else translation.Drop("tool", TypeOf(tool));
    }

    private static string TypeOf(RawJson tool) => tool.Member("type"u8) is { IsString: true } type ? type.Text() : "untyped";

    private void AddRunnable(string? group, RawJson tool)
    {
        string flat = translation.Tools.Flat(group, tool.Member("name"u8).Text());
        if (_allowed is not null && !_allowed.Contains(flat)) return;
        if (_tools.Length > 0) _tools.Write(","u8);
        _tools.Write("{\"type\":\"function\",\"function\":{\"name\":"u8);
        _tools.Write(RawJson.Quote(flat));
        if (IsCustom(tool)) AddCustom(tool);
        else AddFunction(tool);
        _tools.Write("}}"u8);
    }

    private void AddFunction(RawJson tool)
    {
        RawJson description = tool.Member("description"u8), parameters = tool.Member("parameters"u8), strict = tool.Member("strict"u8);
        if (description.IsString) WriteMember(_tools, "description"u8, description.Span);
        WriteMember(_tools, "parameters"u8, parameters.IsObject ? parameters.Span : "{\"type\":\"object\",\"properties\":{}}"u8);
        if (!strict.IsNothing) WriteMember(_tools, "strict"u8, strict.Span);
    }

    /// <summary>
    /// A custom tool takes free text. The model is given a function with that text as its one argument, and is told of the grammar to keep to.
    /// </summary>
    private void AddCustom(RawJson tool)
    {
        RawJson description = tool.Member("description"u8), format = tool.Member("format"u8);
        RawJson grammar = format.Member("definition"u8).IsString ? format.Member("definition"u8) : format.Member("grammar"u8).Member("definition"u8);
        if (description.IsString || grammar.IsString)
        {
            _tools.Write(",\"description\":\""u8);
            _tools.Write(description.Inside);
            if (grammar.IsString)
            {
                if (description.Inside.Length > 0) _tools.Write("\\n\\n"u8);
                _tools.Write("The input must follow this grammar:\\n"u8);
                _tools.Write(grammar.Inside);
            }

            _tools.Write("\""u8);
        }

        _tools.Write(",\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\","u8);
        _tools.Write("\"description\":\"The tool's whole input as plain text.\"}},\"required\":[\"input\"],\"additionalProperties\":false}"u8);
    }

    private HashSet<string>? Allowed(RawJson choice)
    {
        if (!choice.Member("type"u8).IsText("allowed_tools"u8)) return null;
        HashSet<string> allowed = new(StringComparer.Ordinal);
        foreach (RawJson tool in choice.Member("tools"u8).Items()) allowed.Add(FlatNameOf(tool));
        return allowed;
    }

    private string FlatNameOf(RawJson named)
    {
        RawJson group = named.Member("namespace"u8);
        return translation.Tools.Flat(group.IsString ? group.Text() : null, named.Member("name"u8).Text());
    }

    private void WriteChoice(RawJson choice, PooledBytes body)
    {
        if (choice.IsNothing) return;
        RawJson type = choice.Member("type"u8);
        if (choice.IsString) WriteMember(body, "tool_choice"u8, choice.Span);
        else if (type.IsText("allowed_tools"u8))
        {
            RawJson mode = choice.Member("mode"u8);
            WriteMember(body, "tool_choice"u8, mode.IsString ? mode.Span : "\"auto\""u8);
        }
        else if (IsRunnable(choice))
        {
            body.Write(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"u8);
            body.Write(RawJson.Quote(FlatNameOf(choice)));
            body.Write("}}"u8);
        }
        else translation.Drop("tool_choice", TypeOf(choice));
    }

    internal static void WriteMember(PooledBytes json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        json.Write(",\""u8);
        json.Write(name);
        json.Write("\":"u8);
        json.Write(value);
    }
}
