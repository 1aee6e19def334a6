using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>Turns input items into chat messages. Items that only OpenAI's own servers make or read are left out and reported.</summary>
internal sealed class InputTranslator(Translation translation, ChatMessages messages)
{
    private readonly ContentTranslator _content = new(translation);
    private readonly ClientCalls _calls = new(translation, messages);

    /// <summary>The items that counted, references resolved: what a stored conversation keeps.</summary>
    public List<ReadOnlyMemory<byte>> Kept { get; } = [];

    /// <summary>Reads the input of a request: a string, which is a user's message, or a list of items.</summary>
    public void Read(RawJson input)
    {
        if (input.IsString)
        {
            byte[] message = [.. "{\"type\":\"message\",\"role\":\"user\",\"content\":"u8, .. input.Span, (byte)'}'];
            Add(new RawJson(message), "input");
            return;
        }

        int number = 0;
        foreach (RawJson item in input.Items()) Add(item, $"input[{number++}]");
    }

    public void Add(RawJson item, string param)
    {
        RawJson type = item.Member("type"u8);
        if (type.IsText("item_reference"u8))
        {
            AddReferenced(item, param);
            return;
        }

        if (!item.IsObject) translation.Fail("An input item must be an object.", param);
        else if (IsCutCall(item))
        {
            translation.Drop("input", "incomplete_call");
            return;
        }
        else if (type.IsText("message"u8) || (type.IsNothing && item.Member("role"u8).IsString)) AddMessage(item, param);
        else if (type.IsText("function_call"u8)) AddCall(item, param);
        else if (type.IsText("custom_tool_call"u8)) AddCustomCall(item, param);
        else if (type.IsText("function_call_output"u8) || type.IsText("custom_tool_call_output"u8)) AddOutput(item, param);
        else if (type.IsText("reasoning"u8)) AddReasoning(item);
        else if (_calls.TryAdd(item, out bool counted))
        {
            if (!counted) return;
        }
        else if (type.IsText("agent_message"u8)) AddAgentMessage(item);
        else if (IsSummary(type) && TryAddSummary(item)) translation.NeedsTranslation = true;
        else if (type.IsText("compaction_trigger"u8) && translation.IsCompaction)
        {
            // A request and no part of the conversation. The last item is the one that counts; it comes when all others have.
            messages.AddMessage("user"u8, RawJson.Quote(CompactionText.Request));
            return;
        }
        else if (type.IsText("additional_tools"u8))
        {
            // Its tools were read before the conversation.
        }
        else if (type.IsNothing) translation.Fail("An input item needs a type or a role.", param);
        else
        {
            translation.Drop("input", type.Text());
            return;
        }

        Kept.Add(item.Bytes);
    }

    /// <summary>
    /// An item this proxy made and remembers. One it does not know is left out: it may be from before a restart, and the rest makes sense still.
    /// </summary>
    private void AddReferenced(RawJson reference, string param)
    {
        string id = reference.Member("id"u8).Text();
        if (translation.Stored is not null && translation.Stored.TryGetItem(id, out ReadOnlyMemory<byte> json)) Add(new RawJson(json), param);
        else translation.Drop("input", "item_reference");
    }

    /// <summary>A call that was cut off was never run, so no result follows it; an upstream would refuse the history for that.</summary>
    private static bool IsCutCall(RawJson item) => item.Member("status"u8).IsText("incomplete"u8) && !item.Member("call_id"u8).IsNothing
        && item.Member("type"u8).Inside.EndsWith("_call"u8);

    /// <summary>The item has had several names.</summary>
    private static bool IsSummary(RawJson type) =>
        type.IsText("compaction"u8) || type.IsText("compaction_summary"u8) || type.IsText("context_compaction"u8);

    /// <summary>A conversation that was compacted here comes back as what the model wrote then; another server's is closed to everybody else.</summary>
    private bool TryAddSummary(RawJson item)
    {
        using PooledBytes plain = new(1024);
        if (!ReasoningEnvelope.TryOpen(item.Member("encrypted_content"u8), plain)) return false;
        byte[] text = [.. System.Text.Encoding.UTF8.GetBytes(CompactionText.Introduction + "\n\n"), .. plain.Span];
        messages.AddMessage("user"u8, Requote(text));
        return true;
    }

    /// <summary>What one of the client's agents tells another. Texts sealed for another server stay out.</summary>
    private void AddAgentMessage(RawJson item)
    {
        RawJson author = item.Member("author"u8);
        List<byte[]> texts = [.. item.Member("content"u8).Items().Select(p => p.Member("text"u8)).Where(t => t.IsString).Select(t => t.Inside.ToArray())];
        if (texts.Count == 0)
        {
            translation.Drop("input", "agent_message");
            return;
        }

        using PooledBytes text = new(256);
        text.Write("\"Message from the agent "u8);
        text.Write(author.Inside);
        text.Write(":"u8);
        foreach (byte[] part in texts)
        {
            text.Write("\\n"u8);
            text.Write(part);
        }

        text.Write("\""u8);
        messages.AddMessage("user"u8, text.Span);
    }

    private void AddMessage(RawJson item, string param)
    {
        RawJson role = item.Member("role"u8);
        _content.Read(item.Member("content"u8), $"{param}.content");
        if (role.IsText("assistant"u8))
        {
            using PooledBytes text = new(256);
            _content.WriteTexts(text, default);
            if (_content.HasMedia) translation.Drop("input", "assistant_media");
            messages.AddAssistantText(text.Span);
        }
        else if (role.IsText("user"u8) || role.IsText("system"u8) || role.IsText("developer"u8))
        {
            messages.AddMessage(role.Inside, _content.WriteContent());
        }
        else translation.Fail("A message's role must be user, assistant, system or developer.", $"{param}.role");
    }

    private void AddCall(RawJson item, string param)
    {
        RawJson arguments = item.Member("arguments"u8);
        if (!TryName(item, param, out RawJson callId, out string name)) return;
        messages.AddCall(callId.Inside, name, arguments.IsString ? arguments.Span : arguments.IsObject ? Requote(arguments.Span) : default);
    }

    private void AddCustomCall(RawJson item, string param)
    {
        if (!TryName(item, param, out RawJson callId, out string name)) return;
        RawJson input = item.Member("input"u8);
        messages.AddCall(callId.Inside, name, Requote([.. "{\"input\":"u8, .. input.IsString ? input.Span : "\"\""u8, (byte)'}']));
    }

    private bool TryName(RawJson item, string param, out RawJson callId, out string name)
    {
        callId = item.Member("call_id"u8);
        RawJson tool = item.Member("name"u8), group = item.Member("namespace"u8);
        name = translation.Tools.Flat(group.Inside.Length > 0 ? group.Text() : null, tool.Text());
        if (callId.Inside.Length > 0 && tool.Inside.Length > 0) return true;
        translation.Fail("A tool call needs a call_id and a name.", param);
        return false;
    }

    private void AddOutput(RawJson item, string param)
    {
        RawJson callId = item.Member("call_id"u8);
        if (callId.Inside.Length == 0)
        {
            translation.Fail("A tool call's output needs a call_id.", $"{param}.call_id");
            return;
        }

        _content.Read(item.Member("output"u8), $"{param}.output");
        using PooledBytes text = new(1024);
        _content.WriteTexts(text, "\\n"u8);
        byte[]? media = null;
        if (_content.HasMedia)
        {
            media = _content.WriteMedia("What the tool call showed:"u8);
            if (text.Length == 0) text.Write("The output is in the next user message."u8);
        }

        messages.AddToolOutput(callId.Inside, text.Span, media);
    }

    /// <summary>
    /// Our own sealed copy first: it is the reasoning itself, where a client may have cut the summary. Then its text, then its summary.
    /// </summary>
    private void AddReasoning(RawJson item)
    {
        using PooledBytes inside = new(1024);
        using PooledBytes plain = new(1024);
        RawJson sealedText = item.Member("encrypted_content"u8);
        if (sealedText.IsString && ReasoningEnvelope.TryOpen(sealedText, plain)) JsonText.WriteInside(plain.Span, inside);
        else
        {
            AddTexts(item.Member("content"u8), inside);
            if (inside.Length == 0) AddTexts(item.Member("summary"u8), inside);
        }

        if (inside.Length > 0) messages.AddReasoning(inside.Span);
        else if (sealedText.IsString) translation.Drop("input", "encrypted_reasoning");
    }

    private static void AddTexts(RawJson parts, PooledBytes inside)
    {
        foreach (RawJson part in parts.Items())
        {
            ReadOnlySpan<byte> text = part.Member("text"u8).Inside;
            if (text.IsEmpty) continue;
            if (inside.Length > 0) inside.Write("\\n\\n"u8);
            inside.Write(text);
        }
    }

    private static byte[] Requote(ReadOnlySpan<byte> json)
    {
        using PooledBytes quoted = new(json.Length + 64);
        JsonText.WriteString(json, quoted);
        return quoted.Span.ToArray();
    }
}
