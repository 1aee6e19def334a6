using System.Net;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary>
/// Who may see the page, the admin API and the numbers: a client key with <c>"admin": true</c>, a browser that was signed in with one, or whoever works at
/// this machine. Foreign pages were sent away before.
/// </summary>
internal sealed class AdminGuard(CurrentConfiguration configuration, AdminSessions sessions, KeyTries tries, TimeProvider time)
{
    /// <summary>The status to refuse with and why; null when the request may go on.</summary>
    public (int Status, string Reason)? Refuse(HttpContext http)
    {
        ProxySnapshot snapshot = configuration.Snapshot;
        bool isSignedIn = sessions.Find(http, snapshot) is not null;
        (int Status, string Reason)? forged = isSignedIn ? WhyForged(http.Request) : null;
        if (isSignedIn && forged is null) return null;
        bool isHere = IsHere(http);
        if (!isHere && Wait(http) is not null) return (StatusCodes.Status429TooManyRequests, "Too many wrong keys came from this address. Wait a minute.");
        if (ClientKeys.IsAdmin(http.Request, snapshot, time.GetUtcNow())) return null;
        if (forged is not null) return forged;
        // Without a key the address is all there is to go by, and a page whose name was made to point here has this machine's.
        if (!OwnAddress.IsOwnHost(http.Request.Host.Host, snapshot)) return (StatusCodes.Status421MisdirectedRequest, "The Host header does not name this proxy. Open it by its own address.");
        if (isHere) return null;
        return (StatusCodes.Status401Unauthorized, "The admin pages are open to this machine only, or to a client key with \"admin\": true.");
    }

    /// <summary>How long this address must wait before it may show a key again; null when it need not.</summary>
    public TimeSpan? Wait(HttpContext http) => tries.Wait(http.Connection.RemoteIpAddress);

    public void NoteWrongKey(HttpContext http) => tries.NoteWrong(http.Connection.RemoteIpAddress);

    /// <summary>Whose doing it is, for the log.</summary>
    public string Who(HttpContext http)
    {
        ClientSnapshot? signedIn = sessions.Find(http, configuration.Snapshot);
        return signedIn?.Name ?? (IsHere(http) ? "this machine" : "an admin key");
    }

    private static bool IsHere(HttpContext http) => http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address) && !CameThroughAnother(http.Request);

    /// <summary>
    /// A browser adds the cookie by itself, whoever made it send the request. It also says by which page: of one that changes something this must be known,
    /// and a foreign one was sent away before.
    /// </summary>
    private static (int Status, string Reason)? WhyForged(HttpRequest request)
    {
        if (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method)) return null;
        if (request.Headers.Origin.Count > 0 || request.Headers["Sec-Fetch-Site"] == "same-origin") return null;
        return (StatusCodes.Status403Forbidden, "A change by a signed-in browser must say which page it comes from. Show the key itself instead.");
    }

    /// <summary>A web server on this machine makes its visitors look local. Most say whom they speak for.</summary>
    private static bool CameThroughAnother(HttpRequest request) =>
        request.Headers.ContainsKey("X-Forwarded-For") || request.Headers.ContainsKey("Forwarded") || request.Headers.ContainsKey("X-Real-IP");
}
