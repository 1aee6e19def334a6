using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>Past turns: calls, their results, and the thinking that led to them. One bad turn makes every later request fail.</summary>
internal static class HistoryRules
{
    public static ReadOnlySpan<byte> NoResult => "The result of this call is not available."u8;

    public static QuirkRule[] All { get; } =
    [
        new(
            "tool-arguments",
            "Makes the arguments of past calls a JSON object in a string; chat templates and services stumble over anything else.",
            (_, _) => true,
            MendArguments) { Messages = MendInputs, Responses = MendItems },
        new("tool-result-order", "Moves a tool result that comes late right behind its call.", (p, _) => p.ModelStudioRules, OrderResults),
        new("orphan-tool-result", "Tells a tool result without its call as the user's text.", (p, _) => p.ModelStudioRules, RetellOrphans)
        {
            Messages = MessagesHistory.RetellOrphans,
        },
        new("unanswered-tool-call", "Answers a call that has no result with a line that says so.", (p, _) => p.ModelStudioRules, AnswerCalls)
        {
            Messages = MessagesHistory.AnswerCalls,
        },
        new(
            "reasoning-history",
            "Sends the thinking of earlier turns in the field that the upstream reads.",
            (p, _) => p.ReasoningFieldIn != "reasoning_content",
            RenameReasoning),
    ];

    private static void MendArguments(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        foreach (MessageDraft message in messages.Items)
        {
            if (!message.HasCalls) continue;
            JsonSplice splice = new();
            ReadOnlySpan<byte> json = message.Raw.Span;
            foreach (CallDraft call in message.Calls)
            {
                if (call.Function.IsEmpty || !JsonValue.IsObject(call.Function.In(json))) continue;
                if (!call.Arguments.IsEmpty)
                {
                    if (ToolArguments.Mend(call.Arguments.In(json)) is { } mended) splice.Replace(call.Arguments, mended);
                    continue;
                }

                bool empty = JsonValue.IsEmptyContainer(call.Function.In(json));
                splice.Insert(call.Function.Start + 1, empty ? "\"arguments\":\"{}\""u8.ToArray() : "\"arguments\":\"{}\","u8.ToArray());
            }

            if (splice.Count > 0) messages.Replace(message, Written(json, splice));
        }
    }

    /// <summary>Messages has them as objects.</summary>
    private static void MendInputs(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        foreach (MessageDraft message in messages.Items)
        {
            ReadOnlyMemory<byte> content = message.Content;
            if (message.Role != MessageRole.Assistant || !JsonValue.IsArray(content.Span)) continue;
            JsonSplice splice = new();
            JsonScanner blocks = new(content.Span);
            while (blocks.MoveNext())
            {
                ReadOnlySpan<byte> block = blocks.Value.In(content.Span);
                if (!JsonValue.StringIs(JsonValue.Find(block, "type"u8), "tool_use"u8)) continue;
                ByteRange input = JsonValue.FindRange(block, "input"u8);
                if (JsonValue.IsObject(input.In(block))) continue;
                byte[] mended = input.IsEmpty ? "{}"u8.ToArray() : ToolArguments.MendObject(input.In(block));
                if (input.IsEmpty) splice.Insert(blocks.Value.Start + 1, (byte[])[.. "\"input\":"u8, .. mended, (byte)',']);
                else splice.Replace(input.Shift(-blocks.Value.Start), mended);
            }

            if (splice.Count > 0) messages.SetContent(message, Written(content.Span, splice));
        }
    }

    private static void MendItems(RequestDraft draft)
    {
        if (draft.Messages is not { } items) return;
        foreach (MessageDraft item in items.Items)
        {
            ReadOnlySpan<byte> json = item.Raw.Span;
            if (item.Role != MessageRole.Other || !JsonValue.StringIs(JsonValue.Find(json, "type"u8), "function_call"u8)) continue;
            ByteRange arguments = JsonValue.FindRange(json, "arguments"u8);
            byte[]? mended = arguments.IsEmpty ? "\"{}\""u8.ToArray() : ToolArguments.Mend(arguments.In(json));
            if (mended is null) continue;
            JsonObjectDraft members = JsonObjectDraft.Read(item.Raw);
            members.Set("arguments"u8, mended);
            items.Replace(item, members.ToBytes());
        }
    }

    private static byte[] Written(ReadOnlySpan<byte> json, JsonSplice splice)
    {
        using PooledBytes changed = new(json.Length + Math.Max(0, splice.Growth));
        splice.WriteTo(json, changed);
        return changed.Span.ToArray();
    }

    private static void OrderResults(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        IReadOnlyList<MessageDraft> items = messages.Items;
        List<MessageDraft> ordered = new(items.Count);
        bool moved = false;
        int i = 0;
        while (i < items.Count)
        {
            HashSet<string> open = OpenCalls(items[i]);
            ordered.Add(items[i++]);
            if (open.Count == 0) continue;
            for (; i < items.Count && items[i].Role == MessageRole.Tool; i++)
            {
                open.Remove(items[i].CallId);
                ordered.Add(items[i]);
            }

            List<MessageDraft> between = [];
            for (; open.Count > 0 && i < items.Count && items[i].Role != MessageRole.Assistant; i++)
            {
                bool late = items[i].Role == MessageRole.Tool && open.Remove(items[i].CallId);
                moved |= late;
                (late ? ordered : between).Add(items[i]);
            }

            ordered.AddRange(between);
        }

        if (moved) messages.Rearrange(ordered);
    }

    /// <summary>Said after the results that have their calls, since nothing may stand between those.</summary>
    private static void RetellOrphans(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        IReadOnlyList<MessageDraft> items = messages.Items;
        List<MessageDraft> told = new(items.Count), orphans = [];
        bool found = false;
        HashSet<string> open = [];
        foreach (MessageDraft message in items)
        {
            if (message.Role == MessageRole.Tool)
            {
                string id = message.CallId;
                bool answers = id.Length == 0 ? open.Count > 0 : open.Contains(id);
                found |= !answers;
                (answers ? told : orphans).Add(message);
                continue;
            }

            Tell(messages, orphans, told);
            open = OpenCalls(message);
            told.Add(message);
        }

        Tell(messages, orphans, told);
        if (found) messages.Rearrange(told);
    }

    private static void Tell(MessageListDraft messages, List<MessageDraft> orphans, List<MessageDraft> told)
    {
        foreach (MessageDraft orphan in orphans) messages.Replace(orphan, AsUserText(orphan));
        told.AddRange(orphans);
        orphans.Clear();
    }

    private static byte[] AsUserText(MessageDraft result)
    {
        byte[] lead = JsonValue.Quote(result.CallId.Length > 0 ? $"Result of the tool call {result.CallId}:" : "Result of a tool call:");
        ReadOnlyMemory<byte> content = result.Content;
        byte[] whole = ContentText.Join(JsonValue.IsNothing(content.Span) ? [lead] : [lead, content]);
        return [.. "{\"role\":\"user\",\"content\":"u8, .. whole, (byte)'}'];
    }

    private static void AnswerCalls(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        IReadOnlyList<MessageDraft> items = messages.Items;
        List<MessageDraft> answered = new(items.Count);
        int i = 0;
        while (i < items.Count)
        {
            MessageDraft message = items[i++];
            answered.Add(message);
            HashSet<string> open = OpenCalls(message);
            for (; open.Count > 0 && i < items.Count && items[i].Role == MessageRole.Tool; i++)
            {
                // A result that names no call may be the one that is missed.
                string id = items[i].CallId;
                if (id.Length == 0) open.Clear();
                open.Remove(id);
                answered.Add(items[i]);
            }

            if (open.Count == 0) continue;
            foreach (CallDraft call in message.Calls)
            {
                if (open.Remove(call.Id)) answered.Add(new MessageDraft(Unavailable(call.Id)));
            }
        }

        if (answered.Count > items.Count) messages.Rearrange(answered);
    }

    private static byte[] Unavailable(string id) =>
        [.. "{\"role\":\"tool\",\"tool_call_id\":"u8, .. JsonValue.Quote(id), .. ",\"content\":\""u8, .. NoResult, .. "\"}"u8];

    private static HashSet<string> OpenCalls(MessageDraft message)
    {
        HashSet<string> ids = [];
        if (message.Role != MessageRole.Assistant) return ids;
        foreach (CallDraft call in message.Calls)
        {
            if (call.Id.Length > 0) ids.Add(call.Id);
        }

        return ids;
    }

    private static void RenameReasoning(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        byte[] field = Encoding.ASCII.GetBytes(draft.Profile.ReasoningFieldIn);
        foreach (MessageDraft message in messages.Items)
        {
            if (message.Role != MessageRole.Assistant || !message.HasReasoningContent) continue;
            JsonObjectDraft members = JsonObjectDraft.Read(message.Raw);

            // Some clients replay both spellings of the same words: one of them is enough.
            if (message.HasReasoning) members.Remove("reasoning_content"u8);
            else
            {
                members.Remove(field);
                members.Rename(members.FindMember("reasoning_content"u8)!, field);
            }

            messages.Replace(message, members.ToBytes());
        }
    }
}
