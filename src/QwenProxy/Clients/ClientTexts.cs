using System.Globalization;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Clients;

/// <summary>Clients and their limits in a person's words.</summary>
internal static class ClientTexts
{
    public static string NoSuch(string name, ProxySnapshot snapshot)
    {
        string[] known = [.. snapshot.Clients.Select(c => c.Name), .. snapshot.Keys.Keys.Select(k => k.Name)];
        return known.Length == 0 ? $"There is no client named {name}, nor any other." : Spelling.Nearest(name, known) is { } nearest ? $"There is no client named {name}. Did you mean \"{nearest}\"?" : $"There is no client named {name}; there are: {string.Join(", ", known)}.";
    }

    public static string Limits(ClientLimits limits)
    {
        List<string> said = [];
        if (limits.RequestsPerMinute is { } requests) said.Add(string.Create(CultureInfo.InvariantCulture, $"{requests} requests/min"));
        if (limits.Concurrent is { } concurrent) said.Add(string.Create(CultureInfo.InvariantCulture, $"{concurrent} at once"));
        if (limits.TokensPerDay is { } tokens) said.Add(string.Create(CultureInfo.InvariantCulture, $"{tokens} tokens/day"));
        if (limits.UsdPerMonth is { } dollars) said.Add(string.Create(CultureInfo.InvariantCulture, $"{dollars} USD/month"));
        if (limits.Priority != 0) said.Add(string.Create(CultureInfo.InvariantCulture, $"priority {limits.Priority}"));
        return string.Join(", ", said);
    }

    /// <summary>Writes what is kept of a key, and its text where one was made, as members of the object begun.</summary>
    public static void WriteChange(Utf8JsonWriter json, KeyChange change)
    {
        StoredKey stored = change.Stored!;
        json.WriteString("name", stored.Name);
        if (change.Key is { } key) json.WriteString("key", key);
        json.WriteString("created", stored.Created);
        if (stored.Revoked is { } revoked) json.WriteString("revoked", revoked);
        if (change.OldUntil is { } until) json.WriteString("oldUntil", until);
        KeyRingJson.WriteLimits(json, stored.Limits);
    }

    /// <summary>As the clock on this machine's wall shows it.</summary>
    public static string Clock(DateTimeOffset moment, TimeProvider time) =>
        TimeZoneInfo.ConvertTime(moment, time.LocalTimeZone).ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
}
