using System.Collections.Immutable;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>Finds out which client is asking by the key it shows: <c>Authorization: Bearer</c>, <c>x-api-key</c> or <c>api-key</c>.</summary>
internal static class ClientKeys
{
    private const string Bearer = "Bearer ";

    /// <summary>True when the request may go on. With no keys configured anybody may; <paramref name="client"/> is then null.</summary>
    public static bool TryIdentify(HttpRequest request, ImmutableArray<ClientSnapshot> clients, out ClientSnapshot? client)
    {
        client = null;
        if (clients.IsEmpty) return true;
        string authorization = request.Headers.Authorization.ToString();
        ReadOnlySpan<char> bearer = authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? authorization.AsSpan(Bearer.Length).Trim() : default;
        client = Find(clients, bearer) ?? Find(clients, request.Headers["x-api-key"].ToString()) ?? Find(clients, request.Headers["api-key"].ToString());
        return client is not null;
    }

    /// <summary>Every key is compared, so that the time taken tells nothing about which one matched.</summary>
    private static ClientSnapshot? Find(ImmutableArray<ClientSnapshot> clients, ReadOnlySpan<char> candidate)
    {
        if (candidate.IsEmpty) return null;
        ClientSnapshot? found = null;
        foreach (ClientSnapshot client in clients)
        {
            if (client.Key.Matches(candidate)) found = client;
        }

        return found;
    }
}
