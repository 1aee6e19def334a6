using QwenProxy.Core.Catalogue;
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
            DropEmptyTools),
        new(
            "parallel-tool-calls",
            "Says parallel_tool_calls: true where the client leaves OpenAI's default and the service's own default is false.",
            (p, m) => p.ModelStudioRules && new ModelTraits(m).IsQwen,
            AllowParallel),
        new(
            "empty-schema-omitted",
            "Drops the parameters of a tool without any, from which llama.cpp cannot make a grammar.",
            (p, _) => p.OmitsEmptySchemas,
            d => EachFunction(d, OmitSchema)),
        new(
            "empty-schema-completed",
            "Writes parameters {} (for MiniMax also none) as an object schema without properties, which strict servers ask for.",
            (p, m) => !p.OmitsEmptySchemas && (p.WantsWholeSchemas || !new ModelTraits(m).IsQwen),
            d => EachFunction(d, f => CompleteSchema(f, d.Model.IsMiniMax))),
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

    private static void OmitSchema(JsonObjectDraft function)
    {
        ReadOnlySpan<byte> schema = function.Find("parameters"u8);
        if (!JsonValue.IsObject(schema)) return;
        ReadOnlySpan<byte> open = JsonValue.Find(schema, "additionalProperties"u8);
        bool closed = open.IsEmpty || JsonValue.IsFalse(open);
        if (closed && JsonValue.IsEmptyContainer(JsonValue.Find(schema, "properties"u8))) function.Remove("parameters"u8);
    }

    private static void CompleteSchema(JsonObjectDraft function, bool alsoMissing)
    {
        ReadOnlySpan<byte> schema = function.Find("parameters"u8);
        bool refused = schema.IsEmpty ? alsoMissing : JsonValue.IsObject(schema) && JsonValue.IsEmptyContainer(schema);
        if (refused) function.Set("parameters"u8, EmptySchema);
    }

    private static void EachFunction(RequestDraft draft, Action<JsonObjectDraft> change)
    {
        if (!draft.HasTools) return;
        ReadOnlyMemory<byte> tools = draft.Fields.FindMember("tools"u8)!.Value;
        JsonSplice splice = new();
        JsonScanner items = new(tools.Span);
        while (items.MoveNext())
        {
            ByteRange inTool = JsonValue.FindRange(items.Value.In(tools.Span), "function"u8);
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
