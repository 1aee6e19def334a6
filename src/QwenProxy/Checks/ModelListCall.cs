using System.Net.Http.Headers;
using System.Text.Json;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Checks;

/// <summary>What came of asking a service for its models.</summary>
internal sealed record ModelListAnswer
{
    /// <summary>Why there was no answer at all, as the end of "HOST cannot be used: …"; null when there was one.</summary>
    public string? NoAnswer { get; init; }

    /// <summary>What to do about <see cref="NoAnswer"/>.</summary>
    public string NoAnswerFix { get; init; } = "";

    public int Status { get; init; }

    public TimeSpan Took { get; init; }

    /// <summary>How far the service's clock is ahead of this machine's; null when it sent no date.</summary>
    public TimeSpan? ClockSkew { get; init; }

    /// <summary>How far <see cref="ClockSkew"/> may be wrong either way: half the time of the call, and half a second, since a date has whole ones.</summary>
    public TimeSpan ClockTolerance { get; init; }

    /// <summary>Null when the answer was no list or an empty one.</summary>
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>The refusal, as any other upstream error is read; null for a success. Its words are the service's and may hold what it was sent.</summary>
    public ProxyError? Error { get; init; }

    /// <summary>True for a success whose body is JSON, whatever is in it.</summary>
    public bool IsJson { get; init; }

    public bool IsRefusal => Error?.Kind == FaultKind.InvalidKey;
}

/// <summary>Asks for <c>GET models</c>: the one call that costs nothing and that a key opens. It ends in a value; only the caller's stop throws.</summary>
internal sealed class ModelListCall(UpstreamTransport transport, ProxySnapshot snapshot, TimeProvider time)
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <param name="baseUrl">Where to ask.</param>
    /// <param name="token">The key; null asks without one.</param>
    /// <param name="headersOf">The account whose own headers go along; null sends none, since they may hold a secret too.</param>
    /// <param name="stop">The caller's.</param>
    public async Task<ModelListAnswer> AskAsync(Uri baseUrl, string? token, AccountSnapshot? headersOf, CancellationToken stop)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using Deadline deadline = new(time, Timeout, limit);
        using HttpRequestMessage request = ModelDirectory.RequestFor(baseUrl);
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("qwen-proxy", null));
        if (headersOf is not null) HeaderAllowList.ApplyAccount(headersOf, request, token);
        else if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        DateTimeOffset sent = time.GetUtcNow();
        long sentAt = time.GetTimestamp();
        HttpResponseMessage? response = null;
        try
        {
            response = await transport.SendAsync(request, snapshot, limit.Token);
            TimeSpan took = time.GetElapsedTime(sentAt);
            TimeSpan tolerance = (took / 2) + TimeSpan.FromSeconds(0.5);
            // The date was written on the way, half-way as far as anyone can tell, and has lost half a second on average.
            TimeSpan? skew = response.Headers.Date is { } date ? date + TimeSpan.FromSeconds(0.5) - (sent + (took / 2)) : null;
            ModelListAnswer answer = await ReadAsync(response, limit.Token);
            return answer with { Status = (int)response.StatusCode, Took = took, ClockSkew = skew, ClockTolerance = tolerance };
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or OperationCanceledException or InvalidDataException)
        {
            stop.ThrowIfCancellationRequested();
            return Explain(failure, deadline.Passed);
        }
        finally
        {
            if (response is not null) UpstreamTransport.Release(response);
        }
    }

    private async Task<ModelListAnswer> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using PooledBytes text = new();
        bool whole = await UpstreamCall.ReadAtMostAsync(await UpstreamCall.OpenBodyAsync(response, cancellationToken), text, ModelDirectory.MaxListBytes, cancellationToken);
        if (!whole) throw new InvalidDataException("a list of models larger than 8 MiB");
        int status = (int)response.StatusCode;
        bool isJson = response.IsSuccessStatusCode && IsJson(text.Memory);
        if (isJson && ModelDirectory.Parse(text.Span, "") is { } models) return new ModelListAnswer { IsJson = true, Models = [.. models.Select(m => m.Id)] };
        ProxyError error = UpstreamErrorReader.FromResponse(status, HeaderAllowList.OfFailure(response), text.Span, model: null, time.GetUtcNow());
        // An error of the protocol is said of what was to be a stream; here it only means that nothing else was refused.
        return error.Kind == FaultKind.ProtocolError ? new ModelListAnswer { IsJson = isJson } : new ModelListAnswer { Error = error };
    }

    private static bool IsJson(ReadOnlyMemory<byte> text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind is JsonValueKind.Object or JsonValueKind.Array;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private ModelListAnswer Explain(Exception failure, bool tooLate)
    {
        const string network = "check the network, a firewall and HTTPS_PROXY, and the host in baseUrl";
        if (tooLate) return Without($"it did not answer within {Timeout.TotalSeconds:0} s", network);
        return failure switch
        {
            OperationCanceledException => Without($"no connection within {snapshot.Timeouts.Connect.TotalSeconds:0.#} s", network),
            HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } e =>
                Without(TransportFaults.WhyNotConnected(e)!, "check the spelling of baseUrl, and that this machine can resolve names"),
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } e =>
                Without(TransportFaults.WhyNotConnected(e)!, "check http or https in baseUrl, this machine's clock, and the certificates of a proxy on the way"),
            HttpRequestException e when TransportFaults.WhyNotConnected(e) is { } why => Without(why, "start the server, or correct host and port in baseUrl; when both are right, check the firewall and HTTPS_PROXY"),
            InvalidDataException e => Without(e.Message, "check baseUrl: this is no list of models"),
            _ => Without("it closed the connection without a whole answer", "try again; check http or https in baseUrl"),
        };
    }

    private static ModelListAnswer Without(string why, string fix) => new() { NoAnswer = why, NoAnswerFix = fix };
}
