using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>A message's id: the upstream's with Anthropic's prefix, so that one answer can be followed through both logs.</summary>
internal static class MessageId
{
    public static string From(ReadOnlySpan<byte> idToken, Func<string> newId)
    {
        string id = JsonField.Text(idToken);
        if (id.StartsWith("msg_", StringComparison.Ordinal)) id = id[4..];
        else if (id.StartsWith("chatcmpl-", StringComparison.Ordinal)) id = id[9..];
        StringBuilder kept = new("msg_", id.Length + 4);
        foreach (char c in id)
        {
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '-') kept.Append(c);
        }

        return kept.Length > 4 ? kept.ToString() : "msg_" + newId();
    }
}

/// <summary>
/// Which stop sequence ended the text, where the upstream says so beside the finish reason (vLLM's <c>stop_reason</c>, SGLang's <c>matched_stop</c>).
/// Only the request's own count: the same fields also name the end of turn.
/// </summary>
internal static class MatchedStop
{
    public static string? Find(ReadOnlySpan<byte> choices, IReadOnlyList<string> sequences)
    {
        if (!JsonField.IsArray(choices)) return null;
        JsonScanner items = new(choices);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> choice = items.Value.In(choices);
            ReadOnlySpan<byte> stop = JsonField.Find(choice, "stop_reason"u8);
            if (!JsonField.IsString(stop)) stop = JsonField.Find(choice, "matched_stop"u8);
            string text = JsonField.Text(stop);
            if (text.Length > 0 && sequences.Contains(text)) return text;
        }

        return null;
    }
}
