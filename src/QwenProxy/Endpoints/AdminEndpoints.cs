using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary>
/// The admin API, which the commands and the dashboard speak: <c>GET /admin/status</c>, <c>/admin/requests</c>, <c>/admin/models</c>,
/// <c>/admin/usage</c>, <c>POST /admin/accounts/NAME/isolate</c> and <c>…/reset</c>. The caller has checked that the request comes from this
/// machine or an admin key, and from no foreign page.
/// </summary>
internal sealed class AdminEndpoints(
    CurrentConfiguration configuration, AdminStatus status, AdminUsage usage, RequestBook requests, AdminRequestList list, AdminModels models, Router router)
{
    private const string AccountsPath = "/admin/accounts/";

    public Task RunAsync(HttpContext http, string path)
    {
        if (HttpMethods.IsGet(http.Request.Method))
        {
            switch (path)
            {
                case "/admin" or "/admin/status": return WriteAsync(http, status.Write);
                case "/admin/requests" when http.Request.Query.Count > 0: return FromLedgerAsync(http, () => list.Read(http.Request.Query));
                case "/admin/requests": return WriteAsync(http, json => AdminRequests.Write(json, requests.Running(), requests.Recent()));
                case "/admin/models": return FromModelsAsync(http);
                case "/admin/usage":
                    string? since = http.Request.Query["since"];
                    string? by = http.Request.Query["by"];
                    return FromLedgerAsync(http, () => usage.Read(since, by));
            }
        }

        if (HttpMethods.IsPost(http.Request.Method) && path.StartsWith(AccountsPath, StringComparison.Ordinal)) return CommandAsync(http, path[AccountsPath.Length..]);
        ProxyError nothing = OwnErrors.InvalidRequest(
            $"There is nothing at {http.Request.Method} {path}. The admin API has GET /admin/status, /admin/requests, /admin/models and /admin/usage.");
        return WriteErrorAsync(http, nothing with { Status = 404 });
    }

    private async Task FromModelsAsync(HttpContext http) => await WriteAsync(http, await models.ReadAsync(http.RequestAborted));

    private static async Task FromLedgerAsync(HttpContext http, Func<(Action<Utf8JsonWriter>? Write, ProxyError? Error)> read)
    {
        // A ledger blocks while it reads, a database's for seconds when it is slow: on a thread of its own it holds up neither sockets nor the pool.
        (Action<Utf8JsonWriter>? write, ProxyError? error) = await Task.Factory.StartNew(read, http.RequestAborted, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (write is not null) await WriteAsync(http, write);
        else await WriteErrorAsync(http, error!);
    }

    private Task CommandAsync(HttpContext http, string rest)
    {
        int slash = rest.LastIndexOf('/');
        string name = Uri.UnescapeDataString(slash > 0 ? rest[..slash] : rest);
        string command = slash > 0 ? rest[(slash + 1)..] : "";
        if (!configuration.Snapshot.Accounts.Any(a => a.Name == name))
        {
            return WriteErrorAsync(http, OwnErrors.InvalidRequest($"There is no account '{name}'. GET /admin/status lists them.") with { Status = 404 });
        }

        switch (command)
        {
            case "isolate":
                router.Pool.Isolate(name);
                break;
            case "reset":
                router.Reset(name);
                break;
            default:
                return WriteErrorAsync(http, OwnErrors.InvalidRequest("An account can be sent the commands isolate and reset.") with { Status = 404 });
        }

        return WriteAsync(http, status.Write);
    }

    private static Task WriteErrorAsync(HttpContext http, ProxyError error) => WriteAsync(http, error.Status, OpenAIErrors.Write(error));

    private static Task WriteAsync(HttpContext http, Action<Utf8JsonWriter> write) => WriteAsync(http, StatusCodes.Status200OK, Render(write));

    private static byte[] Render(Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) write(json);
        return bytes.ToArray();
    }

    private static async Task WriteAsync(HttpContext http, int status, byte[] body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        http.Response.Headers.CacheControl = "no-store";
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
