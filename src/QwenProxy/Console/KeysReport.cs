using System.Globalization;
using System.Text.Json;
using QwenProxy.Clients;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Ledger;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy keys list</c> and <c>keys usage NAME</c>: who may ask, and what each has used by the ledger.</summary>
internal sealed class KeysReport(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    public Task<int> ListAsync(KeyOptions options, CancellationToken stop) => OnLedgerAsync(options, (snapshot, ledger) =>
    {
        IReadOnlyDictionary<string, DateTimeOffset> seen = ledger.LastSeen();
        KnownClient[] lines = [.. KnownClient.All(snapshot, time.GetUtcNow())];
        if (options.Json) JsonPrinter.Print(terminal, json => WriteList(json, lines, seen));
        else
        {
            TablePrinter.Print(terminal, ["NAME", "KEY", "STATE", "EXPIRES", "MODELS", "LIMITS", "LAST SEEN"], [.. lines.Select(l => (string[])
            [
                l.Name, l.Prefix.Length == 0 ? "" : l.Prefix + "…", l.State, l.Limits.Expires is { } end ? ClientTexts.Clock(end, time) : "", string.Join(", ", l.Limits.Models), ClientTexts.Limits(l.Limits),
                seen.TryGetValue(l.Name, out DateTimeOffset last) ? ClientTexts.Clock(last, time) : "",
            ])]);
        }

        return ExitCodes.Done;
    }, stop);

    public Task<int> UsageAsync(KeyOptions options, CancellationToken stop) => OnLedgerAsync(options, (snapshot, ledger) =>
    {
        if (KnownClient.All(snapshot, time.GetUtcNow()).FirstOrDefault(l => l.Name == options.Name) is not { } line)
        {
            terminal.Error.WriteLine(ClientTexts.NoSuch(options.Name, snapshot));
            return ExitCodes.NotFound;
        }

        DateTimeOffset now = time.GetLocalNow();
        ClientMeter meter = new(line.Name);
        ClientTake today = ledger.Taken(now.Date).GetValueOrDefault(line.Name);
        ClientTake month = ledger.Taken(now.Date.AddDays(1 - now.Day)).GetValueOrDefault(line.Name);
        meter.Restore(today.Tokens, month.Dollars, now);
        ClientStanding standing = meter.Look(line.Limits, now);
        DateTimeOffset? seen = ledger.LastSeen().TryGetValue(line.Name, out DateTimeOffset last) ? last : null;
        if (options.Json) JsonPrinter.Print(terminal, json => WriteUsage(json, line, standing, seen));
        else PrintUsage(line, standing);
        return ExitCodes.Done;
    }, stop);

    private void PrintUsage(KnownClient line, ClientStanding standing)
    {
        string? left = standing.TokensLeft?.ToString(CultureInfo.InvariantCulture);
        string? dollarsLeft = line.Limits.UsdPerMonth is { } limit ? Dollars(Math.Max(0, limit - standing.Dollars)) : null;
        TablePrinter.Print(terminal, ["LIMIT", "ALLOWED", "USED", "LEFT", "RESETS"],
        [
            ["tokens per day", line.Limits.TokensPerDay?.ToString(CultureInfo.InvariantCulture) ?? "any", standing.Tokens.ToString(CultureInfo.InvariantCulture), left ?? "", ClientTexts.Clock(standing.TokensReset, time)],
            ["USD per month", line.Limits.UsdPerMonth?.ToString(CultureInfo.InvariantCulture) ?? "any", Dollars(standing.Dollars), dollarsLeft ?? "", ClientTexts.Clock(standing.DollarsReset, time)],
            ["requests per minute", line.Limits.RequestsPerMinute?.ToString(CultureInfo.InvariantCulture) ?? "any", "", "", ""],
            ["requests at once", line.Limits.Concurrent?.ToString(CultureInfo.InvariantCulture) ?? "any", "", "", ""],
        ]);
    }

    private async Task<int> OnLedgerAsync(KeyOptions options, Func<ProxySnapshot, ILedger, int> run, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags) with { ChecksAddress = false });
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        ProxySnapshot current = await KeyStore.WithKeysAsync(snapshot, time, stop);
        return await LedgerAccess.RunAsync(terminal, current.Storage, time, ledger => run(current, ledger));
    }

    private static void WriteList(Utf8JsonWriter json, IEnumerable<KnownClient> lines, IReadOnlyDictionary<string, DateTimeOffset> seen)
    {
        json.WriteStartObject();
        json.WriteStartArray("keys");
        foreach (KnownClient line in lines)
        {
            json.WriteStartObject();
            line.WriteMembers(json, seen.TryGetValue(line.Name, out DateTimeOffset last) ? last : null);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, KnownClient line, ClientStanding standing, DateTimeOffset? seen)
    {
        json.WriteStartObject();
        line.WriteMembers(json, seen);
        json.WriteNumber("tokensToday", standing.Tokens);
        if (standing.TokensLeft is { } left) json.WriteNumber("tokensLeft", left);
        json.WriteString("tokensReset", standing.TokensReset);
        json.WriteNumber("usdThisMonth", standing.Dollars);
        if (line.Limits.UsdPerMonth is { } limit) json.WriteNumber("usdLeft", Math.Max(0, limit - standing.Dollars));
        json.WriteString("usdReset", standing.DollarsReset);
        json.WriteEndObject();
    }

    private static string Dollars(decimal dollars) => dollars.ToString("0.0000", CultureInfo.InvariantCulture);
}
