using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;

namespace QwenProxy.Endpoints;

/// <summary>Reads what is sent to the admin API: a small JSON object, said to be one. A form of another page cannot say that without asking first.</summary>
internal static class AdminBody
{
    private const int MostBytes = 16 * 1024;

    /// <summary>Null when there is no body and none is <paramref name="needed"/>.</summary>
    public static async Task<(JsonElement? Body, ProxyError? Fault)> ReadAsync(HttpContext http, bool needed)
    {
        HttpRequest request = http.Request;
        if (!needed && request.ContentLength is null or 0 && request.Headers.TransferEncoding.Count == 0) return (null, null);
        if (!request.HasJsonContentType()) return (null, OwnErrors.InvalidRequest("Send a JSON object, with Content-Type: application/json.") with { Status = StatusCodes.Status415UnsupportedMediaType });
        byte[] bytes = new byte[MostBytes + 1];
        int length = await request.Body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, http.RequestAborted);
        if (length > MostBytes) return (null, OwnErrors.RequestTooLarge(MostBytes));
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes.AsMemory(0, length));
            if (document.RootElement.ValueKind == JsonValueKind.Object) return (document.RootElement.Clone(), null);
        }
        catch (JsonException)
        {
            // Told below.
        }

        return (null, OwnErrors.InvalidRequest("The body is not a JSON object."));
    }

    public static string Text(JsonElement body, string member) => body.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
