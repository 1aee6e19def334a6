using Microsoft.AspNetCore.Http;
using QwenProxy.Catalogue;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Proxying;

namespace QwenProxy.Endpoints;

/// <summary><c>POST /v1/messages</c>: Anthropic's dialect, translated to the middle and back.</summary>
internal sealed class MessagesClient(IdSource ids, TokenEstimate tokens) : ClientDialect
{
    /// <summary>Anthropic's SDKs read this header and no other.</summary>
    public const string RequestId = "request-id";

    public override string Name => "anthropic.messages";

    public override string RequestIdHeader => RequestId;

    public override IncomingRequest? Parse(Exchange exchange, out ProxyError? fault)
    {
        // The profile is not known yet. A client that marks nothing gets plain strings everywhere; the marks of others go where they mean nothing.
        bool marks = exchange.Body.Memory.Span.IndexOf("\"cache_control\""u8) >= 0;
        MessagesOptions options = new() { CacheControl = marks, RemoveBillingBlock = !exchange.Snapshot.Repair.DisabledQuirks.Contains("billing-block") };
        if (!MessagesRequestParser.TryTranslate(exchange.Body.Memory, options, out MessagesRequest? request, out fault)) return null;
        if (!ChatRequest.TryParse(request.ChatBody, out ChatRequest chat, out string problem))
        {
            fault = OwnErrors.InvalidRequest(problem);
            return null;
        }

        chat.JoinsTexts = true;
        ThinkingPolicy policy = exchange.Snapshot.Models.ThinkingOf(request.Model);
        ThinkingRequest thinking = request.Thinking.Under(policy);
        NativeRequest? native = NativeMessages.Of(exchange.Body.Memory, request, options.RemoveBillingBlock);
        MessagesAnswerOptions answer = new()
        {
            Model = request.Model,
            IsOnFallback = () => exchange.IsOnFallback,
            InputTokensEstimate = (int)FirstTokenRule.EstimateTokens(exchange.Body.Length),
            NewId = () => ids.Next(""),
            Display = thinking.Display,
            StopSequences = request.StopSequences,
        };
        return new IncomingRequest(chat, request.Stream, output => request.Stream ? new MessagesStreamAnswer(output, answer) : new MessagesWholeAnswer(output, answer))
        {
            Native = native,
            Thinking = thinking.Wish,
            Notes = [.. request.Dropped.Select(d => "dropped " + d), .. request.QuirksApplied, .. native is not null ? Array.Empty<string>() : ["not native: signed thinking"]],
        };
    }

    public override byte[] WriteError(ProxyError error) => MessagesErrors.Write(error);

    /// <summary><c>POST /v1/messages/count_tokens</c>: answered here, without an upstream.</summary>
    public async Task<ProxyError?> CountAsync(Exchange exchange, ClientDialect dialect)
    {
        if (!MessagesTokenText.TryCount(exchange.Body.Memory, tokens.Count, out int count, out ProxyError? fault)) return fault;
        byte[] body = MessagesTokenText.WriteCount(count);
        HttpResponse response = exchange.Http.Response;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, exchange.Token);
        return null;
    }
}
