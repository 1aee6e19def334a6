using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace QwenProxy.Core.Clients;

/// <summary>
/// The keys as a JSON file: <c>{"version":1,"keys":[{"name","created","revoked","models","expires","requestsPerMinute","concurrent","tokensPerDay","usdPerMonth",
/// "priority","hashes":[{"prefix","salt","hash","until"}]}]}</c>; salt and hash in base64, times in ISO 8601, what is not set is absent.
/// </summary>
public static class KeyRingJson
{
    private const int Version = 1;

    public static void Write(KeyRing ring, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(ring);
        using Utf8JsonWriter json = new(output, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteNumber("version", Version);
        json.WriteStartArray("keys");
        foreach (StoredKey key in ring.Keys)
        {
            json.WriteStartObject();
            json.WriteString("name", key.Name);
            json.WriteString("created", key.Created);
            if (key.Revoked is { } revoked) json.WriteString("revoked", revoked);
            WriteLimits(json, key.Limits);
            json.WriteStartArray("hashes");
            foreach (KeyHash hash in key.Hashes)
            {
                json.WriteStartObject();
                json.WriteString("prefix", hash.Prefix);
                json.WriteBase64String("salt", hash.Salt.Span);
                json.WriteBase64String("hash", hash.Hash.Span);
                if (hash.Until is { } until) json.WriteString("until", until);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Writes the limits that are set as members of the object begun.</summary>
    public static void WriteLimits(Utf8JsonWriter json, ClientLimits limits)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(limits);
        if (!limits.Models.IsEmpty)
        {
            json.WriteStartArray("models");
            foreach (string model in limits.Models) json.WriteStringValue(model);
            json.WriteEndArray();
        }

        if (limits.Expires is { } expires) json.WriteString("expires", expires);
        if (limits.RequestsPerMinute is { } requests) json.WriteNumber("requestsPerMinute", requests);
        if (limits.Concurrent is { } concurrent) json.WriteNumber("concurrent", concurrent);
        if (limits.TokensPerDay is { } tokens) json.WriteNumber("tokensPerDay", tokens);
        if (limits.UsdPerMonth is { } dollars) json.WriteNumber("usdPerMonth", dollars);
        if (limits.Priority != 0) json.WriteNumber("priority", limits.Priority);
    }

    /// <summary>False when it is damaged or of a version that is not known here: what it would have forbidden cannot be told.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> file, out KeyRing ring)
    {
        ring = KeyRing.Empty;
        try
        {
            using JsonDocument document = JsonDocument.Parse(file);
            JsonElement root = document.RootElement;
            if (root.GetProperty("version").GetInt32() != Version) return false;
            ring = new KeyRing([.. root.GetProperty("keys").EnumerateArray().Select(ReadKey)]);
            return true;
        }
        catch (Exception damage) when (damage is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return false;
        }
    }

    private static StoredKey ReadKey(JsonElement key)
    {
        ClientLimits limits = new()
        {
            Models = key.TryGetProperty("models", out JsonElement models) ? [.. models.EnumerateArray().Select(m => m.GetString()!)] : [],
            Expires = Find(key, "expires")?.GetDateTimeOffset(),
            RequestsPerMinute = Find(key, "requestsPerMinute")?.GetInt32(),
            Concurrent = Find(key, "concurrent")?.GetInt32(),
            TokensPerDay = Find(key, "tokensPerDay")?.GetInt64(),
            UsdPerMonth = Find(key, "usdPerMonth")?.GetDecimal(),
            Priority = Find(key, "priority")?.GetInt32() ?? 0,
        };
        ImmutableArray<KeyHash> hashes = [.. key.GetProperty("hashes").EnumerateArray().Select(ReadHash)];
        string name = key.GetProperty("name").GetString() ?? throw new JsonException("A key has no name.");
        return new StoredKey(name, key.GetProperty("created").GetDateTimeOffset(), limits, hashes) { Revoked = Find(key, "revoked")?.GetDateTimeOffset() };
    }

    private static KeyHash ReadHash(JsonElement hash)
    {
        string prefix = hash.GetProperty("prefix").GetString() ?? "";
        byte[] salt = hash.GetProperty("salt").GetBytesFromBase64();
        byte[] bytes = hash.GetProperty("hash").GetBytesFromBase64();
        if (prefix.Length != KeyHash.PrefixLength || salt.Length is < 16 or > 64 || bytes.Length != 32) throw new JsonException("A key's hash is damaged.");
        return new KeyHash(prefix, salt, bytes, Find(hash, "until")?.GetDateTimeOffset());
    }

    private static JsonElement? Find(JsonElement from, string name) => from.TryGetProperty(name, out JsonElement value) ? value : null;
}
