using System.Globalization;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using QwenProxy.Configuration;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy usage</c>: tokens and estimated cost from the ledger, which it reads itself; no running proxy is needed.</summary>
internal sealed class UsageCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    private static readonly string[] s_columns = ["REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "EST. USD"];

    public Task<int> RunAsync(UsageOptions options, CancellationToken stop) => Task.FromResult(Run(options));

    private int Run(UsageOptions options)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        DateTimeOffset? since = null;
        if (options.Since is { } text)
        {
            if (!SinceText.TryRead(text, time.GetUtcNow(), time.LocalTimeZone, out DateTimeOffset from))
            {
                terminal.Error.WriteLine($"--since is \"{text}\"; it must be {SinceText.Allowed}.");
                return ExitCodes.BadUsage;
            }

            since = from;
        }

        string path = Path.Combine(snapshot.Storage.DataFolder, LedgerFile.Name);
        UsageTable table = new(options.By, time.LocalTimeZone);
        try
        {
            if (File.Exists(path))
            {
                foreach (LedgerEntry entry in LedgerFile.Read(path, since)) table.Add(entry);
            }
            else terminal.Error.WriteLine($"There is no ledger at {path} yet: no request has been served.");
        }
        catch (SqliteException damaged)
        {
            terminal.Error.WriteLine($"The ledger {path} cannot be read: {damaged.Message}");
            return ExitCodes.Failed;
        }

        if (options.Json) PrintJson(table, options, since);
        else PrintTable(table, options);
        return ExitCodes.Done;
    }

    private void PrintTable(UsageTable table, UsageOptions options)
    {
        List<string[]> rows = [.. table.Lines.Select(l => (string[])[.. l.Keys, .. Cells(l)])];
        if (rows.Count > 1) rows.Add(["total", .. Enumerable.Repeat("", options.By.Length - 1), .. Cells(table.Total)]);
        TablePrinter.Print(terminal, [.. options.By.Select(k => k.ToUpperInvariant()), .. s_columns], rows);
        if (table.Total.Cost is not null) terminal.Error.WriteLine("Costs are estimates at list prices per token; a plan with a fixed fee costs what it costs.");
    }

    private static string[] Cells(UsageLine line) =>
    [
        Number(line.Requests), Number(line.Failed), Number(line.Tokens.Input), Number(line.Tokens.Cached), Number(line.Tokens.Output), Number(line.Tokens.Reasoning),
        line.Cost is { } cost ? cost.ToString("0.0000", CultureInfo.InvariantCulture) : "",
    ];

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private void PrintJson(UsageTable table, UsageOptions options, DateTimeOffset? since) => JsonPrinter.Print(terminal, json =>
    {
        json.WriteStartObject();
        if (since is { } from) json.WriteString("since", from);
        json.WriteStartArray("usage");
        foreach (UsageLine line in table.Lines)
        {
            json.WriteStartObject();
            foreach ((int i, string key) in options.By.Index()) json.WriteString(key, line.Keys[i]);
            WriteSums(json, line);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("total");
        WriteSums(json, table.Total);
        json.WriteEndObject();
        json.WriteEndObject();
    });

    private static void WriteSums(Utf8JsonWriter json, UsageLine line)
    {
        json.WriteNumber("requests", line.Requests);
        json.WriteNumber("failed", line.Failed);
        json.WriteNumber("inputTokens", line.Tokens.Input);
        json.WriteNumber("cachedTokens", line.Tokens.Cached);
        json.WriteNumber("cacheWrittenTokens", line.Tokens.CacheWritten);
        json.WriteNumber("outputTokens", line.Tokens.Output);
        json.WriteNumber("reasoningTokens", line.Tokens.Reasoning);
        if (line.Cost is { } cost) json.WriteNumber("estimatedUsd", cost);
        else json.WriteNull("estimatedUsd");
    }
}
