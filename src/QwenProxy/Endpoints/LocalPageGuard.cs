using System.Collections.Immutable;
using System.Net;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary>
/// Keeps other web sites out of the pages and the admin API. A browser that was led here by a foreign page shows it by a foreign Host (DNS
/// rebinding) or Origin; both are refused, also on loopback, where no key is asked for.
/// </summary>
internal static class LocalPageGuard
{
    /// <summary>The status to refuse with and why; null when the request may go on.</summary>
    public static (int Status, string Reason)? Refuse(HttpContext http, ProxySnapshot snapshot)
    {
        if (!IsOwnHost(http.Request.Host.Host, snapshot)) return (StatusCodes.Status421MisdirectedRequest, "The Host header does not name this proxy. Open it by its own address.");
        string origin = http.Request.Headers.Origin.ToString();
        if (origin.Length > 0 && !IsSameSite(origin, http.Request.Host))
        {
            return (StatusCodes.Status403Forbidden, "The request comes from a page of another site.");
        }

        if (http.Request.Headers["Sec-Fetch-Site"].ToString() is "cross-site") return (StatusCodes.Status403Forbidden, "The request comes from a page of another site.");
        ImmutableArray<ClientSnapshot> admins = [.. snapshot.Clients.Where(c => c.IsAdmin)];
        if (!admins.IsEmpty && ClientKeys.TryIdentify(http.Request, admins, out _)) return null;
        if (http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address) && !CameThroughAnother(http.Request)) return null;
        return (StatusCodes.Status401Unauthorized, "The admin pages are open to this machine only, or to a client key with \"admin\": true.");
    }

    /// <summary>The page asks the very address it was opened by. Any other, also of this machine, is another site's.</summary>
    private static bool IsSameSite(string origin, HostString host) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? from) && from.Host.Trim('[', ']').Equals(host.Host.Trim('[', ']'), StringComparison.OrdinalIgnoreCase) && from.Port == (host.Port ?? 80);

    /// <summary>A web server on this machine makes its visitors look local. Most say whom they speak for.</summary>
    private static bool CameThroughAnother(HttpRequest request) =>
        request.Headers.ContainsKey("X-Forwarded-For") || request.Headers.ContainsKey("Forwarded") || request.Headers.ContainsKey("X-Real-IP");

    private static bool IsOwnHost(string host, ProxySnapshot snapshot)
    {
        host = host.Trim('[', ']');
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.Equals(snapshot.Host, StringComparison.OrdinalIgnoreCase)) return true;
        // An address cannot be rebound: whoever names the proxy by a number knows it.
        return IPAddress.TryParse(host, out _);
    }
}
