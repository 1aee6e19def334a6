using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>Past turns: calls, their results, and the thinking that led to them. One bad turn makes every later request fail.</summary>
internal static class HistoryRules
{
    private static ReadOnlySpan<byte> NoResult => "The result of this call is not available."u8;

    public static QuirkRule[] All { get; } =
    [
        new(
            "tool-arguments",
            "Makes the arguments of past calls a JSON object in a string; chat templates and services stumble over anything else.",
            (_, _) => true,
            MendArguments),
        new("tool-result-order", "Moves a tool result that comes late right behind its call.", (p, _) => p.ModelStudioRules, OrderResults),
        new("orphan-tool-result", "Tells a tool result without its call as the user's text.", (p, _) => p.ModelStudioRules, RetellOrphans),
        new("unanswered-tool-call", "Answers a call that has no result with a line that says so.", (p, _) => p.ModelStudioRules, AnswerCalls),
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

            if (splice.Count == 0) continue;
            using PooledBytes changed = new(json.Length + splice.Growth);
            splice.WriteTo(json, changed);
            messages.Replace(message, changed.Span.ToArray());
        }
    }

    private static void OrderResults(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        for (int i = 0; i < messages.Items.Count; i++)
        {
            if (!messages.Items[i].HasCalls) continue;
            HashSet<string> open = OpenCalls(messages.Items[i]);
            int end = i + 1;
            while (end < messages.Items.Count && messages.Items[end].Role == MessageRole.Tool) open.Remove(messages.Items[end++].CallId);
            for (int late = end; open.Count > 0 && late < messages.Items.Count && messages.Items[late].Role != MessageRole.Assistant; late++)
            {
                MessageDraft message = messages.Items[late];
                if (message.Role == MessageRole.Tool && open.Remove(message.CallId)) messages.Move(late, end++);
            }
        }
    }

    /// <summary>Said after the results that have their calls, since nothing may stand between those.</summary>
    private static void RetellOrphans(RequestDraft draft)
    {
        if (draft.Messages is not { } messages) return;
        HashSet<string> open = [];
        int i = 0;
        while (i < messages.Items.Count)
        {
            if (messages.Items[i].Role != MessageRole.Tool)
            {
                open = OpenCalls(messages.Items[i]);
                i++;
                continue;
            }

            int end = i;
            while (end < messages.Items.Count && messages.Items[end].Role == MessageRole.Tool) end++;
            int stay = end;
            for (int at = i; at < stay;)
            {
                string id = messages.Items[at].CallId;
                if (open.Contains(id) || (id.Length == 0 && open.Count > 0))
                {
                    at++;
                    continue;
                }

                messages.Replace(messages.Items[at], AsUserText(messages.Items[at]));
                messages.Move(at, end - 1);
                stay--;
            }

            open = [];
            i = end;
        }
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
        for (int i = 0; i < messages.Items.Count; i++)
        {
            if (!messages.Items[i].HasCalls) continue;
            HashSet<string> open = OpenCalls(messages.Items[i]);
            int end = i + 1;
            bool nameless = false;
            while (end < messages.Items.Count && messages.Items[end].Role == MessageRole.Tool)
            {
                string id = messages.Items[end++].CallId;
                nameless |= id.Length == 0;
                open.Remove(id);
            }

            // A result that names no call may be the one that is missed.
            if (nameless) continue;
            foreach (CallDraft call in messages.Items[i].Calls)
            {
                if (!open.Remove(call.Id)) continue;
                messages.Insert(end++, new MessageDraft(Unavailable(call.Id)));
            }
        }
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
