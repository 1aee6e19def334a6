namespace QwenProxy.Core.Events;

/// <summary>The wire API that an event's bytes are in. Whoever speaks the same one may pass them on as they came.</summary>
public enum WireDialect : byte
{
    OpenAIChat,
    AnthropicMessages,
    OpenAIResponses,
}
