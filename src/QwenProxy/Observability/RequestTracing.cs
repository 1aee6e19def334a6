using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Observability;

/// <summary>
/// One span for a request and below it one for each attempt, up to the first event of its answer, named as OpenTelemetry's conventions for
/// generative AI have it. While nobody listens no span is made. Nothing of a conversation is in them.
/// </summary>
internal static class RequestTracing
{
    public const string SourceName = "QwenProxy";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a request's span, below the client's own when it sent a <c>traceparent</c>.</summary>
    public static Activity? BeginRequest(HttpRequest request, string requestId)
    {
        if (!Source.HasListeners()) return null;
        // The server's own activity is recorded by nobody, and a child of an unrecorded span is not recorded either.
        Activity.Current = null;
        ActivityContext.TryParse(request.Headers["traceparent"], request.Headers["tracestate"], isRemote: true, out ActivityContext parent);
        Activity? span = Source.StartActivity($"{request.Method} {request.Path}", ActivityKind.Server, parent);
        span?.SetTag("http.request.method", request.Method).SetTag("url.path", request.Path.Value).SetTag("qwen_proxy.request_id", requestId);
        return span;
    }

    public static void EndRequest(Activity? span, LedgerEntry entry)
    {
        if (span is null) return;
        span.SetTag("gen_ai.operation.name", "chat").SetTag("gen_ai.request.model", entry.AskedModel).SetTag("http.response.status_code", entry.Status);
        span.SetTag("qwen_proxy.dialect", entry.Dialect).SetTag("qwen_proxy.attempts", entry.Attempts).SetTag("qwen_proxy.resumes", entry.Resumes);
        if (entry.ServedModel is { } model) span.SetTag("gen_ai.response.model", model);
        if (entry.Account is { } account) span.SetTag("qwen_proxy.account", account);
        if (entry.Tokens is { } tokens) span.SetTag("gen_ai.usage.input_tokens", tokens.Input).SetTag("gen_ai.usage.output_tokens", tokens.Output);
        if (entry.FirstByte is { } first) span.SetTag("qwen_proxy.time_to_first_byte_seconds", first.TotalSeconds);
        Close(span, entry.End == "complete" ? null : entry.End);
    }

    public static Activity? BeginAttempt(AccountSnapshot account, string model, int number)
    {
        Activity? span = Source.StartActivity("chat " + model, ActivityKind.Client);
        span?.SetTag("gen_ai.operation.name", "chat").SetTag("gen_ai.request.model", model).SetTag("gen_ai.provider.name", account.Profile.Name)
            .SetTag("qwen_proxy.account", account.Name).SetTag("qwen_proxy.attempt", number);
        if (account.BaseUrl is { } url) span?.SetTag("server.address", url.Host).SetTag("server.port", url.Port);
        return span;
    }

    public static void EndAttempt(Activity? span, ProxyError? error)
    {
        if (span is null) return;
        if (error is not null) span.SetTag("http.response.status_code", error.Status);
        Close(span, error?.Kind.ToString());
    }

    private static void Close(Activity span, string? errorType)
    {
        if (errorType is not null) span.SetTag("error.type", errorType).SetStatus(ActivityStatusCode.Error);
        span.Dispose();
    }
}
