using System.Text.Json;
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
        if (!client.Limits.Models.IsEmpty && WhyNotAllowed(exchange, client.Limits, model) is { } other) return other;
        long tokens = FirstTokenRule.EstimateTokens(exchange.Body.Length);
        ClientTake estimate = new(tokens, UsageTable.CostOf(model, new TokenCounts(tokens, 0)) ?? 0);
        ClientMeter meter = meters.Of(client.Name);
        DateTimeOffset now = time.GetLocalNow();
        ProxyError? refused = meter.TryEnter(client.Limits, estimate, now, out ClientAdmission? admission);
        if (refused is not null) meters.NoteStarved();
        exchange.Admission = admission;
        if (client.Limits.Counts) exchange.Standing = meter.Look(client.Limits, now);
        return refused;
    }

    public void Leave() => drain.Leave();

    private static ProxyError? WhyNotAllowed(Exchange exchange, ClientLimits limits, string model)
    {
        bool namesNone = exchange.AskedModel.Length == 0;
        if (namesNone ? exchange.Body.Length > 0 : !limits.Allows(exchange.AskedModel, model)) return OwnErrors.ModelNotAllowed(exchange.AskedModel, limits.Models);
        return NamesOneModel(exchange.Body.Span) ? null : OwnErrors.InvalidRequest("The request names its model more than once, which this key does not allow.", "model");
    }

    /// <summary>
    /// Readers differ in which of two members of one name they take, and in whether an escape makes it another; some services take a list of models beside the
    /// one. A key that is for some models leaves none of them a choice.
    /// </summary>
    private static bool NamesOneModel(ReadOnlySpan<byte> body)
    {
        int count = 0;
        Utf8JsonReader json = new(body, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, MaxDepth = 512 });
        try
        {
            while (json.Read())
            {
                if (json.TokenType == JsonTokenType.PropertyName && json.CurrentDepth == 1 && (json.ValueTextEquals("model"u8) || json.ValueTextEquals("models"u8))) count++;
            }
        }
        catch (JsonException)
        {
            // What cannot be read to its end cannot be told from what it hides either.
            return body.IsEmpty;
        }

        return count <= 1;
    }
}
