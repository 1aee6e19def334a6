using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Calls in a history that have a type of their own instead of a name: the search for tools, and the shells and patches that the client ran.
/// The model reads them as calls of functions, as it reads all others.
/// </summary>
internal sealed class ClientCalls(Translation translation, ChatMessages messages)
{
    /// <summary>The ids that outputs may name, and the id the call goes by in chat: some outputs name the item, some the call.</summary>
    private readonly Dictionary<string, RawJson> _ids = new(StringComparer.Ordinal);

    /// <summary>True when the item was one of these, counted or left out.</summary>
    public bool TryAdd(RawJson item, out bool counted)
    {
        counted = false;
        switch (item.Member("type"u8).Text())
        {
            case "tool_search_call": counted = AddCall(item, translation.Tools.Search, "arguments"u8); break;
            case "local_shell_call": counted = AddCall(item, "local_shell", "action"u8); break;
            case "shell_call": counted = AddCall(item, "shell", "action"u8); break;
            case "apply_patch_call": counted = AddCall(item, "apply_patch", "operation"u8); break;
            case "tool_search_output": counted = AddOutput(item, Found(item)); break;
            case "local_shell_call_output" or "shell_call_output" or "apply_patch_call_output": counted = AddOutput(item, Output(item)); break;
            default: return false;
        }

        translation.NeedsTranslation = true;
        if (!counted) translation.Drop("input", item.Member("type"u8).Text());
        return true;
    }

    /// <summary>A call without any id was made and answered by the server itself.</summary>
    private bool AddCall(RawJson item, string name, ReadOnlySpan<byte> arguments)
    {
        RawJson id = item.Member("id"u8), callId = item.Member("call_id"u8);
        bool isServers = item.Member("execution"u8).IsText("server"u8);
        if (callId.Inside.IsEmpty) callId = id;
        if (callId.Inside.IsEmpty || isServers) return false;
        _ids[callId.Text()] = callId;
        if (!id.Inside.IsEmpty) _ids[id.Text()] = callId;
        RawJson value = item.Member(arguments);
        using PooledBytes text = new(256);
        if (value.IsObject) JsonText.WriteString(value.Span, text);
        messages.AddCall(callId.Inside, name, value.IsString ? value.Span : text.Span);
        return true;
    }

    private bool AddOutput(RawJson item, byte[] inside)
    {
        RawJson named = item.Member("call_id"u8);
        if (named.Inside.IsEmpty) named = item.Member("id"u8);
        if (!_ids.TryGetValue(named.Text(), out RawJson callId)) return false;
        messages.AddToolOutput(callId.Inside, inside, null);
        return true;
    }

    /// <summary>What a shell or a patch answered: a text as it is, anything else as the JSON it is. The inside of a JSON string.</summary>
    private static byte[] Output(RawJson item)
    {
        RawJson output = item.Member("output"u8);
        if (output.IsNothing) output = item.Member("status"u8);
        if (output.IsString) return output.Inside.ToArray();
        using PooledBytes inside = new(output.Span.Length + 64);
        JsonText.WriteInside(output.Span, inside);
        return inside.Span.ToArray();
    }

    /// <summary>The names of the tools that were found, as the model calls them; what they do stands in the request's tools.</summary>
    private byte[] Found(RawJson item)
    {
        List<string> names = [];
        foreach (RawJson tool in item.Member("tools"u8).Items())
        {
            RawJson name = tool.Member("name"u8);
            List<RawJson> members = tool.Member("tools"u8).Items();
            if (members.Count == 0) names.Add(translation.Tools.Flat(null, name.Text()));
            else names.AddRange(members.Select(m => translation.Tools.Flat(name.Text(), m.Member("name"u8).Text())));
        }

        RawJson said = new(RawJson.Quote(names.Count == 0 ? "No tools were found." : "These tools can be called now: " + string.Join(", ", names)));
        return said.Inside.ToArray();
    }
}
