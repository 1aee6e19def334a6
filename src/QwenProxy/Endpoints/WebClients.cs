using Microsoft.AspNetCore.Http;

namespace QwenProxy.Endpoints;

/// <summary>What a browser wants to hear before a page of another origin may ask and read: for the origins of <c>allowedOrigins</c> only.</summary>
internal static class WebClients
{
    /// <summary>What of an answer's head a page may read, beside what every page may.</summary>
    private const string Exposed =
        "x-request-id, request-id, retry-after, x-upstream-request-id, x-qwen-proxy-account, x-qwen-proxy-attempts, x-qwen-proxy-model, x-qwen-proxy-repairs, "
        + "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";

    /// <summary>Said with every answer to such a page, errors too. Cookies are not let in: nothing here goes by them.</summary>
    public static void Allow(HttpResponse response, string origin)
    {
        response.Headers.AccessControlAllowOrigin = origin;
        response.Headers.AccessControlExposeHeaders = Exposed;
        response.Headers.Vary = "Origin";
    }

    public static void AnswerPreflight(HttpRequest request, HttpResponse response, string methods)
    {
        response.Headers.AccessControlAllowMethods = methods;
        response.Headers.AccessControlMaxAge = "600";
        // Which headers cross is decided by the allow lists of the way on, not by what a browser may send as far as here.
        string wanted = request.Headers.AccessControlRequestHeaders.ToString();
        if (wanted.Length > 0 && wanted.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~, ".Contains(c, StringComparison.Ordinal))) response.Headers.AccessControlAllowHeaders = wanted;
        // A page of the open net that asks a machine nearby says so first.
        if (request.Headers["Access-Control-Request-Private-Network"] == "true") response.Headers["Access-Control-Allow-Private-Network"] = "true";
    }
}
