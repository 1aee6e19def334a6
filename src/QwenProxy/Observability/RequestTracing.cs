using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Observability;

/// <summary>
/// One span for a request, by the conventions for HTTP servers, and below it one for each attempt (<see cref="AttemptTelemetry"/>). What happened between the
/// attempts, a wait or a break, is an event of the request's span. While nobody listens no span is made. Nothing of a conversation is in them.
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
        string route = RouteOf(request.Path.Value ?? "/");
        string method = request.Method is "GET" or "POST" or "PUT" or "DELETE" or "HEAD" or "PATCH" or "OPTIONS" ? request.Method : GenAi.Other;
        Activity? span = Source.StartActivity($"{(method == GenAi.Other ? "HTTP" : method)} {route}", ActivityKind.Server, parent);
        if (span is null) return null;
        span.SetTag("http.request.method", method).SetTag("http.route", route).SetTag("url.scheme", request.Scheme).SetTag("url.path", PrintableText.Of(request.Path.Value ?? "/"));
        span.SetTag("server.address", PrintableText.Of(request.Host.Host)).SetTag("user_agent.original", PrintableText.Of(request.Headers.UserAgent.ToString())).SetTag("qwen_proxy.request_id", requestId);
        if (request.Host.Port is { } port) span.SetTag("server.port", port);
        if (request.HttpContext.Connection.RemoteIpAddress is { } client) span.SetTag("client.address", client.ToString());
        return span;
    }

    public static void EndRequest(Activity? span, SettledRequest settled, string provider)
    {
        if (span is null) return;
        LedgerEntry entry = settled.Entry;
        if (GenAi.OperationOf(settled.Path) is { } operation) span.SetTag(GenAi.OperationName, operation).SetTag(GenAi.ProviderName, provider);
        if (entry.AskedModel.Length > 0) span.SetTag(GenAi.RequestModel, entry.AskedModel);
        if (entry.ServedModel is { Length: > 0 } model) span.SetTag(GenAi.ResponseModel, model);
        if (entry.Account is { } account) span.SetTag("qwen_proxy.account", account);
        if (entry.Client is { } client) span.SetTag("qwen_proxy.client", client);
        if (entry.FirstByte is { } first) span.SetTag("qwen_proxy.time_to_first_byte_seconds", first.TotalSeconds);
        span.SetTag("http.response.status_code", entry.Status).SetTag("qwen_proxy.dialect", entry.Dialect).SetTag("qwen_proxy.attempts", entry.Attempts).SetTag("qwen_proxy.resumes", entry.Resumes);
        SetUsage(span, entry.Tokens);
        // A refusal that is the client's own doing is no error of the server, but an answer that broke off after its 200 is.
        bool failed = entry.End != "complete";
        Close(span, failed ? entry.End : null, isError: failed && entry.Status is < 400 or >= 500);
    }

    public static Activity? BeginAttempt(AccountSnapshot account, ModelCall call, int number, bool isResume)
    {
        if (!Source.HasListeners()) return null;
        Activity? span = Source.StartActivity(call.Operation is null ? "forward" : call.Model.Length == 0 ? call.Operation : $"{call.Operation} {PrintableText.Of(call.Model)}", ActivityKind.Client);
        if (span is null) return null;
        if (call.Operation is not null) span.SetTag(GenAi.OperationName, call.Operation).SetTag(GenAi.ProviderName, call.Provider);
        if (call.Model.Length > 0) span.SetTag(GenAi.RequestModel, PrintableText.Of(call.Model));
        if (call.Server is { } server) span.SetTag("server.address", server.Host).SetTag("server.port", server.Port);
        return span.SetTag("qwen_proxy.account", account.Name).SetTag("qwen_proxy.attempt", number).SetTag("qwen_proxy.resume", isResume);
    }

    /// <summary>What happened between the attempts, which have spans of their own: a wait, a break, a resume.</summary>
    public static void AddStep(Activity? span, RequestStep step)
    {
        if (span is null || step.Kind == StepKind.Attempt) return;
        ActivityTagsCollection tags = [];
        if (step.Account.Length > 0) tags["qwen_proxy.account"] = step.Account;
        if (step.Said.Length > 0) tags[GenAi.ErrorType] = step.Said;
        if (step.Kind is StepKind.Queue or StepKind.Pause) tags["qwen_proxy.waited_seconds"] = Math.Round(step.Took.TotalSeconds, 3);
        span.AddEvent(new ActivityEvent("qwen_proxy." + step.Kind.ToString().ToLowerInvariant(), tags: tags));
    }

    /// <summary>Input counts what a cache held or took, output counts thinking.</summary>
    public static void SetUsage(Activity span, TokenCounts? counts)
    {
        if (counts is not { } tokens) return;
        span.SetTag("gen_ai.usage.input_tokens", tokens.Input).SetTag("gen_ai.usage.output_tokens", tokens.Output);
        span.SetTag("gen_ai.usage.cache_read.input_tokens", tokens.Cached).SetTag("gen_ai.usage.cache_creation.input_tokens", tokens.CacheWritten);
        span.SetTag("gen_ai.usage.reasoning.output_tokens", tokens.Reasoning);
    }

    public static void Close(Activity span, string? errorType, bool isError)
    {
        if (errorType is not null) span.SetTag(GenAi.ErrorType, errorType);
        if (isError) span.SetStatus(ActivityStatusCode.Error);
        span.Dispose();
    }

    /// <summary>A path without what differs from call to call, so that spans of a kind have one name.</summary>
    private static string RouteOf(string path) => path switch
    {
        "/v1/chat/completions" or "/v1/messages" or "/v1/messages/count_tokens" or "/v1/responses" or "/v1/completions" or "/v1/embeddings" => path,
        _ when path.StartsWith("/v1/responses/", StringComparison.Ordinal) => "/v1/responses/{id}",
        _ => "/v1/{path}",
    };
}
