using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Resilience;
using QwenProxy.Credentials;
using QwenProxy.Hosting;

namespace QwenProxy.Endpoints;

/// <summary>
/// The admin API, which the commands and the dashboard speak: <c>GET /admin/status</c>, <c>/admin/requests</c>, <c>/admin/models</c>,
/// <c>/admin/usage</c>, <c>POST /admin/accounts/NAME/isolate</c> and <c>…/reset</c>. The caller has checked that the request comes from this
/// machine or an admin key, and from no foreign page.
/// </summary>
internal sealed class AdminEndpoints(ProxyRuntime runtime)
{
    private const string AccountsPath = "/admin/accounts/";

    public Task RunAsync(HttpContext http, string path)
    {
        if (HttpMethods.IsGet(http.Request.Method))
        {
            switch (path)
            {
                case "/admin" or "/admin/status": return WriteAsync(http, WriteStatus);
                case "/admin/requests": return WriteAsync(http, json => AdminRequests.Write(json, runtime.Requests.Running(), runtime.Requests.Recent()));
                case "/admin/models": return ModelsAsync(http);
                case "/admin/usage": return UsageAsync(http);
            }
        }

        if (HttpMethods.IsPost(http.Request.Method) && path.StartsWith(AccountsPath, StringComparison.Ordinal)) return CommandAsync(http, path[AccountsPath.Length..]);
        ProxyError nothing = OwnErrors.InvalidRequest(
            $"There is nothing at {http.Request.Method} {path}. The admin API has GET /admin/status, /admin/requests, /admin/models and /admin/usage.");
        return WriteErrorAsync(http, nothing with { Status = 404 });
    }

    /// <summary>What <c>/admin/status</c> answers; also for a command that asks no running proxy.</summary>
    public byte[] WriteStatus() => Render(WriteStatus);

    private async Task ModelsAsync(HttpContext http)
    {
        IReadOnlyList<OfferedModel> models = await runtime.Models.ListAsync(runtime.Snapshot, http.RequestAborted);
        await WriteAsync(http, json =>
        {
            json.WriteStartObject();
            json.WritePropertyName("models");
            ModelListJson.Write(json, models, runtime.Router.Table);
            json.WriteEndObject();
        });
    }

    private async Task UsageAsync(HttpContext http)
    {
        string? since = http.Request.Query["since"];
        string? by = http.Request.Query["by"];
        // SQLite blocks while it reads, and this may be the thread that serves the sockets of all streams.
        (Action<Utf8JsonWriter>? write, ProxyError? error) = await Task.Run(() => new AdminUsage(runtime).Read(since, by), http.RequestAborted);
        if (write is not null) await WriteAsync(http, write);
        else await WriteErrorAsync(http, error!);
    }

    private void WriteStatus(Utf8JsonWriter json)
    {
        ProxySnapshot snapshot = runtime.Snapshot;
        DateTimeOffset now = runtime.Time.GetUtcNow();
        PoolRecord pool = runtime.Router.Pool.Export(now);
        json.WriteStartObject();
        json.WriteString("version", typeof(AdminEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "");
        json.WriteString("time", TimeZoneInfo.ConvertTime(now, runtime.Time.LocalTimeZone));
        json.WriteNumber("uptimeSeconds", Math.Round((now - runtime.StartedAt).TotalSeconds));
        json.WriteBoolean("draining", runtime.Drain.IsDraining);
        json.WriteString("ready", runtime.WhyNotReady() ?? "yes");
        json.WriteNumber("runningRequests", runtime.Drain.Active);
        json.WriteNumber("leases", runtime.Router.Pool.LeasesOut);
        json.WriteStartArray("accounts");
        foreach (AccountSnapshot account in snapshot.Accounts) WriteAccount(json, account, pool, now);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteAccount(Utf8JsonWriter json, AccountSnapshot account, PoolRecord pool, DateTimeOffset now)
    {
        Cooldown? cooldown = pool.Cooldowns.Where(c => c.Account == account.Name).OrderByDescending(c => c.Hard).ThenByDescending(c => c.Until).FirstOrDefault();
        BreakerRecord? breaker = pool.Breakers.FirstOrDefault(b => b.Account == account.Name && b.State != BreakerState.Closed);
        string? unusable = runtime.Authorizer.WhyUnusable(account);
        CredentialState? signIn = runtime.Authorizer.StateOf(account);
        string state = unusable is not null ? "dead"
            : signIn is { Kind: CredentialStateKind.Expired } ? "expired"
            : breaker is { State: BreakerState.Isolated } ? "isolated"
            : cooldown is { Hard: true } ? "cooling"
            : breaker is not null ? "circuit open"
            : "ready";
        json.WriteStartObject();
        json.WriteString("name", account.Name);
        json.WriteString("kind", account.Kind == AccountKind.QwenOAuth ? "qwen-oauth" : "api-key");
        json.WriteString("profile", account.Profile.Name);
        json.WriteString("host", (signIn?.BaseUrl ?? account.BaseUrl)?.Authority);
        json.WriteNumber("priority", account.Priority);
        json.WriteString("state", state);
        if (signIn is not null)
        {
            json.WriteString("credentials", signIn.FilePath);
            if (signIn.ExpiresAt is { } expires) json.WriteString("tokenExpires", expires);
        }

        json.WriteString("why", unusable ?? signIn?.Why ?? (state == "cooling" ? $"{cooldown!.Status} {cooldown.Message}" : null));
        if (state == "cooling") json.WriteString("until", cooldown!.Until.ToString("O", CultureInfo.InvariantCulture));
        json.WriteNumber("running", runtime.Router.Pool.LoadOf(account.Name));
        json.WriteStartArray("breakers");
        foreach (BreakerRecord one in pool.Breakers.Where(b => b.Account == account.Name))
        {
            json.WriteStartObject();
            json.WriteString("model", one.Model);
            json.WriteString("state", one.State.ToString());
            json.WriteNumber("failures", one.Failures);
            if (one.NextProbe is { } probe) json.WriteNumber("probeInSeconds", Math.Max(0, Math.Ceiling((probe - now).TotalSeconds)));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("cooldowns");
        foreach (Cooldown one in pool.Cooldowns.Where(c => c.Account == account.Name))
        {
            json.WriteStartObject();
            json.WriteString("model", one.Model ?? "*");
            json.WriteString("kind", one.Kind.ToString());
            json.WriteNumber("seconds", Math.Ceiling((one.Until - now).TotalSeconds));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private Task CommandAsync(HttpContext http, string rest)
    {
        int slash = rest.LastIndexOf('/');
        string name = Uri.UnescapeDataString(slash > 0 ? rest[..slash] : rest);
        string command = slash > 0 ? rest[(slash + 1)..] : "";
        if (!runtime.Snapshot.Accounts.Any(a => a.Name == name))
        {
            return WriteErrorAsync(http, OwnErrors.InvalidRequest($"There is no account '{name}'. GET /admin/status lists them.") with { Status = 404 });
        }

        switch (command)
        {
            case "isolate":
                runtime.Router.Pool.Isolate(name);
                break;
            case "reset":
                runtime.Router.Pool.Reset(name);
                break;
            default:
                return WriteErrorAsync(http, OwnErrors.InvalidRequest("An account can be sent the commands isolate and reset.") with { Status = 404 });
        }

        return WriteAsync(http, WriteStatus);
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
