using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using QwenProxy.Observability;

namespace QwenProxy.Endpoints;

/// <summary>
/// What stands before every route. A browser on this machine carries out what any web site asks of it, so where no key is asked for a request has to
/// show that no foreign page is behind it: by its <c>Host</c> (a name that was made to point here) and by its <c>Origin</c>. What no route means to
/// do, such as changing the protocol, ends here too.
/// </summary>
internal sealed partial class RequestGuard(CurrentConfiguration configuration, Instruments instruments)
{
    private const string Methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

    /// <summary>How many different hosts and origins are told of, each once: whoever sends them does not choose how much is logged.</summary>
    private const int MostTold = 32;

    private readonly ConcurrentDictionary<string, bool> _told = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Null when the request may go on; else its answer, which is being written.</summary>
    public Task? Stop(HttpContext http)
    {
        HttpRequest request = http.Request;
        string path = request.Path.Value ?? "";
        if (RawTarget.HasDotSegments(http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget))
        {
            return RefuseAsync(http, OwnErrors.InvalidRequest("The path has the segments '.' or '..', which mean another path than they show. Send the path that is meant."));
        }

        // Whoever watches over the process knows it by any name, and learns nothing but that it lives.
        if (path is not ("/healthz" or "/readyz") && WhyForeign(http, path, configuration.Snapshot) is { } foreign) return RefuseAsync(http, foreign);
        if (HttpMethods.IsOptions(request.Method)) return AnswerOptions(http);
        if (!IsKnown(request.Method))
        {
            http.Response.Headers.Allow = Methods;
            return RefuseAsync(http, OwnErrors.InvalidRequest($"The method {PrintableText.Of(request.Method)} is not served here.") with { Status = StatusCodes.Status405MethodNotAllowed });
        }

        if (!request.Headers.Upgrade.ToString().Contains("websocket", StringComparison.OrdinalIgnoreCase)) return null;
        http.Response.Headers.Upgrade = "HTTP/1.1";
        return RefuseAsync(http, OwnErrors.InvalidRequest("Websockets are not served here. Send the request over HTTP.") with { Status = StatusCodes.Status426UpgradeRequired });
    }

    private ProxyError? WhyForeign(HttpContext http, string path, ProxySnapshot snapshot)
    {
        HttpRequest request = http.Request;
        if (!snapshot.AsksForKey && !OwnAddress.IsOwnHost(request.Host.Host, snapshot))
        {
            string host = PrintableText.Of(request.Host.Host);
            if (MayTell(host)) LogForeignHost(instruments.Logger, host);
            return OwnErrors.ForeignHost(host);
        }

        string origin = request.Headers.Origin.ToString();
        if (origin.Length == 0)
        {
            // What a page asks for without wanting to read it names no origin. Another port of this machine counts as the same site, and is another page.
            return request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" or "same-site" ? OwnErrors.ForeignOrigin("") : null;
        }

        if (OwnAddress.IsOwnOrigin(origin, request)) return null;
        // The page and the admin API are no web client's business, whatever page it comes from.
        if (path.StartsWith("/v1/", StringComparison.Ordinal) && snapshot.AllowedOrigins.Contains(origin.ToLowerInvariant()))
        {
            WebClients.Allow(http.Response, origin);
            return null;
        }

        origin = PrintableText.Of(origin);
        if (MayTell(origin)) LogForeignOrigin(instruments.Logger, origin, request.Method, PrintableText.Of(path));
        return OwnErrors.ForeignOrigin(origin);
    }

    private bool MayTell(string name) => _told.Count < MostTold && _told.TryAdd(name, true);

    private static bool IsKnown(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsPost(method) || HttpMethods.IsHead(method) || HttpMethods.IsDelete(method) || HttpMethods.IsPut(method) || HttpMethods.IsPatch(method);

    /// <summary>A preflight of a web client that may come in, or the question what there is. Neither is an upstream's to answer.</summary>
    private static Task AnswerOptions(HttpContext http)
    {
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        if (http.Response.Headers.AccessControlAllowOrigin.Count > 0) WebClients.AnswerPreflight(http.Request, http.Response, Methods);
        else http.Response.Headers.Allow = Methods;
        return Task.CompletedTask;
    }

    private async Task RefuseAsync(HttpContext http, ProxyError error)
    {
        string path = http.Request.Path.Value ?? "";
        bool messages = path.StartsWith("/v1/messages", StringComparison.Ordinal);
        byte[] body = messages ? MessagesErrors.Write(error) : path.StartsWith("/v1/responses", StringComparison.Ordinal) ? ResponsesErrors.Write(error) : OpenAIErrors.Write(error);
        HttpResponse response = http.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        string id = instruments.Ids.Next("req_");
        response.Headers["x-request-id"] = id;
        if (messages) response.Headers[MessagesClient.RequestId] = id;
        if (!HttpMethods.IsHead(http.Request.Method)) await response.Body.WriteAsync(body, http.RequestAborted);
    }

    [LoggerMessage(EventId = 60, Level = LogLevel.Warning, Message = "A request by the host name {host} was refused, since a web page may have made it point here. If it is this proxy's, add it to \"allowedHosts\".")]
    private static partial void LogForeignHost(ILogger logger, string host);

    [LoggerMessage(EventId = 61, Level = LogLevel.Warning, Message = "{method} {path} from a page of {origin} was refused. To let that page in, add its origin to \"allowedOrigins\".")]
    private static partial void LogForeignOrigin(ILogger logger, string origin, string method, string path);
}
