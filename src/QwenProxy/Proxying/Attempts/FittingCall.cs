using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Requests;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// One attempt at an answer. What upstream refuses only for one setting is asked again at once with what fits, since nothing else about the request
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

            if (chat.MaxOutputTokens is { } asked && Fit(error, asked) is { } fit)
            {
                if (IsHopeless(error, fit)) return error with { Kind = FaultKind.ContextTooLong };
                if (fit < 1 || corrections++ == MostCorrections) return outcome;
                Learn(target, error, asked, fit, chat.Body.Length);
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

    /// <summary>The same in the client's own dialect, where the number of tokens is the one setting that is known to be refused.</summary>
    public async Task<AttemptOutcome<UpstreamStream>> SendNativeAsync(UpstreamCall call, AttemptTarget target, Uri url, TimeSpan deadline, CancellationToken cancellationToken)
    {
        NativeRequest native = incoming.Native!;
        long atMost = upstreams.OutputLimits.Allowed(target.Account.Name, target.Ask.Model, native.Body.Length);
        for (int corrections = 0; ; exchange.Attempts++)
        {
            UpstreamRequest request = UpstreamRequest.Native(target, native, url, exchange.Http.Request.QueryString.Value ?? "", atMost);
            AttemptOutcome<UpstreamStream> outcome = await call.SendAsync(target, request, deadline, cancellationToken);
            if (outcome.Error is not { } error || native.MaxOutputTokens is not { } wanted) return outcome;
            long asked = Math.Min(wanted, atMost);
            if (Fit(error, asked) is not { } fit) return outcome;
            if (IsHopeless(error, fit)) return error with { Kind = FaultKind.ContextTooLong };
            if (fit < 1 || corrections++ == MostCorrections) return outcome;
            Learn(target, error, asked, fit, native.Body.Length);
            atMost = fit;
        }
    }

    /// <summary>What fits where upstream refused the number of tokens for its size; null for any other error.</summary>
    private static long? Fit(ProxyError error, long asked) => error.OutputLimit?.Fit(asked) is { } fit && fit < asked ? fit : null;

    /// <summary>It is the prompt that is too long.</summary>
    private static bool IsHopeless(ProxyError error, long fit) => error.OutputLimit!.Most == 0 && fit < OutputLimit.LeastUseful;

    private void Learn(AttemptTarget target, ProxyError error, long asked, long fit, int bytes)
    {
        upstreams.OutputLimits.Learn(target.Account.Name, target.Ask.Model, error.OutputLimit!, fit, bytes);
        RequestLog.OutputLimited(exchange.Instruments.Logger, exchange.RequestId, target.Account.Name, target.Ask.Model, asked, fit);
    }

    private ChatRequest Adapt(AttemptTarget target, bool mayThink) => AdaptedRequest.For(target, exchange, incoming, upstreams.OutputLimits, mayThink);
}
