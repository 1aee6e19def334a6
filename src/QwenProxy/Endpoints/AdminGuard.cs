using System.Net;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary>Who may see the page, the admin API and the numbers: a client key with <c>"admin": true</c>, or whoever works at this machine. Foreign pages were sent away before.</summary>
internal static class AdminGuard
{
    /// <summary>The status to refuse with and why; null when the request may go on.</summary>
    public static (int Status, string Reason)? Refuse(HttpContext http, ProxySnapshot snapshot, DateTimeOffset now)
    {
        if (ClientKeys.IsAdmin(http.Request, snapshot, now)) return null;
        // Without a key the address is all there is to go by, and a page whose name was made to point here has this machine's.
        if (!OwnAddress.IsOwnHost(http.Request.Host.Host, snapshot)) return (StatusCodes.Status421MisdirectedRequest, "The Host header does not name this proxy. Open it by its own address.");
        if (http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address) && !CameThroughAnother(http.Request)) return null;
        return (StatusCodes.Status401Unauthorized, "The admin pages are open to this machine only, or to a client key with \"admin\": true.");
    }

    /// <summary>A web server on this machine makes its visitors look local. Most say whom they speak for.</summary>
    private static bool CameThroughAnother(HttpRequest request) =>
        request.Headers.ContainsKey("X-Forwarded-For") || request.Headers.ContainsKey("Forwarded") || request.Headers.ContainsKey("X-Real-IP");
}
