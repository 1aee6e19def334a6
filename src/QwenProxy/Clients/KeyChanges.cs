using System.Security.Cryptography;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Clients;

/// <summary>What came of a change: the key as it is kept now, or why nothing was changed.</summary>
/// <param name="Stored">Null when nothing was changed.</param>
/// <param name="Key">The text of a new key, which is nowhere else; null when none was made.</param>
/// <param name="Refusal">In a person's words; null when the change was made.</param>
internal sealed record KeyChange(StoredKey? Stored, string? Key = null, string? Refusal = null)
{
    /// <summary>There is no such key to change.</summary>
    public bool IsNotThere { get; init; }

    /// <summary>Before it, none was asked for.</summary>
    public bool IsFirst { get; init; }

    /// <summary>When the key before this one ends; null when it has ended.</summary>
    public DateTimeOffset? OldUntil { get; init; }
}

/// <summary>Makes, renews and ends the keys of clients: the one place for the command and for the page. A running proxy takes each change up by itself.</summary>
internal sealed class KeyChanges(TimeProvider time)
{
    /// <exception cref="IOException">The file of keys cannot be read or written, or is damaged.</exception>
    public Task<KeyChange> AddAsync(ProxySnapshot snapshot, string name, ClientLimits limits, CancellationToken stop) => ChangeAsync(snapshot, ring =>
    {
        DateTimeOffset now = time.GetUtcNow();
        if (snapshot.Clients.Any(c => c.Name == name)) return new KeyChange(null, Refusal: $"The configuration already has a client named {name}; choose another name.");
        if (ring.Named(name)?.IsValid(now) == true) return new KeyChange(null, Refusal: $"There is a key for {name} already. `qwen-proxy keys rotate {name}` gives it a new one.");
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        return new KeyChange(new StoredKey(name, now, limits, [kept]), key) { IsFirst = ring.Keys.IsEmpty && snapshot.Clients.IsEmpty };
    }, stop);

    /// <param name="grace">How long the old key goes on working.</param>
    /// <exception cref="IOException">As with <see cref="AddAsync"/>.</exception>
    public Task<KeyChange> RotateAsync(ProxySnapshot snapshot, string name, TimeSpan grace, CancellationToken stop) => ChangeAsync(snapshot, ring =>
    {
        DateTimeOffset now = time.GetUtcNow();
        if (ring.Named(name) is not { } old || !old.IsValid(now)) return NotThere(snapshot, ring, name);
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        DateTimeOffset end = now + grace;
        StoredKey stored = old with { Hashes = [kept, .. old.Hashes.Select(h => h.Until <= end ? h : h with { Until = end }).Where(h => h.Until > now)] };
        return new KeyChange(stored, key) { OldUntil = grace > TimeSpan.Zero ? end : null };
    }, stop);

    /// <exception cref="IOException">As with <see cref="AddAsync"/>.</exception>
    public Task<KeyChange> RevokeAsync(ProxySnapshot snapshot, string name, CancellationToken stop) => ChangeAsync(snapshot, ring =>
        ring.Named(name) is { } old ? new KeyChange(old with { Revoked = old.Revoked ?? time.GetUtcNow(), Hashes = [] }) : NotThere(snapshot, ring, name), stop);

    /// <summary>Decides under the file's lock.</summary>
    private async Task<KeyChange> ChangeAsync(ProxySnapshot snapshot, Func<KeyRing, KeyChange> decide, CancellationToken stop)
    {
        KeyChange? change = null;
        await new KeyStore(snapshot.Storage, time).ChangeAsync(
            ring =>
            {
                change = decide(ring);
                return change.Stored is { } stored ? ring.With(stored) : null;
            },
            stop);
        return change!;
    }

    private static KeyChange NotThere(ProxySnapshot snapshot, KeyRing ring, string name)
    {
        string why = snapshot.Clients.Any(c => c.Name == name) ? $"The key of {name} stands in the configuration; change it there."
            : ring.Named(name) is not null ? $"The key of {name} was revoked or has expired. `qwen-proxy keys add {name}` makes a new one."
            : ClientTexts.NoSuch(name, snapshot);
        return new KeyChange(null, Refusal: why) { IsNotThere = true };
    }
}
