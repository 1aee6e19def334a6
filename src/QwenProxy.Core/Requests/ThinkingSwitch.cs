using QwenProxy.Core.Requests.Quirks;

namespace QwenProxy.Core.Requests;

/// <summary>Whether a request leaves the model's thinking on, by all the switches that clients know.</summary>
public static class ThinkingSwitch
{
    public static bool LeavesOn(ChatRequest request, ThinkingWish? wish)
    {
        if (wish is { Enabled: false }) return false;
        ReadOnlySpan<byte> body = request.Body.Span;
        ReadOnlySpan<byte> template = JsonValue.Find(body, "chat_template_kwargs"u8);
        if (JsonValue.IsFalse(JsonValue.Find(body, "enable_thinking"u8)) || JsonValue.IsFalse(JsonValue.Find(template, "enable_thinking"u8))) return false;
        if (JsonValue.StringIs(JsonValue.Find(JsonValue.Find(body, "thinking"u8), "type"u8), "disabled"u8)) return false;
        string effort = JsonValue.Text(JsonValue.Find(body, "reasoning_effort"u8));
        if (effort.Length == 0) effort = JsonValue.Text(JsonValue.Find(JsonValue.Find(body, "reasoning"u8), "effort"u8));
        return !Thinking.MeansOff(effort);
    }
}
