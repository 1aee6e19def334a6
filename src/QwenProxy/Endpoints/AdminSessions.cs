using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;

namespace QwenProxy.Endpoints;

/// <summary>
/// Who is signed in to the page from another machine. A browser cannot show a key with every request, and a page that kept it could lose it; it gets a
/// random cookie in its place that is worth nothing on another <c>Host</c>, after half a day, or once its key is gone from the configuration.
/// In memory only: a restart signs everybody out.
/// </summary>
internal sealed class AdminSessions(TimeProvider time)
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    private const int TokenBytes = 32;

    /// <summary>Beyond this the oldest goes.</summary>
    private const int MostSessions = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Session> _sessions = new(StringComparer.Ordinal);

    /// <summary>Signs in; the cookie goes with the response.</summary>
    public void Open(HttpContext http, ClientSnapshot client)
    {
        string token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes));
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            foreach (string over in _sessions.Where(s => s.Value.Until <= now).Select(s => s.Key).ToArray()) _sessions.Remove(over);
            if (_sessions.Count >= MostSessions) _sessions.Remove(_sessions.MinBy(s => s.Value.Until).Key);
            _sessions[HashOf(token)] = new Session(client.Name, KeyHashOf(client), HostOf(http), now + Lifetime);
        }

        http.Response.Cookies.Append(NameFor(http), token, Options(http, Lifetime));
    }

    /// <summary>Who is signed in; null for nobody.</summary>
    public ClientSnapshot? Find(HttpContext http, ProxySnapshot snapshot)
    {
        if (http.Request.Cookies[NameFor(http)] is not { Length: TokenBytes * 2 } token) return null;
        Session? session;
        lock (_gate) session = _sessions.GetValueOrDefault(HashOf(token));
        DateTimeOffset now = time.GetUtcNow();
        if (session is null || session.Until <= now || session.Host != HostOf(http)) return null;
        return snapshot.Clients.FirstOrDefault(c => c.Name == session.Client && c.IsAdmin && !(c.Limits.Expires <= now) && CryptographicOperations.FixedTimeEquals(KeyHashOf(c), session.KeyHash));
    }

    /// <summary>Signs out.</summary>
    public void Close(HttpContext http)
    {
        if (http.Request.Cookies[NameFor(http)] is { } token)
        {
            lock (_gate) _sessions.Remove(HashOf(token));
        }

        http.Response.Cookies.Append(NameFor(http), "", Options(http, TimeSpan.Zero));
    }

    /// <summary>Cookies do not know ports: two proxies on one machine would take each other's place.</summary>
    private static string NameFor(HttpContext http) => string.Create(CultureInfo.InvariantCulture, $"qwen_proxy_{http.Request.Host.Port ?? 0}");

    private static string HostOf(HttpContext http) => http.Request.Host.Value?.ToLowerInvariant() ?? "";

    private static CookieOptions Options(HttpContext http, TimeSpan age) => new()
    {
        HttpOnly = true,
        SameSite = SameSiteMode.Strict,
        Secure = OwnAddress.IsHttps(http.Request),
        Path = "/",
        MaxAge = age,
    };

    /// <summary>What is kept opens nothing, and looking it up tells nothing by the time it takes.</summary>
    private static string HashOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private static byte[] KeyHashOf(ClientSnapshot client) => SHA256.HashData(Encoding.UTF8.GetBytes(client.Key.Reveal()));

    private sealed record Session(string Client, byte[] KeyHash, string Host, DateTimeOffset Until);
}
