using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// One attempt at a chat answer. What upstream refuses only for one setting is asked again at once with what fits, since nothing else about the request
/// is in doubt: agents send one <c>max_tokens</c> for all models, and some models refuse to be told not to think. What was learned is kept for later requests.
/// </summary>
internal sealed class FittingCall(UpstreamAccess upstreams, Exchange exchange, IncomingRequest incoming)
{
    /// <summary>An upstream that stops counting a prompt may have to be asked twice; one that names a range is believed.</summary>
    private const int MostCorrections = 2;

    /// <summary>The request as this upstream is known to take it.</summary>
    public ChatRequest Adapt(AttemptTarget target) => Adapt(target, upstreams.RefusedSwitches.Contains(target));

    public async Task<AttemptOutcome<UpstreamStream>> SendAsync(UpstreamCall call, AttemptTarget target, TimeSpan deadline, CancellationToken cancellationToken)
    {
        bool mayThink = upstreams.RefusedSwitches.Contains(target);
        ChatRequest chat = Adapt(target, mayThink);
        AttemptOutcome<UpstreamStream>? refused = null;
        for (int corrections = 0; ; exchange.Attempts++)
        {
            AttemptOutcome<UpstreamStream> outcome = await call.SendAsync(target, UpstreamRequest.Chat(target, chat, incoming.Query), deadline, cancellationToken);
            if (outcome.Error is not { } error)
            {
                if (refused is not null) upstreams.RefusedSwitches.Note(target);
                return outcome;
            }

            if (error.OutputLimit is { } limit && chat.MaxOutputTokens is { } asked && limit.Fit(asked) is { } fit && fit < asked)
            {
                if (limit.Most == 0 && fit < OutputLimit.LeastUseful) return error with { Kind = FaultKind.ContextTooLong };
                if (fit < 1 || corrections++ == MostCorrections) return outcome;
                upstreams.OutputLimits.Learn(target.Account.Name, target.Ask.Model, limit, fit, chat.Body.Length);
                RequestLog.OutputLimited(exchange.Instruments.Logger, exchange.RequestId, target.Account.Name, target.Ask.Model, asked, fit);
                chat = chat.WithAtMost(fit);
            }
            else if (!mayThink && incoming.Thinking is { Enabled: false } && RefusedSwitches.IsRefusal(error))
            {
                (mayThink, refused) = (true, outcome);
                chat = Adapt(target, mayThink);
            }
            else
            {
                // A guess about the switch that did not help is no news: the first refusal is what upstream means.
                return refused ?? outcome;
            }
        }
    }

    private ChatRequest Adapt(AttemptTarget target, bool mayThink) => AdaptedRequest.For(target, exchange, incoming, upstreams.OutputLimits, mayThink);
}
