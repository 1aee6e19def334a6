using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;

namespace QwenProxy.Endpoints;

/// <summary>A whole answer of the admin API.</summary>
internal sealed record AdminAnswer(int Status, string ContentType, byte[] Body)
{
    /// <summary>For a browser that is to save it; null where it is to be read.</summary>
    public string? FileName { get; init; }

    /// <summary>In seconds; null where there is nothing to wait for.</summary>
    public int? RetryAfter { get; init; }

    public static AdminAnswer Json(Action<Utf8JsonWriter> write, int status = StatusCodes.Status200OK)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) write(json);
        return new AdminAnswer(status, "application/json", bytes.ToArray());
    }

    public static AdminAnswer Csv(string text, string fileName) => new(StatusCodes.Status200OK, "text/csv; charset=utf-8", Encoding.UTF8.GetBytes(text)) { FileName = fileName };

    public static implicit operator AdminAnswer(ProxyError error) => new(error.Status, "application/json", OpenAIErrors.Write(error));

    public async Task WriteAsync(HttpContext http)
    {
        HttpResponse response = http.Response;
        response.StatusCode = Status;
        response.ContentType = ContentType;
        response.ContentLength = Body.Length;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        if (FileName is { } name) response.Headers.ContentDisposition = $"attachment; filename=\"{name}\"";
        if (RetryAfter is { } seconds) response.Headers.RetryAfter = seconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (!HttpMethods.IsHead(http.Request.Method)) await response.Body.WriteAsync(Body, http.RequestAborted);
    }
}
