using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>
/// Calls and their results in a Messages history, where both are blocks: a result stands in the turn that follows its call, and every call has one. The
/// rules are the same as in chat, for the service behind is the same.
/// </summary>
internal static class MessagesHistory
{
    /// <summary>Tells a result without its call as text.</summary>
    public static void RetellOrphans(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        HashSet<string> open = [];
        foreach (MessageDraft message in messages.Items)
        {
            if (message.Role == MessageRole.Assistant) open = [.. Ids(message, "tool_use"u8, "id"u8)];
            else if (message.Role == MessageRole.User && Retold(message.Content, open) is { } content) messages.SetContent(message, content);
        }
    }

    /// <summary>Answers a call that has no result with a line that says so.</summary>
    public static void AnswerCalls(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        IReadOnlyList<MessageDraft> items = messages.Items;
        List<MessageDraft> answered = new(items.Count);
        for (int i = 0; i < items.Count; i++)
        {
            answered.Add(items[i]);
            if (items[i].Role != MessageRole.Assistant) continue;
            List<string> open = Ids(items[i], "tool_use"u8, "id"u8);
            int end = i + 1;
            while (end < items.Count && items[end].Role != MessageRole.Assistant) end++;
            MessageDraft? turn = null;
            foreach (MessageDraft message in items.Skip(i + 1).Take(end - i - 1).Where(m => m.Role == MessageRole.User))
            {
                turn ??= message;
                foreach (string id in Ids(message, "tool_result"u8, "tool_use_id"u8)) open.Remove(id);
            }

            if (open.Count == 0) continue;
            byte[] results = [.. open.SelectMany(Unavailable)];
            if (turn is not null) messages.SetContent(turn, Before(results, turn.Content.Span));
            else answered.Add(new MessageDraft((byte[])[.. "{\"role\":\"user\",\"content\":["u8, .. results[..^1], .. "]}"u8]));
        }

        if (answered.Count > items.Count) messages.Rearrange(answered);
    }

    /// <summary>What the blocks of one type name.</summary>
    private static List<string> Ids(MessageDraft message, ReadOnlySpan<byte> type, ReadOnlySpan<byte> member)
    {
        List<string> ids = [];
        ReadOnlySpan<byte> content = message.Content.Span;
        if (!JsonValue.IsArray(content) || content.IndexOf(type) < 0) return ids;
        JsonScanner blocks = new(content);
        while (blocks.MoveNext())
        {
            ReadOnlySpan<byte> block = blocks.Value.In(content);
            if (JsonValue.StringIs(JsonValue.Find(block, "type"u8), type) && JsonValue.Text(JsonValue.Find(block, member)) is { Length: > 0 } id) ids.Add(id);
        }

        return ids;
    }

    private static byte[]? Retold(ReadOnlyMemory<byte> content, HashSet<string> open)
    {
        ReadOnlySpan<byte> json = content.Span;
        if (!JsonValue.IsArray(json) || json.IndexOf("tool_result"u8) < 0) return null;
        JsonSplice splice = new();
        JsonScanner blocks = new(json);
        while (blocks.MoveNext())
        {
            ReadOnlySpan<byte> block = blocks.Value.In(json);
            if (!JsonValue.StringIs(JsonValue.Find(block, "type"u8), "tool_result"u8)) continue;
            string id = JsonValue.Text(JsonValue.Find(block, "tool_use_id"u8));
            if (!open.Contains(id)) splice.Replace(blocks.Value, AsText(id, JsonValue.Find(block, "content"u8)));
        }

        if (splice.Count == 0) return null;
        using PooledBytes told = new(json.Length + Math.Max(0, splice.Growth));
        splice.WriteTo(json, told);
        return told.Span.ToArray();
    }

    private static byte[] AsText(string id, ReadOnlySpan<byte> content)
    {
        byte[] lead = Text(JsonValue.Quote(id.Length > 0 ? $"Result of the tool call {id}:" : "Result of a tool call:"));
        if (JsonValue.IsString(content) && content.Length > 2) return [.. lead, (byte)',', .. Text(content)];
        return JsonValue.IsArray(content) && !JsonValue.IsEmptyContainer(content) ? [.. lead, (byte)',', .. content[1..^1]] : lead;
    }

    private static byte[] Text(ReadOnlySpan<byte> token) => [.. "{\"type\":\"text\",\"text\":"u8, .. token, (byte)'}'];

    /// <summary>With a comma behind it.</summary>
    private static byte[] Unavailable(string id) =>
        [.. "{\"type\":\"tool_result\",\"tool_use_id\":"u8, .. JsonValue.Quote(id), .. ",\"content\":\""u8, .. HistoryRules.NoResult, .. "\"},"u8];

    private static byte[] Before(byte[] results, ReadOnlySpan<byte> content)
    {
        if (JsonValue.IsString(content)) return [(byte)'[', .. results, .. Text(content), (byte)']'];
        bool alone = !JsonValue.IsArray(content) || JsonValue.IsEmptyContainer(content);
        return alone ? [(byte)'[', .. results[..^1], (byte)']'] : [(byte)'[', .. results, .. content[1..]];
    }
}
