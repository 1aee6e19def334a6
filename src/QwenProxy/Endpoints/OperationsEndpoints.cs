using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Dashboard;
using QwenProxy.Observability;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary><c>/healthz</c>, <c>/readyz</c>, <c>/metrics</c>: no key needed for the first two; the way to the dashboard and the admin API; and the answer to paths that are nobody's.</summary>
internal sealed class OperationsEndpoints(
    CurrentConfiguration configuration, Readiness readiness, ProxyMetrics metrics, AdminEndpoints admin, AdminGuard guard, AdminSignIn signIn, TimeProvider time)
{
    public Task RunAsync(HttpContext http, string path)
    {
        bool read = HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method);
        switch (path)
        {
            case "/healthz" when read: return WriteAsync(http, 200, "text/plain; charset=utf-8", "ok\n");
            case "/readyz" when read: return ReadyAsync(http);
            case "/metrics" when read: return MetricsAsync(http);
        }

        if (read && DashboardFiles.At(path) is { } file) return PageAsync(http, file, path == "/");
        if (path == AdminSignIn.Path) return signIn.RunAsync(http);
        if (path == "/" || path == "/admin" || path.StartsWith("/admin/", StringComparison.Ordinal)) return AdminAsync(http, path);
        return NotFoundAsync(http, path);
    }

    private static Task WriteAsync(HttpContext http, int status, string type, string text) => WriteAsync(http, status, type, Encoding.UTF8.GetBytes(text));

    private static async Task WriteAsync(HttpContext http, int status, string type, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = type;
        http.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(http.Request.Method)) await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }

    private Task ReadyAsync(HttpContext http)
    {
        string? obstacle = readiness.Obstacle();
        if (obstacle is null) return WriteAsync(http, 200, "text/plain; charset=utf-8", "ready\n");
        TimeSpan wait = readiness.ReadyAt() is { } at && at > time.GetUtcNow() ? at - time.GetUtcNow() : TimeSpan.FromSeconds(5);
        http.Response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        return WriteAsync(http, 503, "text/plain; charset=utf-8", obstacle + "\n");
    }

    private Task MetricsAsync(HttpContext http)
    {
        // Metrics name accounts and models: with client keys set, only their holders read them; a local scraper needs none.
        DateTimeOffset now = time.GetUtcNow();
        if (guard.Refuse(http) is not null && !ClientKeys.TryIdentify(http.Request, configuration.Snapshot, now, out _))
        {
            return WriteErrorAsync(http, OwnErrors.InvalidApiKey());
        }

        return WriteAsync(http, 200, "text/plain; version=0.0.4; charset=utf-8", metrics.WritePrometheus());
    }

    /// <summary>A browser cannot send a key with the address: the page, which holds nothing, comes with the refusal and asks for one, where there is one.</summary>
    private Task PageAsync(HttpContext http, DashboardFile file, bool isFirst)
    {
        if (guard.Refuse(http) is not { } refusal) return DashboardFiles.WriteAsync(http, file, StatusCodes.Status200OK);
        bool mayAsk = refusal.Status is StatusCodes.Status401Unauthorized or StatusCodes.Status429TooManyRequests && configuration.Snapshot.Clients.Any(c => c.IsAdmin);
        return mayAsk ? DashboardFiles.WriteAsync(http, file, isFirst ? refusal.Status : StatusCodes.Status200OK) : RefuseAsync(http, refusal);
    }

    private Task AdminAsync(HttpContext http, string path)
    {
        if (guard.Refuse(http) is not { } refusal) return admin.RunAsync(http, path);
        if (refusal.Status == StatusCodes.Status401Unauthorized && ClientKeys.ShowsOne(http.Request)) guard.NoteWrongKey(http);
        return RefuseAsync(http, refusal);
    }

    private static Task RefuseAsync(HttpContext http, (int Status, string Reason) refusal) =>
        WriteErrorAsync(http, OwnErrors.InvalidRequest(refusal.Reason) with { Status = refusal.Status, Kind = FaultKind.ClientKeyInvalid });

    private static Task NotFoundAsync(HttpContext http, string path)
    {
        string hint = path.StartsWith("/chat/", StringComparison.Ordinal) || path.StartsWith("/models", StringComparison.Ordinal)
            ? " The API starts at /v1: set the base URL to http://HOST:PORT/v1."
            : " The API is under /v1, operations are /healthz, /readyz and /metrics.";
        return WriteErrorAsync(http, OwnErrors.InvalidRequest($"There is nothing at {http.Request.Method} {path}.{hint}") with { Status = 404 });
    }

    private static Task WriteErrorAsync(HttpContext http, ProxyError error) => WriteAsync(http, error.Status, "application/json", OpenAIErrors.Write(error));
}
