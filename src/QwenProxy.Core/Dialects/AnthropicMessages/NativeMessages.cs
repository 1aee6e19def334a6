using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Messages for an upstream that speaks Messages itself.</summary>
public static class NativeMessages
{
    /// <summary>
    /// The request for such an upstream, or null when it must be translated: thinking that this proxy signed means nothing to anybody else.
    /// </summary>
    public static NativeRequest? Of(ReadOnlyMemory<byte> body, MessagesRequest request, bool removeBillingBlock)
    {
        if (body.Span.IndexOf(ThinkingSignature.Mark) >= 0) return null;
        return new NativeRequest
        {
            Body = body,
            Dialect = WireDialect.AnthropicMessages,
            Model = request.Model,
            FindLeftOut = removeBillingBlock ? static json => BillingBlock.Find(json.Span) : static _ => default,
            PathAt = static profile => profile.MessagesPath,
            UsualPath = "messages",
            LimitField = "max_tokens",
            NewReader = static () => new MessagesEventReader(),
        };
    }
}
