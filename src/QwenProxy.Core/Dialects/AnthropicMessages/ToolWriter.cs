using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Writes the tools as functions. Tools that Anthropic's servers run have no counterpart and are left out. A deferred tool is one that the model
/// sees only once a search has loaded it: it is sent when the history names it, and always when the search itself would be the server's.
/// </summary>
internal sealed class ToolWriter(Translation translation) : IDisposable
{
    private readonly HashSet<string> _written = [];

    /// <summary>Type and name of each tool that was left out because only Anthropic knows it.</summary>
    private readonly List<(string Type, string Name)> _left = [];
    private bool _searchIsServers;
    private bool _hasDeferred;

    /// <summary>The items of the <c>tools</c> array, without its brackets.</summary>
    public MarkedBytes Output { get; } = new();

    public void Dispose() => Output.Dispose();

    public bool Write(ReadOnlySpan<byte> tools, ReadOnlySpan<byte> toolChoice)
    {
        if (!tools.IsEmpty && !JsonField.IsArray(tools)) return translation.Fail("\"tools\" must be an array.", param: "tools");
        _searchIsServers = HasServerSearch(tools);
        if (JsonField.StringIs(JsonField.Find(toolChoice, "type"u8), "tool"u8))
            translation.LoadedTools.Add(JsonField.Text(JsonField.Find(toolChoice, "name"u8)));
        ReadOnlySpan<byte> list = tools.IsEmpty ? "[]"u8 : tools;
        JsonScanner items = new(list);
        while (items.MoveNext())
        {
            if (!WriteTool(items.Value.In(list))) return false;
        }

        foreach (byte[] definition in translation.InlineTools)
        {
            if (!WriteTool(definition)) return false;
        }

        return CheckServerTools(toolChoice);
    }

    /// <summary>
    /// Refuses a tool that the request cannot do without and that only Anthropic's servers know. Beside other tools it is left out without a word, since
    /// agents send it with every request; alone or chosen by name, the model would make its results up, and the agent would show them as found.
    /// </summary>
    private bool CheckServerTools(ReadOnlySpan<byte> toolChoice)
    {
        ReadOnlySpan<byte> choice = JsonField.Find(toolChoice, "type"u8);
        if (_left.Count == 0 || JsonField.StringIs(choice, "none"u8)) return true;
        if (JsonField.StringIs(choice, "tool"u8))
        {
            string wanted = JsonField.Text(JsonField.Find(toolChoice, "name"u8));
            int named = _written.Contains(wanted) ? -1 : _left.FindIndex(t => t.Name == wanted || t.Type == wanted);
            if (named >= 0) return Refuse(_left[named].Type, "tool_choice");
        }

        return _written.Count > 0 || _hasDeferred || Refuse(_left[0].Type, "tools");
    }

    private bool Refuse(string type, string param) => translation.Fail(
        $"The tool \"{type}\" cannot be served here: only Anthropic's own servers and models know it. Leave it out, or offer a tool with an input_schema that your program runs itself.",
        param: param);

    /// <summary>
    /// Writes <c>,"tool_choice":…,"parallel_tool_calls":…</c>. Parallel calls are asked for, since Model Studio's default is one at a time.
    /// </summary>
    public void WriteChoice(ReadOnlySpan<byte> toolChoice, PooledBytes output)
    {
        ReadOnlySpan<byte> type = JsonField.Find(toolChoice, "type"u8), name = JsonField.Find(toolChoice, "name"u8);
        if (JsonField.StringIs(type, "auto"u8)) output.Write(",\"tool_choice\":\"auto\""u8);
        else if (JsonField.StringIs(type, "any"u8)) output.Write(",\"tool_choice\":\"required\""u8);
        else if (JsonField.StringIs(type, "none"u8)) output.Write(",\"tool_choice\":\"none\""u8);
        else if (JsonField.StringIs(type, "tool"u8) && _written.Contains(JsonField.Text(name)))
        {
            output.Write(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"u8);
            output.Write(name);
            output.Write("}}"u8);
        }
        else if (!toolChoice.IsEmpty) translation.Drop("tool_choice");

        bool single = JsonField.IsTrue(JsonField.Find(toolChoice, "disable_parallel_tool_use"u8));
        output.Write(single ? ",\"parallel_tool_calls\":false"u8 : ",\"parallel_tool_calls\":true"u8);
    }

    private static bool HasServerSearch(ReadOnlySpan<byte> tools)
    {
        if (tools.IsEmpty) return false;
        JsonScanner items = new(tools);
        while (items.MoveNext())
        {
            if (JsonField.Inside(JsonField.Find(items.Value.In(tools), "type"u8)).StartsWith("tool_search_tool"u8)) return true;
        }

        return false;
    }

    private bool WriteTool(ReadOnlySpan<byte> tool)
    {
        ReadOnlySpan<byte> type = JsonField.Find(tool, "type"u8), name = JsonField.Find(tool, "name"u8);
        if (!type.IsEmpty && !JsonField.StringIs(type, "custom"u8))
        {
            translation.Drop("tool:", type);
            _left.Add((JsonField.Text(type), JsonField.Text(name)));
            return true;
        }

        if (!JsonField.IsString(name)) return translation.Fail("Every tool needs a \"name\".", param: "tools");
        string plainName = JsonField.Text(name);
        if (JsonField.IsTrue(JsonField.Find(tool, "defer_loading"u8)) && !_searchIsServers && !translation.LoadedTools.Contains(plainName))
        {
            translation.Apply("deferred-tools");
            _hasDeferred = true;
            return true;
        }

        if (!_written.Add(plainName)) return true;
        WriteFunction(tool, name);
        return true;
    }

    private void WriteFunction(ReadOnlySpan<byte> tool, ReadOnlySpan<byte> name)
    {
        Output.Separate();
        Output.Write("{\"type\":\"function\",\"function\":{\"name\":"u8);
        Output.Write(name);
        WriteMember(",\"description\":"u8, JsonField.Find(tool, "description"u8));
        Output.Write(",\"parameters\":"u8);
        WriteSchema(JsonField.Find(tool, "input_schema"u8));
        WriteMember(",\"strict\":"u8, JsonField.Find(tool, "strict"u8));
        Output.Write("}"u8);
        if (translation.Options.CacheControl && JsonField.HasCacheMarker(tool)) Output.WriteMarker();
        Output.Write("}"u8);
    }

    private void WriteMember(ReadOnlySpan<byte> opening, ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty) return;
        Output.Write(opening);
        Output.Write(value);
    }

    /// <summary>The schema as it came but for its <c>$schema</c>: some upstreams refuse keywords they do not know.</summary>
    private void WriteSchema(ReadOnlySpan<byte> schema)
    {
        if (!JsonField.IsObject(schema))
        {
            Output.Write("{\"type\":\"object\",\"properties\":{}}"u8);
            return;
        }

        if (JsonField.Find(schema, "$schema"u8).IsEmpty)
        {
            Output.Write(schema);
            return;
        }

        Output.Write("{"u8);
        bool first = true;
        JsonScanner members = new(schema);
        while (members.MoveNext())
        {
            if (members.NameIs("$schema"u8)) continue;
            if (!first) Output.Write(","u8);
            first = false;
            Output.Write(members.Name.In(schema));
            Output.Write(":"u8);
            Output.Write(members.Value.In(schema));
        }

        Output.Write("}"u8);
    }
}
