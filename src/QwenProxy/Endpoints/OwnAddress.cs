using System.Net;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;

namespace QwenProxy.Endpoints;

/// <summary>Which hosts and origins are this proxy's own.</summary>
internal static class OwnAddress
{
    /// <summary>True for an address, <c>localhost</c> and names under it, the configured host and <c>allowedHosts</c>.</summary>
    public static bool IsOwnHost(string host, ProxySnapshot snapshot)
    {
        host = host.Trim('[', ']');
        if (host.EndsWith('.')) host = host[..^1];
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)) return true;
        if (host.Equals(snapshot.Host, StringComparison.OrdinalIgnoreCase) || snapshot.AllowedHosts.Contains(host, StringComparer.OrdinalIgnoreCase)) return true;
        // An address cannot be made to point elsewhere: whoever names the proxy by a number knows it.
        return IPAddress.TryParse(host, out _);
    }

    /// <summary>A server before this one that speaks TLS says so. A page cannot: to send this header it would have to ask first, and is refused.</summary>
    public static bool IsHttps(HttpRequest request) => request.Headers["X-Forwarded-Proto"] == "https";

    /// <summary>The page asks the very address it was opened by. Any other, also of this machine, is another site's.</summary>
    public static bool IsOwnOrigin(string origin, HttpRequest request)
    {
        string scheme = IsHttps(request) ? "https://" : "http://";
        return origin.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) && origin.AsSpan(scheme.Length).Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase);
    }
}
