using System.Globalization;

namespace QwenProxy.Core.Errors;

/// <summary>
/// Tells what kind of failure an upstream's error is. The status alone does not: the same 429 with the same code <c>insufficient_quota</c> is a
/// limit of one minute or a month's end, and only the message tells which. Rules stand in order; the first that fits decides.
/// </summary>
internal static class ErrorClassifier
{
    private static readonly Rule[] Rules =
    [
        new(FaultKind.ContentFilter, ["data_inspection", "datainspection", "content_filter", "content_policy"], ["inappropriate content"]),
        new(FaultKind.ClientGate, [], ["coding agents", "coding agent."]),
        new(
            FaultKind.ConcurrencyLimited,
            ["throttling.concurrency"],
            ["concurrency allocated quota", "concurrent requests", "concurrency limit", "too many concurrent"]),
        new(
            FaultKind.Billing,
            ["arrearage", "commoditynotpurchased", "prepaidbilloverdue", "postpaidbilloverdue", "budgetlimitexceeded", "billing_error",
                "accessdenied.unpurchased", "insufficient_balance"],
            ["account is in good standing", "overdue payment", "insufficient balance"]),
        new(
            FaultKind.QuotaExhausted,
            ["freetieronly", "quota_exceeded"],
            ["free allocated quota exceeded", "hour allocated quota exceeded", "day allocated quota exceeded", "week allocated quota exceeded",
                "month allocated quota exceeded", "free tier of the model has been exhausted", "free quota", "credits exhausted"]),
        new(FaultKind.InvalidRequest, [], [], body => body.OutputLimit is { PromptIsTooLong: false, Total: 0 }),
        new(
            FaultKind.ContextTooLong,
            ["context_length_exceeded", "exceed_context_size", "max_prompt_tokens_exceeded", "context_window_exceeded", "prompt_too_long"],
            [],
            body => body.Code == "1261" || PromptLength.IsTooLong($"{body.Message} {body.Hidden}".ToLowerInvariant())),
        new(
            FaultKind.RateLimited,
            ["limit_requests", "limit_burst_rate", "limitrequests", "throttling", "rate_limit", "ratelimit", "insufficient_quota",
                "too_many_requests"],
            ["too many requests", "rate limit exceeded", "rate limit reached", "requests rate limit", "request rate increased too quickly",
                "exceeded your current requests", "allocated quota exceeded"]),
        new(
            FaultKind.InvalidKey,
            ["invalid_api_key", "invalidapikey", "authentication_error"],
            ["invalid access token", "token expired", "incorrect api key", "invalid api-key", "invalid api key", "no api-key provided"]),
        new(FaultKind.PermissionDenied, ["access_denied", "accessdenied", "permission_error"], []),
        new(FaultKind.ModelNotFound, ["model_not_found", "modelnotfound", "model_not_supported"], ["model not exist", "unsupported model"]),
        new(FaultKind.RequestTooLarge, ["request_too_large"], []),
        new(
            FaultKind.Overloaded,
            ["overloaded", "modelunavailable", "modelservingerror", "model_unavailable", "model_serving_error", "service_unavailable",
                "serviceunavailable"],
            ["server is busy", "is overloaded", "loading model"]),
    ];

    /// <param name="status">The HTTP status, or the one named inside; 0 when none is known (an error in a 200).</param>
    /// <param name="body">What the error says.</param>
    public static FaultKind Classify(int status, ErrorBody body)
    {
        string names = $"{body.Code} {body.Type} {body.Hidden}".ToLowerInvariant();
        string words = $"{body.Message} {body.Hidden}".ToLowerInvariant();

        // A quota that names the time of its return is spent; insufficient_quota as a 403 is the old portal's daily limit.
        bool namesReturn = Has(words, "will reset") || Has(words, "reset at");
        if (namesReturn && Has(words, "quota")) return FaultKind.QuotaExhausted;
        if (status == 403 && Has(names, "insufficient_quota")) return FaultKind.QuotaExhausted;
        foreach (Rule rule in Rules)
        {
            if (rule.Fits(names, words, body)) return rule.Kind;
        }

        if (names.Trim() is "1302" or "1305") return FaultKind.RateLimited;
        if (status is 0 or 400 or 404 && SaysModelIsMissing(words)) return FaultKind.ModelNotFound;
        if (words.StartsWith("<4", StringComparison.Ordinal)) return FaultKind.InvalidRequest;
        if (status != 0) return ByStatus(status);
        // The service calls its own faults invalid_request_error too; where code and type differ the code is right.
        return StatusOf(FaultKind.ServerError, body.Code) == 500 ? FaultKind.ServerError : ByName(names);
    }

    /// <summary>The status for an error that came inside a success: from its kind, since nothing else names one.</summary>
    public static int StatusOf(FaultKind kind, string? code) => kind switch
    {
        FaultKind.InvalidKey => 401,
        FaultKind.Billing or FaultKind.PermissionDenied => 403,
        FaultKind.ClientGate => 405,
        FaultKind.QuotaExhausted or FaultKind.RateLimited or FaultKind.ConcurrencyLimited => 429,
        FaultKind.Overloaded => 503,
        FaultKind.InvalidRequest or FaultKind.ContextTooLong or FaultKind.ContentFilter => 400,
        FaultKind.ModelNotFound => 404,
        FaultKind.RequestTooLarge => 413,
        _ => code is null ? 502 : code.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant() switch
        {
            "internalerror" or "internalerror.algo" or "systemerror" or "modelservicefailed" or "apierror" or "servererror" => 500,
            "requesttimeout" => 504,
            _ => 502,
        },
    };

    private static bool SaysModelIsMissing(string words) =>
        Has(words, "model") && (Has(words, "not exist") || Has(words, "not found") || (Has(words, "model '") && Has(words, "not supported")));

    private static bool Has(string text, string piece) => text.Contains(piece, StringComparison.Ordinal);

    private static FaultKind ByName(string names) =>
        Has(names, "invalid_param") || Has(names, "invalidparam") || Has(names, "invalid_request") || Has(names, "badrequest")
            ? FaultKind.InvalidRequest
            : Has(names, "not_found") ? FaultKind.ModelNotFound : FaultKind.ServerError;

    private static FaultKind ByStatus(int status) => status switch
    {
        401 => FaultKind.InvalidKey,
        402 => FaultKind.Billing,
        403 => FaultKind.PermissionDenied,
        404 => FaultKind.ModelNotFound,
        405 => FaultKind.ClientGate,
        408 => FaultKind.ServerError,
        413 => FaultKind.RequestTooLarge,
        429 => FaultKind.RateLimited,
        501 => FaultKind.InvalidRequest,
        503 or 529 => FaultKind.Overloaded,
        >= 500 => FaultKind.ServerError,
        _ => FaultKind.InvalidRequest,
    };

    /// <summary>One kind and what gives it away: a piece of the code or type, or a phrase of the message, both in lower case, or how it is put.</summary>
    private sealed record Rule(FaultKind Kind, string[] Names, string[] Phrases, Func<ErrorBody, bool>? Says = null)
    {
        public bool Fits(string names, string words, ErrorBody body) => Any(Names, names) || Any(Phrases, words) || Says?.Invoke(body) == true;

        private static bool Any(string[] pieces, string text)
        {
            foreach (string piece in pieces)
            {
                if (text.Contains(piece, StringComparison.Ordinal)) return true;
            }

            return false;
        }
    }
}
