using QwenProxy.Core.Catalogue;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>What stands inside a message: parts where a string is wanted, and marks that only some caches understand.</summary>
internal static class ContentRules
{
    private static ReadOnlySpan<byte> Mark => "cache_control"u8;

    public static QuirkRule[] All { get; } =
    [
        new(
            "portal-user-text",
            "Joins the text parts of a user message to one string, where arrays are refused.",
            (p, _) => p.WantsSystemFirstAndPlainText,
            d => Flatten(d, MessageRole.User)),
        new(
            "plain-text-content",
            "Joins the text parts of each message to one string, for models that lose or refuse arrays.",
            (p, m) => ModelPattern.MatchesAny(p.PlainTextModels, m),
            d => Flatten(d, null)),
        new("cache-control", "Drops cache_control marks where no explicit cache is known.", (p, _) => !p.SupportsCacheControl, DropMarks),
        new("text-parts", "Joins the texts of a translated message to one string where no cache needs them apart.", (p, _) => !p.SupportsCacheControl, JoinTexts),
    ];

    private static void JoinTexts(RequestDraft draft)
    {
        if (draft.JoinsTexts) Flatten(draft, null);
    }

    private static void Flatten(RequestDraft draft, MessageRole? only)
    {
        if (draft.Messages is not { } messages) return;
        foreach (MessageDraft message in messages.Items)
        {
            if (only is { } role && message.Role != role) continue;
            if (ContentText.Flatten(message.Content.Span) is { } text) messages.SetContent(message, text);
        }
    }

    private static void DropMarks(RequestDraft draft)
    {
        if (draft.Fields.FindMember("tools"u8) is { } tools && StripItems(tools.Value) is { } bare) draft.Set("tools"u8, bare);
        if (draft.Fields.FindMember("messages"u8) is not { } all || all.Value.Span.IndexOf(Mark) < 0 || draft.Messages is not { } messages) return;
        foreach (MessageDraft message in messages.Items)
        {
            if (message.Raw.Span.IndexOf(Mark) < 0) continue;
            JsonObjectDraft members = JsonObjectDraft.Read(message.Raw);
            members.Remove(Mark);
            if (members.FindMember("content"u8) is { } content && StripItems(content.Value) is { } parts) members.Set("content"u8, parts);
            if (members.Edits > 0) messages.Replace(message, members.ToBytes());
        }
    }

    /// <summary>
    /// An array without the marks its items carry themselves; deeper down the word may be a property of a tool. Null when there is none.
    /// </summary>
    private static byte[]? StripItems(ReadOnlyMemory<byte> array)
    {
        if (!JsonValue.IsArray(array.Span) || array.Span.IndexOf(Mark) < 0) return null;
        JsonSplice splice = new();
        JsonScanner items = new(array.Span);
        while (items.MoveNext())
        {
            ReadOnlyMemory<byte> item = array.Slice(items.Value.Start, items.Value.Length);
            if (!JsonValue.IsObject(item.Span) || item.Span.IndexOf(Mark) < 0) continue;
            JsonObjectDraft members = JsonObjectDraft.Read(item);
            members.Remove(Mark);
            if (members.Edits > 0) splice.Replace(items.Value, members.ToBytes());
        }

        if (splice.Count == 0) return null;
        using PooledBytes bare = new(array.Length + Math.Max(splice.Growth, 0));
        splice.WriteTo(array.Span, bare);
        return bare.Span.ToArray();
    }
}
