using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Errors;
using QwenProxy.Observability;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary>
/// <c>/admin/session</c>: <c>POST</c> with <c>{"key"}</c> signs a browser in, <c>DELETE</c> signs it out, <c>GET</c> tells whether it is. The only path of the
/// admin API that is open to whoever has shown nothing yet.
/// </summary>
internal sealed partial class AdminSignIn(CurrentConfiguration configuration, AdminSessions sessions, AdminGuard guard, Instruments instruments)
{
    public const string Path = "/admin/session";

    public async Task RunAsync(HttpContext http) => await (await AnswerAsync(http)).WriteAsync(http);

    private async Task<AdminAnswer> AnswerAsync(HttpContext http)
    {
        string method = http.Request.Method;
        if (HttpMethods.IsPost(method)) return await SignInAsync(http);
        if (!HttpMethods.IsGet(method) && !HttpMethods.IsDelete(method)) return OwnErrors.InvalidRequest("A session can be asked for, begun by POST and ended by DELETE.") with { Status = StatusCodes.Status405MethodNotAllowed };
        if (guard.Refuse(http) is { } refusal) return OwnErrors.InvalidRequest(refusal.Reason) with { Status = refusal.Status, Kind = FaultKind.ClientKeyInvalid };
        if (HttpMethods.IsDelete(method)) sessions.Close(http);
        return Tell(sessions.Find(http, configuration.Snapshot), ended: HttpMethods.IsDelete(method));
    }

    private async Task<AdminAnswer> SignInAsync(HttpContext http)
    {
        if (guard.Wait(http) is { } wait)
        {
            AdminAnswer slower = OwnErrors.InvalidRequest("Too many wrong keys came from this address. Wait a minute.") with { Status = StatusCodes.Status429TooManyRequests };
            return slower with { RetryAfter = (int)Math.Ceiling(wait.TotalSeconds) };
        }

        (JsonElement? body, ProxyError? fault) = await AdminBody.ReadAsync(http, needed: true);
        if (body is not { } sent) return fault!;
        string address = http.Connection.RemoteIpAddress?.ToString() ?? "-";
        if (ClientKeys.FindAdmin(AdminBody.Text(sent, "key"), configuration.Snapshot, instruments.Time.GetUtcNow()) is not { } client)
        {
            guard.NoteWrongKey(http);
            LogWrongKey(instruments.Logger, address);
            return OwnErrors.InvalidApiKey() with { Message = "This is no admin key. It is the key of a client with \"admin\": true in the proxy's configuration." };
        }

        sessions.Open(http, client);
        LogSignedIn(instruments.Logger, client.Name, address);
        return Tell(client, ended: false);
    }

    private static AdminAnswer Tell(ClientSnapshot? client, bool ended) => AdminAnswer.Json(json =>
    {
        json.WriteStartObject();
        if (client is not null && !ended) json.WriteString("client", client.Name);
        json.WriteEndObject();
    });

    [LoggerMessage(EventId = 77, Level = LogLevel.Information, Message = "Client {client} signed in to the page from {address}")]
    private static partial void LogSignedIn(ILogger logger, string client, string address);

    [LoggerMessage(EventId = 78, Level = LogLevel.Warning, Message = "A wrong key was shown to the page from {address}")]
    private static partial void LogWrongKey(ILogger logger, string address);
}
