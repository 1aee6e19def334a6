using System.Security.Cryptography;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy keys add|rotate|revoke</c>: changes the file of client keys, which a running proxy takes up by itself. No running proxy is needed.</summary>
internal sealed class KeysCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    public Task<int> AddAsync(KeyAddOptions options, CancellationToken stop) => ChangeAsync(options.Flags, (snapshot, ring) =>
    {
        DateTimeOffset now = time.GetUtcNow();
        ClientLimits limits = options.Limits;
        if (options.Expires is { } text && ExpiryText.TryRead(text, now, time.LocalTimeZone, out DateTimeOffset expires)) limits = limits with { Expires = expires };
        if (snapshot.Clients.Any(c => c.Name == options.Name))
            return Refuse(ExitCodes.Failed, $"The configuration already has a client named {options.Name}; choose another name.");
        if (ring.Named(options.Name)?.IsValid(now) == true)
            return Refuse(ExitCodes.Failed, $"There is a key for {options.Name} already. `qwen-proxy keys rotate {options.Name}` gives it a new one.");
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        StoredKey stored = new(options.Name, now, limits, [kept]);
        return (ring.With(stored), Tell);

        int Tell()
        {
            if (ring.Keys.IsEmpty && snapshot.Clients.IsEmpty) terminal.Error.WriteLine("This is the first key: from now on every client must show one.");
            return Print(stored, key, options.Json);
        }
    }, stop);

    public Task<int> RotateAsync(KeyRotateOptions options, CancellationToken stop) => ChangeAsync(options.Flags, (snapshot, ring) =>
    {
        DateTimeOffset now = time.GetUtcNow();
        if (ring.Named(options.Name) is not { } old || !old.IsValid(now)) return NotThere(snapshot, ring, options.Name);
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        DateTimeOffset end = now + options.Grace;
        StoredKey stored = old with { Hashes = [kept, .. old.Hashes.Select(h => h.Until <= end ? h : h with { Until = end }).Where(h => h.Until > now)] };
        return (ring.With(stored), Tell);

        int Tell()
        {
            terminal.Error.WriteLine(options.Grace > TimeSpan.Zero ? $"The old key works until {ClientTexts.Clock(end, time)}." : "The old key works no more.");
            return Print(stored, key, options.Json);
        }
    }, stop);

    public Task<int> RevokeAsync(KeyOptions options, CancellationToken stop) => ChangeAsync(options.Flags, (snapshot, ring) =>
    {
        if (ring.Named(options.Name) is not { } old) return NotThere(snapshot, ring, options.Name);
        StoredKey revoked = old with { Revoked = old.Revoked ?? time.GetUtcNow(), Hashes = [] };
        return (ring.With(revoked), Tell);

        int Tell()
        {
            terminal.Error.WriteLine($"The key of {options.Name} works no more; {(snapshot.Storage.Database is null ? "a running proxy knows within a second" : "running replicas know within seconds")}.");
            if (options.Json) JsonPrinter.Print(terminal, json => WriteKey(json, revoked, key: null));
            return ExitCodes.Done;
        }
    }, stop);

    /// <summary>Decides under the file's lock, and tells once it is written.</summary>
    private async Task<int> ChangeAsync(ConfigurationFlags flags, Func<ProxySnapshot, KeyRing, (KeyRing? Changed, Func<int> Tell)> change, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(flags) with { ChecksAddress = false });
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        Func<int> tell = () => ExitCodes.Failed;
        await new KeyStore(snapshot.Storage, time).ChangeAsync(
            ring =>
            {
                (KeyRing? changed, tell) = change(snapshot, ring);
                return changed;
            },
            stop);
        return tell();
    }

    private (KeyRing? Changed, Func<int> Tell) Refuse(int code, string why)
    {
        return (null, Tell);

        int Tell()
        {
            terminal.Error.WriteLine(why);
            return code;
        }
    }

    private (KeyRing? Changed, Func<int> Tell) NotThere(ProxySnapshot snapshot, KeyRing ring, string name) => Refuse(ExitCodes.NotFound,
        snapshot.Clients.Any(c => c.Name == name) ? $"The key of {name} stands in the configuration; change it there."
        : ring.Named(name) is not null ? $"The key of {name} was revoked or has expired. `qwen-proxy keys add {name}` makes a new one."
        : ClientTexts.NoSuch(name, snapshot));

    private int Print(StoredKey stored, string key, bool asJson)
    {
        terminal.Error.WriteLine($"The key of {stored.Name}, shown this once{(stored.Limits.Expires is { } end ? $", works until {ClientTexts.Clock(end, time)}" : "")}:");
        if (asJson) JsonPrinter.Print(terminal, json => WriteKey(json, stored, key));
        else terminal.Out.WriteLine(key);
        return ExitCodes.Done;
    }

    private static void WriteKey(Utf8JsonWriter json, StoredKey stored, string? key)
    {
        json.WriteStartObject();
        json.WriteString("name", stored.Name);
        if (key is not null) json.WriteString("key", key);
        json.WriteString("created", stored.Created);
        if (stored.Revoked is { } revoked) json.WriteString("revoked", revoked);
        KeyRingJson.WriteLimits(json, stored.Limits);
        json.WriteEndObject();
    }
}
