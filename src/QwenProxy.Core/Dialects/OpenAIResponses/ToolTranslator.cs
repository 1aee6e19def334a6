using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Tools and the choice among them, as chat has them. What only OpenAI's own servers can run (web search and the like) is left out beside
/// other tools and reported, since clients send such tools with every request, whatever they talk to; where nothing else could be called, the
/// request is refused: a model that was to search the web and cannot would make its results up.
/// </summary>
internal sealed class ToolTranslator(Translation translation) : IDisposable
{
    private readonly PooledBytes _tools = new(4096);
    private readonly HashSet<string> _written = new(StringComparer.Ordinal);
    private readonly List<string> _left = [];
    private HashSet<string>? _allowed;

    /// <summary>Appends <c>,"tools":[…],"tool_choice":…</c>, each only when there is something to say.</summary>
    /// <param name="tools">The tools, wherever in the request they were declared, in the order in which the model is to read them.</param>
    /// <param name="choice">The request's <c>tool_choice</c>.</param>
    /// <param name="body">The chat request.</param>
    public void Write(List<RawJson> tools, RawJson choice, PooledBytes body)
    {
        Declare(tools);
        _allowed = Allowed(choice);
        foreach (RawJson tool in tools) AddTool(null, tool);
        RefuseServerTool(choice);
        if (_tools.Length == 0) return;
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
            if (IsRunnable(tool)) Declare(null, tool);
        }

        foreach (RawJson tool in tools)
        {
            if (!IsGroup(tool)) continue;
            string group = tool.Member("name"u8).Text();
            foreach (RawJson member in tool.Member("tools"u8).Items())
            {
                if (IsRunnable(member)) Declare(group, member);
            }
        }
    }

    private void Declare(string? group, RawJson tool)
    {
        if (IsSearch(tool)) translation.Tools.AddSearch();
        else translation.Tools.Add(group, tool.Member("name"u8).Text(), KindOf(tool));
    }

    private static ToolKind KindOf(RawJson tool)
    {
        if (!IsCustom(tool)) return ToolKind.Function;
        return CustomToolText.IsPlain(tool.Member("name"u8).Text(), Grammar(tool)) ? ToolKind.PlainCustom : ToolKind.Custom;
    }

    private static bool IsCustom(RawJson tool) => tool.Member("type"u8).IsText("custom"u8);

    private static bool IsGroup(RawJson tool) => tool.Member("type"u8).IsText("namespace"u8);

    private static bool IsSearch(RawJson tool) => tool.Member("type"u8).IsText("tool_search"u8) && tool.Member("execution"u8).IsText("client"u8);

    private static bool IsRunnable(RawJson tool)
    {
        RawJson type = tool.Member("type"u8);
        return ((type.IsText("function"u8) || type.IsText("custom"u8)) && tool.Member("name"u8).Inside.Length > 0) || IsSearch(tool);
    }

    private void AddTool(string? group, RawJson tool)
    {
        if (IsRunnable(tool)) AddRunnable(group, tool);
        else if (group is null && IsGroup(tool))
        {
            string name = tool.Member("name"u8).Text();
            foreach (RawJson member in tool.Member("tools"u8).Items()) AddTool(name, member);
        }
        else
        {
            string type = TypeOf(tool);
            translation.Drop("tool", type);
            _left.Add(type);
        }
    }

    private static string TypeOf(RawJson tool) => tool.Member("type"u8) is { IsString: true } type ? type.Text() : "untyped";

    private void AddRunnable(string? group, RawJson tool)
    {
        string flat = IsSearch(tool) ? translation.Tools.Search : translation.Tools.Flat(group, tool.Member("name"u8).Text());
        if ((_allowed is not null && !_allowed.Contains(flat)) || !_written.Add(flat)) return;
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

    private static RawJson Grammar(RawJson tool)
    {
        RawJson format = tool.Member("format"u8);
        return format.Member("definition"u8).IsString ? format.Member("definition"u8) : format.Member("grammar"u8).Member("definition"u8);
    }

    /// <summary>
    /// A custom tool takes free text. The model is given a function with that text as its one argument, and is told of the grammar to keep to.
    /// </summary>
    private void AddCustom(RawJson tool)
    {
        RawJson description = tool.Member("description"u8), grammar = Grammar(tool);
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
        foreach (RawJson tool in choice.Member("tools"u8).Items())
        {
            if (IsRunnable(tool)) allowed.Add(FlatNameOf(tool));
        }

        return allowed;
    }

    private string FlatNameOf(RawJson named)
    {
        if (IsSearch(named)) return translation.Tools.Search;
        RawJson group = named.Member("namespace"u8);
        return translation.Tools.Flat(group.IsString ? group.Text() : null, named.Member("name"u8).Text());
    }

    /// <summary>The tool that the request cannot do without, where it is one that only its maker's servers run.</summary>
    private void RefuseServerTool(RawJson choice)
    {
        if (choice.IsText("none"u8) || translation.IsCompaction) return;
        string type = TypeOf(choice);
        bool isOurs = type is "function" or "custom" or "allowed_tools" or "untyped" || (type == "tool_search" && _written.Contains(translation.Tools.Search));
        if (choice.IsObject && !isOurs) Refuse(type, "tool_choice");
        else if (_tools.Length == 0 && _left.Count > 0) Refuse(_left[0], "tools");
    }

    private void Refuse(string type, string param) => translation.Fail(
        $"The tool '{type}' cannot be served here: only its maker's own servers know it. Leave it out, or offer a tool of type 'function' that your program runs itself.",
        param);

    private void WriteChoice(RawJson choice, PooledBytes body)
    {
        if (translation.IsCompaction) choice = new RawJson("\"none\""u8.ToArray());
        if (choice.IsNothing) return;
        RawJson type = choice.Member("type"u8);
        if (choice.IsString) WriteMember(body, "tool_choice"u8, choice.Span);
        else if (type.IsText("allowed_tools"u8))
        {
            RawJson mode = choice.Member("mode"u8);
            WriteMember(body, "tool_choice"u8, mode.IsString ? mode.Span : "\"auto\""u8);
        }
        else if (IsRunnable(choice) || (type.IsText("tool_search"u8) && _written.Contains(translation.Tools.Search)))
        {
            body.Write(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"u8);
            body.Write(RawJson.Quote(type.IsText("tool_search"u8) ? translation.Tools.Search : FlatNameOf(choice)));
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
