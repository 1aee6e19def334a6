using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// One attempt at a chat answer. What upstream refuses only because <c>max_tokens</c> is too large is asked again at once with what fits: agents
/// send one number for all models, and nothing else about the request is in doubt. What was learned is kept for later requests.
/// </summary>
internal sealed class FittingCall(UpstreamAccess upstreams, Exchange exchange, IncomingRequest incoming)
{
    /// <summary>An upstream that stops counting a prompt may have to be asked twice; one that names a range is believed.</summary>
    private const int MostCorrections = 2;

    public async Task<AttemptOutcome<UpstreamStream>> SendAsync(UpstreamCall call, AttemptTarget target, TimeSpan deadline, CancellationToken cancellationToken)
    {
        ChatRequest chat = AdaptedRequest.For(target, exchange, incoming, upstreams.OutputLimits);
        for (int corrections = 0; ; corrections++)
        {
            AttemptOutcome<UpstreamStream> outcome = await call.SendAsync(target, chat, incoming.Query, deadline, cancellationToken);
            if (outcome.Error is not { OutputLimit: { } limit } error || chat.MaxOutputTokens is not { } asked || limit.Fit(asked) is not { } fit || fit >= asked) return outcome;
            if (limit.Most == 0 && fit < OutputLimit.LeastUseful) return error with { Kind = FaultKind.ContextTooLong };
            if (fit < 1 || corrections == MostCorrections) return outcome;
            upstreams.OutputLimits.Learn(target.Account.Name, target.Ask.Model, limit, fit, chat.Body.Length);
            RequestLog.OutputLimited(exchange.Instruments.Logger, exchange.RequestId, target.Account.Name, target.Ask.Model, asked, fit);
            chat = chat.WithAtMost(fit);
            exchange.Attempts++;
        }
    }
}
