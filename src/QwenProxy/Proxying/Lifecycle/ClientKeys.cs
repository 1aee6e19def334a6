using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>Finds out which client is asking by the key it shows: <c>Authorization: Bearer</c>, <c>x-api-key</c> or <c>api-key</c>.</summary>
internal static class ClientKeys
{
    private const string Bearer = "Bearer ";

    /// <summary>True when the request may go on. While no key is asked for anybody may; <paramref name="client"/> is then null.</summary>
    public static bool TryIdentify(HttpRequest request, ProxySnapshot snapshot, DateTimeOffset now, out Client? client)
    {
        client = null;
        if (!snapshot.AsksForKey) return true;
        client = Shown(request, candidate => Find(snapshot, candidate, now) is { } written ? new Client(written.Name, written.Limits) : snapshot.Keys.Find(candidate, now));
        return client is not null;
    }

    /// <summary>The key shown is of a client that file or environment name with <c>"admin": true</c>.</summary>
    public static bool IsAdmin(HttpRequest request, ProxySnapshot snapshot, DateTimeOffset now) =>
        Shown(request, candidate => Find(snapshot, candidate, now)) is { IsAdmin: true };

    /// <summary>The client of such a key; null for any other text.</summary>
    public static ClientSnapshot? FindAdmin(string candidate, ProxySnapshot snapshot, DateTimeOffset now) =>
        candidate.Length > 0 && Find(snapshot, candidate, now) is { IsAdmin: true } client ? client : null;

    /// <summary>Any text is in the place of a key.</summary>
    public static bool ShowsOne(HttpRequest request) => Shown(request, static text => text) is not null;

    private static T? Shown<T>(HttpRequest request, Func<string, T?> find)
        where T : class
    {
        string authorization = request.Headers.Authorization.ToString();
        string bearer = authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? authorization[Bearer.Length..].Trim() : "";
        return Try(bearer) ?? Try(request.Headers["x-api-key"].ToString()) ?? Try(request.Headers["api-key"].ToString());

        T? Try(string candidate) => candidate.Length == 0 ? null : find(candidate);
    }

    /// <summary>Every key is compared, so that the time taken tells nothing about which one matched.</summary>
    private static ClientSnapshot? Find(ProxySnapshot snapshot, string candidate, DateTimeOffset now)
    {
        ClientSnapshot? found = null;
        foreach (ClientSnapshot client in snapshot.Clients)
        {
            if (client.Key.Matches(candidate)) found = client;
        }

        return found is null || found.Limits.Expires <= now ? null : found;
    }
}
