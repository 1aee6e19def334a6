using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Translates a Responses request into the OpenAI chat request that every upstream understands. Fields of this API that have no counterpart are not
/// sent; fields it does not know (an upstream's own extensions) go along as they came.
/// </summary>
public static class ResponsesRequestParser
{
    /// <summary>Fields that are read here, or that mean something only to a server that keeps conversations.</summary>
    private static readonly HashSet<string> OwnFields = new(StringComparer.Ordinal)
    {
        "model", "input", "instructions", "stream", "stream_options", "store", "previous_response_id", "reasoning", "tools", "tool_choice", "text",
        "max_output_tokens", "truncation", "include", "metadata", "prompt_cache_key", "prompt_cache_retention", "service_tier", "client_metadata",
        "user", "safety_identifier", "background", "conversation", "prompt", "max_tool_calls", "top_logprobs", "context_management", "generate",

        // These would collide with what is written for chat.
        "messages", "max_tokens", "max_completion_tokens", "response_format", "functions", "function_call", "reasoning_effort", "logprobs", "n",
    };

    /// <summary>
    /// Faults are the client's: 400 with what to change, or <c>previous_response_not_found</c>. Tools and items that cannot be served are no faults;
    /// they are listed in <see cref="ResponsesRequest.Dropped"/>.
    /// </summary>
    /// <param name="body">The request body; borrowed by the result.</param>
    /// <param name="stored">What this client may refer to; null when nothing is stored.</param>
    public static bool TryTranslate(
        ReadOnlyMemory<byte> body,
        ResponsesStoredItems? stored,
        [NotNullWhen(true)] out ResponsesRequest? request,
        [NotNullWhen(false)] out ProxyError? fault)
    {
        Translation translation = new(stored);
        request = IsJsonObject(body.Span, translation) ? Translate(ReadFields(body), translation) : null;
        fault = translation.Fault;
        if (fault is not null) request = null;
        return fault is null && request is not null;
    }

    /// <summary>Read through once with a real JSON reader: what follows copies tokens and must be able to trust them.</summary>
    private static bool IsJsonObject(ReadOnlySpan<byte> body, Translation translation)
    {
        int start = JsonScanner.SkipSpace(body, 0);
        if (start >= body.Length || body[start] != '{')
        {
            translation.Fail(body.IsEmpty ? "The request body is empty; send a JSON object." : "The request body is not a JSON object.", null);
            return false;
        }

        Utf8JsonReader reader = new(body, new JsonReaderOptions { MaxDepth = 256 });
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            translation.Fail($"The request body is not valid JSON (near byte {reader.BytesConsumed}).", null);
            return false;
        }
    }

    private static Dictionary<string, RawJson> ReadFields(ReadOnlyMemory<byte> body)
    {
        Dictionary<string, RawJson> fields = new(StringComparer.Ordinal);
        RawJson root = new(body);
        JsonScanner members = new(body.Span);
        while (members.MoveNext()) fields[root.At(members.Name).Text()] = root.At(members.Value);
        return fields;
    }

    private static ResponsesRequest? Translate(Dictionary<string, RawJson> fields, Translation translation)
    {
        RawJson model = Field(fields, "model"), stream = Field(fields, "stream"), store = Field(fields, "store"), input = Field(fields, "input");
        RawJson previous = Field(fields, "previous_response_id"), reasoning = Field(fields, "reasoning");
        if (model.Inside.IsEmpty) translation.Fail("The request names no model: \"model\" must be a non-empty string.", "model");
        CheckFlag(stream, "stream", translation);
        CheckFlag(store, "store", translation);
        RefuseServerSide(fields, translation);
        IReadOnlyList<ReadOnlyMemory<byte>> earlier = [];
        if (previous.IsString) earlier = Conversation(previous.Text(), translation);
        if (!input.IsString && !input.IsArray && (!input.IsNothing || earlier.Count == 0))
        {
            translation.Fail("\"input\" must be a string or a list of items.", "input");
        }

        if (translation.Fault is not null) return null;

        using PooledBytes body = new(8192);
        body.Write("{\"model\":"u8);
        body.Write(model.Span);
        translation.IsCompaction = input.Items() is [.., var last] && last.Member("type"u8).IsText("compaction_trigger"u8);
        using PooledBytes tools = new(4096);
        using ToolTranslator translator = new(translation);
        translator.Write(DeclaredTools(fields, earlier, translation), Field(fields, "tool_choice"), tools);
        List<ReadOnlyMemory<byte>> kept = WriteMessages(Field(fields, "instructions"), earlier, input, body, translation);
        body.Write(tools.Span);
        if (!translation.IsCompaction) WriteFormat(Field(fields, "text").Member("format"u8), body, translation);
        if (!Field(fields, "max_output_tokens").IsNothing) ToolTranslator.WriteMember(body, "max_tokens"u8, Field(fields, "max_output_tokens").Span);
        RawJson effort = reasoning.Member("effort"u8), summary = reasoning.Member("summary"u8);
        if (effort.IsString) ToolTranslator.WriteMember(body, "reasoning_effort"u8, effort.Span);
        WriteOthers(fields, tools.Length > 0, body);
        body.Write("}"u8);
        return new ResponsesRequest
        {
            ChatBody = body.Span.ToArray(),
            Model = model.Text(),
            Stream = stream.IsTrue,
            Store = !store.Is("false"u8),
            PreviousResponseId = previous.IsString ? previous.Text() : null,
            Dropped = translation.Dropped,
            Effort = effort.IsString ? effort.Text() : null,
            Summary = summary.IsString ? summary.Text() : null,
            EncryptedReasoning = Field(fields, "include").Items().Exists(i => i.IsText("reasoning.encrypted_content"u8)),
            IsCompaction = translation.IsCompaction,
            NeedsTranslation = translation.NeedsTranslation,
            Fields = fields,
            Tools = translation.Tools,
            Earlier = earlier,
            Input = kept,
        };
    }

    private static RawJson Field(Dictionary<string, RawJson> fields, string name) => fields.GetValueOrDefault(name);

    private static void CheckFlag(RawJson value, string name, Translation translation)
    {
        if (!value.IsNothing && !value.IsTrue && !value.Is("false"u8)) translation.Fail($"\"{name}\" must be true or false.", name);
    }

    /// <summary>What needs a server that keeps things for the client. Ignoring these would lose a conversation or a prompt without a word.</summary>
    private static void RefuseServerSide(Dictionary<string, RawJson> fields, Translation translation)
    {
        if (!Field(fields, "conversation").IsNothing)
        {
            const string Message = "Conversations are not kept here; send the history as input, or use previous_response_id.";
            translation.Fail(Message, "conversation", "unsupported_parameter");
        }

        if (!Field(fields, "prompt").IsNothing)
        {
            translation.Fail("Stored prompts are not kept here; send instructions and input.", "prompt", "unsupported_parameter");
        }

        if (Field(fields, "background").IsTrue)
        {
            translation.Fail("Background responses are not supported; send background false.", "background", "unsupported_parameter");
        }
    }

    private static IReadOnlyList<ReadOnlyMemory<byte>> Conversation(string id, Translation translation)
    {
        if (translation.Stored is not null && translation.Stored.TryGetConversation(id, out IReadOnlyList<ReadOnlyMemory<byte>>? items)) return items;
        translation.Fail($"Previous response with id '{id}' not found.", "previous_response_id", "previous_response_not_found");
        return [];
    }

    /// <summary>
    /// The tools of the request, and those that an item of the conversation brings: declared in the input, or found by a search the client ran.
    /// </summary>
    private static List<RawJson> DeclaredTools(Dictionary<string, RawJson> fields, IReadOnlyList<ReadOnlyMemory<byte>> earlier, Translation translation)
    {
        List<RawJson> tools = Field(fields, "tools").Items();
        foreach (RawJson item in earlier.Select(i => new RawJson(i)).Concat(Field(fields, "input").Items()))
        {
            RawJson type = item.Member("type"u8);
            if (!type.IsText("additional_tools"u8) && !type.IsText("tool_search_output"u8)) continue;
            tools.AddRange(item.Member("tools"u8).Items());
            translation.NeedsTranslation = true;
        }

        return tools;
    }

    private static List<ReadOnlyMemory<byte>> WriteMessages(
        RawJson instructions, IReadOnlyList<ReadOnlyMemory<byte>> earlier, RawJson input, PooledBytes body, Translation translation)
    {
        body.Write(",\"messages\":["u8);
        using ChatMessages messages = new(body, translation);
        InputTranslator items = new(translation, messages);
        if (instructions.IsString) messages.AddMessage("system"u8, instructions.Span);
        else items.Read(instructions);
        foreach (ReadOnlyMemory<byte> item in earlier) items.Add(new RawJson(item), "previous_response_id");
        // Instructions hold for one answer only, and what came earlier is stored already.
        items.Kept.Clear();
        items.Read(input);
        messages.Finish();
        body.Write("]"u8);
        return items.Kept;
    }

    private static void WriteFormat(RawJson format, PooledBytes body, Translation translation)
    {
        RawJson type = format.Member("type"u8);
        if (format.IsNothing || type.IsText("text"u8)) return;
        if (type.IsText("json_object"u8)) body.Write(",\"response_format\":{\"type\":\"json_object\"}"u8);
        else if (type.IsText("json_schema"u8))
        {
            body.Write(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"u8);
            RawJson name = format.Member("name"u8), description = format.Member("description"u8), strict = format.Member("strict"u8);
            body.Write(name.IsString ? name.Span : "\"answer\""u8);
            if (description.IsString) ToolTranslator.WriteMember(body, "description"u8, description.Span);
            if (format.Member("schema"u8) is { IsObject: true } schema) ToolTranslator.WriteMember(body, "schema"u8, schema.Span);
            if (!strict.IsNothing) ToolTranslator.WriteMember(body, "strict"u8, strict.Span);
            body.Write("}}"u8);
        }
        else translation.Drop("text.format", type.Text());
    }

    private static void WriteOthers(Dictionary<string, RawJson> fields, bool hasTools, PooledBytes body)
    {
        foreach ((string name, RawJson value) in fields)
        {
            if (OwnFields.Contains(name) || value.IsNothing) continue;
            if (name == "parallel_tool_calls" && !hasTools) continue;
            body.Write(","u8);
            body.Write(RawJson.Quote(name));
            body.Write(":"u8);
            body.Write(value.Span);
        }
    }
}
