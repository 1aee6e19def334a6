using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Clients;

/// <summary>A client as lists show it, of the configuration or of the file of keys.</summary>
/// <param name="Prefix">The beginning of its key; empty where the configuration holds it, or where it was revoked.</param>
/// <param name="State">In a person's words.</param>
internal sealed record KnownClient(string Name, string Prefix, string State, ClientLimits Limits)
{
    public DateTimeOffset? Created { get; init; }

    /// <summary>It is in the file of keys, where commands can change it.</summary>
    public bool IsStored { get; init; }

    public bool IsAdmin { get; init; }

    public static IEnumerable<KnownClient> All(ProxySnapshot snapshot, DateTimeOffset now)
    {
        foreach (ClientSnapshot client in snapshot.Clients)
            yield return new KnownClient(client.Name, "", client.Limits.Expires <= now ? "expired" : "in the configuration", client.Limits) { IsAdmin = client.IsAdmin };
        foreach (StoredKey key in snapshot.Keys.Keys)
        {
            string state = key.Revoked is not null ? "revoked" : key.IsValid(now) ? "valid" : "expired";
            yield return new KnownClient(key.Name, key.Hashes.IsEmpty ? "" : key.Hashes[0].Prefix, state, key.Limits) { Created = key.Created, IsStored = true };
        }
    }

    /// <summary>Writes it as members of the object begun.</summary>
    public void WriteMembers(Utf8JsonWriter json, DateTimeOffset? seen)
    {
        json.WriteString("name", Name);
        json.WriteString("state", State);
        if (IsAdmin) json.WriteBoolean("admin", true);
        if (Prefix.Length > 0) json.WriteString("prefix", Prefix);
        if (Created is { } created) json.WriteString("created", created);
        KeyRingJson.WriteLimits(json, Limits);
        if (seen is { } last) json.WriteString("lastSeen", last);
    }
}
