using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Resilience;
using QwenProxy.Proxying.Attempts;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>Who is let in: first by what can be said without the body, then, before anybody upstream is asked, by the limits of the client's key.</summary>
internal sealed class Admission(DrainState drain, ClientMeters meters, TimeProvider time)
{
    public CancellationToken End => drain.End;

    /// <summary>Not while stopping, not without a key that fits, not with more headers or beside more requests than the proxy takes.</summary>
    public ProxyError? Admit(Exchange exchange, out bool entered)
    {
        entered = false;
        ProxySnapshot snapshot = exchange.Snapshot;
        if (drain.IsDraining) return OwnErrors.Draining(TimeSpan.FromSeconds(5));
        if (!ClientKeys.TryIdentify(exchange.Http.Request, snapshot, time.GetUtcNow(), out Client? client)) return OwnErrors.InvalidApiKey();
        exchange.Client = client;
        int headerBytes = 0;
        foreach ((string name, var values) in exchange.Http.Request.Headers)
        {
            headerBytes += name.Length + 4;
            foreach (string? value in values) headerBytes += value?.Length ?? 0;
        }

        if (headerBytes > snapshot.Limits.HeaderBytes)
        {
            return OwnErrors.RequestTooLarge(snapshot.Limits.HeaderBytes) with
            {
                Status = StatusCodes.Status431RequestHeaderFieldsTooLarge,
                Message = $"The request's headers are larger than {snapshot.Limits.HeaderBytes / 1024} KiB. Send fewer or shorter headers.",
            };
        }

        entered = drain.TryEnter(snapshot.Limits.ConcurrentRequests);
        return entered ? null : OwnErrors.TooManyRequests(snapshot.Limits.ConcurrentRequests, TimeSpan.FromSeconds(1));
    }

    /// <summary>The client's models and limits, for a request whose model is known; <paramref name="model"/> is what its name stands for.</summary>
    public ProxyError? Enter(Exchange exchange, string model)
    {
        if (exchange.Client is not { } client) return null;
        bool namesNone = exchange.AskedModel.Length == 0;
        if (!client.Limits.Models.IsEmpty && (namesNone ? exchange.Body.Length > 0 : !client.Limits.Allows(exchange.AskedModel, model)))
            return OwnErrors.ModelNotAllowed(exchange.AskedModel, client.Limits.Models);
        long tokens = FirstTokenRule.EstimateTokens(exchange.Body.Length);
        ClientTake estimate = new(tokens, UsageTable.CostOf(model, new TokenCounts(tokens, 0)) ?? 0);
        ClientMeter meter = meters.Of(client.Name);
        DateTimeOffset now = time.GetLocalNow();
        ProxyError? refused = meter.TryEnter(client.Limits, estimate, now, out ClientAdmission? admission);
        exchange.Admission = admission;
        if (client.Limits.Counts) exchange.Standing = meter.Look(client.Limits, now);
        return refused;
    }

    public void Leave() => drain.Leave();
}
