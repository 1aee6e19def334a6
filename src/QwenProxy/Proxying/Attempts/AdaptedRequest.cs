using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>The request as one upstream wants it: the client's own, with named quirk rules applied where they have something to change.</summary>
internal static class AdaptedRequest
{
    public static ChatRequest For(AttemptTarget target, Exchange exchange, IncomingRequest incoming)
    {
        List<string> applied = [];
        ChatRequest adapted = QuirkRules.Apply(incoming.Chat, target.Account.Profile, target.Ask.Model, incoming.Thinking, exchange.Snapshot.Repair.DisabledQuirks, applied);
        foreach (string rule in applied)
        {
            exchange.Instruments.Metrics.QuirkApplied(rule);
            RequestLog.Quirk(exchange.Instruments.Logger, exchange.RequestId, rule);
        }

        return adapted;
    }
}
