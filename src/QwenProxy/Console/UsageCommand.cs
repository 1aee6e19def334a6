using System.Globalization;
using QwenProxy.Configuration;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy usage</c>: tokens and estimated cost from the ledger, which it reads itself; no running proxy is needed.</summary>
internal sealed class UsageCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    private static readonly string[] s_columns = ["REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "EST. USD"];

    public async Task<int> RunAsync(UsageOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        if (!LedgerCommand.TryReadSince(terminal, options.Since, time, out DateTimeOffset? since)) return ExitCodes.BadUsage;
        return await LedgerAccess.RunAsync(terminal, snapshot.Storage, time, ledger =>
        {
            UsageTable table = new(options.By, time.LocalTimeZone);
            foreach (UsageSum sum in ledger.Sums(since, options.By, time.LocalTimeZone)) table.Add(sum);
            if (!ledger.Exists) terminal.Error.WriteLine($"There is no ledger at {ledger.Place} yet: no request has been served.");
            if (options.Json) JsonPrinter.Print(terminal, json => UsageJson.Write(json, table, options.By, since));
            else PrintTable(table, options);
            return ExitCodes.Done;
        });
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
}
