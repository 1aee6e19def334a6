using System.Globalization;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying;

/// <summary>Status and headers of what the client gets: the state at the first byte, also on errors.</summary>
internal static class ResponseHeads
{
    public static void WriteStream(Exchange exchange, HttpResponseMessage? upstream)
    {
        HttpResponse response = exchange.Http.Response;
        if (response.HasStarted) return;
        response.StatusCode = StatusCodes.Status200OK;
        if (upstream is not null) HeaderAllowList.CopyToClient(upstream, response, exchange.Secrets);
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // Asks nginx and its like not to gather the stream.
        response.Headers["X-Accel-Buffering"] = "no";
        WriteOwn(exchange);
    }

    public static void WriteWhole(Exchange exchange, HttpResponseMessage? upstream, long length)
    {
        HttpResponse response = exchange.Http.Response;
        response.StatusCode = StatusCodes.Status200OK;
        if (upstream is not null) HeaderAllowList.CopyToClient(upstream, response, exchange.Secrets);
        response.ContentType = "application/json";
        response.ContentLength = length;
        WriteOwn(exchange);
    }

    public static void WriteFailure(Exchange exchange, ProxyError error)
    {
        HttpResponse response = exchange.Http.Response;
        response.StatusCode = error.Status;
        WriteOwn(exchange);
        TimeSpan? wait = error.RetryAfter ?? (error.Status is 429 or 503 ? TimeSpan.FromSeconds(1) : null);
        if (wait is { } span) response.Headers.RetryAfter = Math.Max(1, Math.Ceiling(span.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>The headers that tell where an answer came from.</summary>
    public static void WriteOwn(Exchange exchange)
    {
        IHeaderDictionary headers = exchange.Http.Response.Headers;
        if (exchange.Account is not null) headers["x-qwen-proxy-account"] = HeaderText.Encode(exchange.Account);
        headers["x-qwen-proxy-attempts"] = exchange.Attempts.ToString(CultureInfo.InvariantCulture);
        RateHeaders.Write(exchange);
        if (exchange.ServedModel is not null && exchange.ServedModel != exchange.AskedModel) headers["x-qwen-proxy-model"] = HeaderText.Encode(exchange.ServedModel);
        if (exchange.Repairs.Summary is { Length: > 0 } repairs) headers["x-qwen-proxy-repairs"] = HeaderText.Encode(repairs);
    }
}
