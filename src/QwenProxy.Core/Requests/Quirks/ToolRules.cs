using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>The declared tools.</summary>
internal static class ToolRules
{
    private static ReadOnlySpan<byte> EmptySchema => "{\"type\":\"object\",\"properties\":{}}"u8;

    public static QuirkRule[] All { get; } =
    [
        new(
            "empty-tools",
            "Drops an empty tools list, which is refused, and what speaks of tools without any.",
            (p, _) => p.ModelStudioRules,
            DropEmptyTools) { Messages = DropEmptyTools, Responses = DropEmptyTools },
        new(
            "parallel-tool-calls",
            "Says parallel_tool_calls: true where the client leaves OpenAI's default and the service's own default is false.",
            (p, m) => p.ModelStudioRules && new ModelTraits(m).IsQwen,
            AllowParallel),
        new(
            "empty-schema-omitted",
            "Drops the parameters of a tool without any, from which llama.cpp cannot make a grammar.",
            (p, _) => p.OmitsEmptySchemas,
            OmitSchemas) { Responses = OmitSchemas },
        new(
            "empty-schema-completed",
            "Writes parameters {} (for MiniMax also none) as an object schema without properties, which strict servers ask for.",
            (p, m) => !p.OmitsEmptySchemas && (p.WantsWholeSchemas || !new ModelTraits(m).IsQwen),
            CompleteSchemas) { Messages = CompleteSchemas, Responses = CompleteSchemas },
    ];

    private static void DropEmptyTools(RequestDraft draft)
    {
        ReadOnlySpan<byte> tools = draft.Fields.Find("tools"u8);
        if (!JsonValue.IsArray(tools) || !JsonValue.IsEmptyContainer(tools)) return;
        draft.Fields.Remove("tools"u8);
        draft.Fields.Remove("tool_choice"u8);
        draft.Fields.Remove("parallel_tool_calls"u8);
    }

    private static void AllowParallel(RequestDraft draft)
    {
        if (draft.HasTools) draft.SetIfAbsent("parallel_tool_calls"u8, "true"u8);
    }

    private static void OmitSchemas(RequestDraft draft) => EachFunction(draft, tool =>
    {
        ReadOnlySpan<byte> schema = tool.Find("parameters"u8);
        if (!JsonValue.IsObject(schema)) return;
        ReadOnlySpan<byte> open = JsonValue.Find(schema, "additionalProperties"u8);
        bool closed = open.IsEmpty || JsonValue.IsFalse(open);
        if (closed && JsonValue.IsEmptyContainer(JsonValue.Find(schema, "properties"u8))) tool.Remove("parameters"u8);
    });

    private static void CompleteSchemas(RequestDraft draft)
    {
        byte[] field = (draft.Dialect == WireDialect.AnthropicMessages ? "input_schema"u8 : "parameters"u8).ToArray();
        bool alsoMissing = draft.Model.IsMiniMax;
        EachFunction(draft, tool =>
        {
            ReadOnlySpan<byte> schema = tool.Find(field);
            bool refused = schema.IsEmpty ? alsoMissing : JsonValue.IsObject(schema) && JsonValue.IsEmptyContainer(schema);
            if (refused) tool.Set(field, EmptySchema);
        });
    }

    /// <summary>What describes a tool that the client runs: in chat an object of its own, elsewhere the tool itself, beside tools of the service's.</summary>
    private static ByteRange FunctionIn(ReadOnlySpan<byte> tool, WireDialect dialect)
    {
        if (dialect == WireDialect.OpenAIChat) return JsonValue.FindRange(tool, "function"u8);
        ReadOnlySpan<byte> type = JsonValue.Find(tool, "type"u8);
        bool isClients = dialect == WireDialect.OpenAIResponses ? JsonValue.StringIs(type, "function"u8) : JsonValue.IsNothing(type) || JsonValue.StringIs(type, "custom"u8);
        return isClients ? new ByteRange(0, tool.Length) : default;
    }

    private static void EachFunction(RequestDraft draft, Action<JsonObjectDraft> change)
    {
        if (!draft.HasTools) return;
        ReadOnlyMemory<byte> tools = draft.Fields.FindMember("tools"u8)!.Value;
        JsonSplice splice = new();
        JsonScanner items = new(tools.Span);
        while (items.MoveNext())
        {
            ByteRange inTool = FunctionIn(items.Value.In(tools.Span), draft.Dialect);
            ByteRange place = inTool.Shift(-items.Value.Start);
            if (place.IsEmpty || !JsonValue.IsObject(place.In(tools.Span))) continue;
            JsonObjectDraft function = JsonObjectDraft.Read(tools.Slice(place.Start, place.Length));
            change(function);
            if (function.Edits > 0) splice.Replace(place, function.ToBytes());
        }

        if (splice.Count == 0) return;
        using PooledBytes changed = new(tools.Length + splice.Growth);
        splice.WriteTo(tools.Span, changed);
        draft.Set("tools"u8, changed.Span);
    }
}
