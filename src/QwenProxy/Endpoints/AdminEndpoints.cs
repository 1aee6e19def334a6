using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Proxying.Settlement;

namespace QwenProxy.Endpoints;

/// <summary>What the admin API tells.</summary>
internal sealed record AdminReports(AdminStatus Status, RequestBook Requests, AdminRequestList List, AdminUsage Usage, AdminModels Models, AdminEvents Events);

/// <summary>
/// The admin API, which the commands and the page speak. The caller has checked that the request comes from this machine or an admin key, and from no
/// foreign page. The paths are in docs/dashboard.md.
/// </summary>
internal sealed class AdminEndpoints(AdminReports reports, AdminAccounts accounts, AdminKeys keys, AdminGuard guard)
{
    private const string AccountsPath = "/admin/accounts/";
    private const string KeysPath = "/admin/keys";

    public async Task RunAsync(HttpContext http, string path)
    {
        AdminAnswer? answer;
        if (HttpMethods.IsGet(http.Request.Method) && path == "/admin/events")
        {
            ProxyError? refused = await reports.Events.RunAsync(http, () => guard.Refuse(http) is null);
            answer = refused is null ? null : (AdminAnswer)refused;
        }
        else answer = await AnswerAsync(http, path);
        if (answer is not null) await answer.WriteAsync(http);
    }

    private async Task<AdminAnswer> AnswerAsync(HttpContext http, string path)
    {
        IQueryCollection query = http.Request.Query;
        CancellationToken stop = http.RequestAborted;
        if (HttpMethods.IsGet(http.Request.Method))
        {
            switch (path)
            {
                case "/admin" or "/admin/status": return AdminAnswer.Json(reports.Status.Write);
                case "/admin/requests" when query.Count == 0: return AdminAnswer.Json(json => AdminRequests.Write(json, reports.Requests.Running(), reports.Requests.Recent()));
                case "/admin/models": return AdminAnswer.Json(await reports.Models.ReadAsync(stop));
                case "/admin/requests": return await OnLedgerAsync(() => reports.List.Read(query), stop);
                case "/admin/usage": return await OnLedgerAsync(() => reports.Usage.Usage(query), stop);
                case "/admin/latency": return await OnLedgerAsync(() => reports.Usage.Latency(query), stop);
                case KeysPath: return await OnLedgerAsync(keys.List, stop);
            }
        }

        if (HttpMethods.IsPost(http.Request.Method))
        {
            if (path.StartsWith(AccountsPath, StringComparison.Ordinal)) return await AccountAsync(http, path[AccountsPath.Length..]);
            if (path == KeysPath || path.StartsWith(KeysPath + "/", StringComparison.Ordinal)) return await KeyAsync(http, path[KeysPath.Length..].TrimStart('/'));
        }

        return OwnErrors.InvalidRequest(
            $"There is nothing at {http.Request.Method} {path}. The admin API has GET /admin/status, /admin/requests, /admin/models, /admin/usage, /admin/latency, /admin/keys and /admin/events.") with
        { Status = 404 };
    }

    private async Task<AdminAnswer> AccountAsync(HttpContext http, string rest)
    {
        (string name, string command) = Split(rest);
        return await accounts.RunAsync(http, name, command, guard.Who(http)) ?? AdminAnswer.Json(reports.Status.Write);
    }

    private async Task<AdminAnswer> KeyAsync(HttpContext http, string rest)
    {
        (JsonElement? body, ProxyError? fault) = await AdminBody.ReadAsync(http, needed: rest.Length == 0);
        if (fault is not null) return fault;
        string who = guard.Who(http);
        if (rest.Length == 0) return await keys.AddAsync(body!.Value, who, http.RequestAborted);
        (string name, string command) = Split(rest);
        return command switch
        {
            "rotate" => await keys.RotateAsync(name, body, who, http.RequestAborted),
            "revoke" => await keys.RevokeAsync(name, who, http.RequestAborted),
            _ => OwnErrors.InvalidRequest("A key can be sent the commands rotate and revoke.") with { Status = 404 },
        };
    }

    /// <summary>
    /// A ledger blocks while it reads, a database's for seconds when it is slow, and this may be the thread that serves the sockets of all streams. On a
    /// thread of its own it holds up neither them nor the pool.
    /// </summary>
    private static Task<AdminAnswer> OnLedgerAsync(Func<AdminAnswer> read, CancellationToken stop) => Task.Factory.StartNew(read, stop, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static (string Name, string Command) Split(string rest)
    {
        int slash = rest.LastIndexOf('/');
        return (Uri.UnescapeDataString(slash > 0 ? rest[..slash] : rest), slash > 0 ? rest[(slash + 1)..] : "");
    }
}
