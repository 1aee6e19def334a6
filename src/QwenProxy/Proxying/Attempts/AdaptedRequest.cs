using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>The request as one upstream wants it: the client's own, with named quirk rules applied where they have something to change.</summary>
internal static class AdaptedRequest
{
    /// <summary>The name under which a lowered <c>max_tokens</c> is logged and counted, beside the quirk rules.</summary>
    private const string LearnedLimitRule = "learned-max-tokens";

    /// <param name="mayThink">The model is not told not to think: it refuses to be.</param>
    public static ChatRequest For(AttemptTarget target, Exchange exchange, IncomingRequest incoming, OutputLimits limits, bool mayThink)
    {
        List<string> applied = [];
        ThinkingWish? wish = mayThink && incoming.Thinking is { Enabled: false } ? null : incoming.Thinking;
        ChatRequest adapted = QuirkRules.Apply(incoming.Chat, target.Account.Profile, target.Ask.Model, wish, exchange.Snapshot.Repair.DisabledQuirks, applied);
        ChatRequest fitting = adapted.WithAtMost(limits.Allowed(target.Account.Name, target.Ask.Model, adapted.Body.Length));
        if (fitting != adapted) applied.Add(LearnedLimitRule);
        foreach (string rule in applied)
        {
            exchange.Instruments.Metrics.QuirkApplied(rule);
            RequestLog.Quirk(exchange.Instruments.Logger, exchange.RequestId, rule);
        }

        return fitting;
    }
}
