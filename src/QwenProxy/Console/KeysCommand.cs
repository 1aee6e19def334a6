using System.Text.Json;
using QwenProxy.Clients;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy keys add|rotate|revoke</c>: changes the file of client keys, which a running proxy takes up by itself. No running proxy is needed.</summary>
internal sealed class KeysCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    private readonly KeyChanges _changes = new(time);

    public Task<int> AddAsync(KeyAddOptions options, CancellationToken stop)
    {
        ClientLimits limits = options.Limits;
        if (options.Expires is { } text && ExpiryText.TryRead(text, time.GetUtcNow(), time.LocalTimeZone, out DateTimeOffset expires)) limits = limits with { Expires = expires };
        return ChangeAsync(options.Flags, snapshot => _changes.AddAsync(snapshot, options.Name, limits, stop), (_, change) =>
        {
            if (change.IsFirst) terminal.Error.WriteLine("This is the first key: from now on every client must show one.");
            Print(change, options.Json);
        });
    }

    public Task<int> RotateAsync(KeyRotateOptions options, CancellationToken stop) =>
        ChangeAsync(options.Flags, snapshot => _changes.RotateAsync(snapshot, options.Name, options.Grace, stop), (_, change) =>
        {
            terminal.Error.WriteLine(change.OldUntil is { } end ? $"The old key works until {ClientTexts.Clock(end, time)}." : "The old key works no more.");
            Print(change, options.Json);
        });

    public Task<int> RevokeAsync(KeyOptions options, CancellationToken stop) =>
        ChangeAsync(options.Flags, snapshot => _changes.RevokeAsync(snapshot, options.Name, stop), (snapshot, change) =>
        {
            terminal.Error.WriteLine($"The key of {options.Name} works no more; {(snapshot.Storage.Database is null ? "a running proxy knows within a second" : "running replicas know within seconds")}.");
            if (options.Json) JsonPrinter.Print(terminal, json => WriteKey(json, change));
        });

    private async Task<int> ChangeAsync(ConfigurationFlags flags, Func<ProxySnapshot, Task<KeyChange>> make, Action<ProxySnapshot, KeyChange> tell)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(flags) with { ChecksAddress = false });
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        KeyChange change = await make(snapshot);
        if (change.Refusal is { } refusal)
        {
            terminal.Error.WriteLine(refusal);
            return change.IsNotThere ? ExitCodes.NotFound : ExitCodes.Failed;
        }

        tell(snapshot, change);
        return ExitCodes.Done;
    }

    private void Print(KeyChange change, bool asJson)
    {
        StoredKey stored = change.Stored!;
        terminal.Error.WriteLine($"The key of {stored.Name}, shown this once{(stored.Limits.Expires is { } end ? $", works until {ClientTexts.Clock(end, time)}" : "")}:");
        if (asJson) JsonPrinter.Print(terminal, json => WriteKey(json, change));
        else terminal.Out.WriteLine(change.Key);
    }

    private static void WriteKey(Utf8JsonWriter json, KeyChange change)
    {
        json.WriteStartObject();
        ClientTexts.WriteChange(json, change);
        json.WriteEndObject();
    }
}
