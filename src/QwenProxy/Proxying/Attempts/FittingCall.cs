using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;
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

    /// <summary>The name under which a lowered <c>max_tokens</c> is logged and counted, beside the quirk rules.</summary>
    private const string LearnedLimitRule = "learned-max-tokens";

    /// <summary>The request in chat, as this upstream is known to take it.</summary>
    public ChatRequest AdaptToChat(AttemptTarget target)
    {
        ChatRequest chat = ToChat(target, upstreams.RefusedSwitches.Contains(target, WireDialect.OpenAIChat));
        return chat.WithAtMost(Allowed(target, chat.Body.Length, chat.MaxOutputTokens));
    }

    /// <param name="call">Sends.</param>
    /// <param name="target">Whom.</param>
    /// <param name="native">Where the client's own dialect is spoken; null asks in chat.</param>
    /// <param name="deadline">For the first event of each call.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public async Task<AttemptOutcome<UpstreamStream>> SendAsync(UpstreamCall call, AttemptTarget target, Uri? native, TimeSpan deadline, CancellationToken cancellationToken)
    {
        WireDialect dialect = native is null ? WireDialect.OpenAIChat : incoming.Native!.Dialect;
        bool mayThink = upstreams.RefusedSwitches.Contains(target, dialect);
        AdaptedRequest adapted = Adapt(target, native, mayThink);
        long atMost = Allowed(target, adapted.Bytes, adapted.Wanted);
        AttemptOutcome<UpstreamStream>? refused = null;
        for (int corrections = 0; ; exchange.Attempts++)
        {
            AttemptOutcome<UpstreamStream> outcome = await call.SendAsync(target, adapted.Asking(atMost), deadline, cancellationToken);
            if (outcome.Error is not { } error)
            {
                if (refused is not null) upstreams.RefusedSwitches.Note(target, dialect);
                return outcome;
            }

            if (adapted.Wanted is { } wanted && Fit(error, Math.Min(wanted, atMost)) is { } fit)
            {
                if (IsHopeless(error, fit)) return error with { Kind = FaultKind.ContextTooLong };
                if (fit < 1 || corrections++ == MostCorrections) return outcome;
                Learn(target, error, Math.Min(wanted, atMost), fit, adapted.Bytes);
                atMost = fit;
            }
            else if (!mayThink && incoming.Thinking is { Enabled: false } && RefusedSwitches.IsRefusal(error))
            {
                (mayThink, refused) = (true, outcome);
                adapted = Adapt(target, native, mayThink);
            }
            else
            {
                // A guess about the switch that did not help is no news: the first refusal is what upstream means.
                return refused ?? outcome;
            }
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

    private AdaptedRequest Adapt(AttemptTarget target, Uri? native, bool mayThink)
    {
        if (native is null)
        {
            ChatRequest chat = ToChat(target, mayThink);
            return new AdaptedRequest(chat.Body.Length, chat.MaxOutputTokens, atMost => UpstreamRequest.Chat(target, chat.WithAtMost(atMost), incoming.Query));
        }

        List<string> applied = [];
        NativeRequest own = incoming.Native!.Adapt(target.Account.Profile, target.Ask.Model, Wish(mayThink), exchange.Snapshot.Repair.DisabledQuirks, applied);
        applied.ForEach(NoteRule);
        string query = exchange.Http.Request.QueryString.Value ?? "";
        return new AdaptedRequest(own.Body.Length, own.MaxOutputTokens, atMost => UpstreamRequest.Native(target, own, native, query, atMost));
    }

    private ChatRequest ToChat(AttemptTarget target, bool mayThink)
    {
        List<string> applied = [];
        ChatRequest chat = QuirkRules.Apply(incoming.Chat, target.Account.Profile, target.Ask.Model, Wish(mayThink), exchange.Snapshot.Repair.DisabledQuirks, applied);
        applied.ForEach(NoteRule);
        return chat;
    }

    /// <summary>What is wanted of thinking; a model that refuses to be told not to think is told nothing.</summary>
    private ThinkingWish? Wish(bool mayThink) => mayThink && incoming.Thinking is { Enabled: false } ? default(ThinkingWish) : incoming.Thinking;

    private long Allowed(AttemptTarget target, int bytes, long? wanted)
    {
        long allowed = upstreams.OutputLimits.Allowed(target.Account.Name, target.Ask.Model, bytes);
        if (wanted > allowed) NoteRule(LearnedLimitRule);
        return allowed;
    }

    private void NoteRule(string rule)
    {
        exchange.Instruments.Metrics.QuirkApplied(rule);
        RequestLog.Quirk(exchange.Instruments.Logger, exchange.RequestId, rule);
    }
}
