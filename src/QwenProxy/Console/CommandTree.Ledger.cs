using System.CommandLine;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;

namespace QwenProxy.Console;

/// <summary>The commands that look into the ledger.</summary>
internal sealed partial class CommandTree
{
    private void AddUsage(Func<UsageOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add("usage", "Tokens and cost from the ledger, as a table",
            "qwen-proxy usage --since 7d --by model,day");
        Option<string?> since = SinceOption();
        Option<string> by = new("--by")
        {
            Description = "Group by " + string.Join(", ", UsageTable.AllKeys),
            HelpName = "KEYS",
            DefaultValueFactory = _ => "model",
        };
        by.Validators.Add(result =>
        {
            foreach (string key in UsageTable.SplitKeys(result.GetValueOrDefault<string>()).Where(k => !UsageTable.AllKeys.Contains(k)))
                result.AddError($"--by has \"{key}\"; it must be some of {string.Join(", ", UsageTable.AllKeys)}, with commas between them.");
        });
        Option<bool> json = JsonOption();
        command.Add(since);
        command.Add(by);
        command.Add(json);
        command.SetAction((result, stop) => action(
            new(result.GetValue(since), UsageTable.SplitKeys(result.GetRequiredValue(by)), result.GetValue(json), group.Read(result, _rootGroup)), stop));
    }

    private void AddRequests(Func<RequestsOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add("requests", "Requests that ended, the newest first, and why they failed",
            "qwen-proxy requests --failed --since 1h");
        Argument<string?> id = new("REQUEST-ID") { Description = "All that is known of one request", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> failed = new("--failed") { Description = "Only those that did not end complete" };
        Option<string?> model = new("--model") { Description = "Only those that asked for this model or were answered by it", HelpName = "M" };
        Option<string?> client = new("--client") { Description = "Only those of this client's key", HelpName = "C" };
        Option<string?> since = SinceOption();
        Option<int> limit = new("--limit") { Description = "How many at most", HelpName = "N", DefaultValueFactory = _ => 50 };
        limit.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && !(int.TryParse(value, out int number) && number is >= 1 and <= LedgerFilter.MaxLimit))
                result.AddError($"--limit is \"{value}\"; it must be a whole number from 1 to {LedgerFilter.MaxLimit}.");
        });
        Option<bool> json = JsonOption();
        command.Add(id);
        command.Add(failed);
        command.Add(model);
        command.Add(client);
        command.Add(since);
        command.Add(limit);
        command.Add(json);
        command.SetAction((result, stop) => action(
            new(result.GetValue(id), result.GetValue(since), result.GetValue(json), group.Read(result, _rootGroup))
            {
                Failed = result.GetValue(failed),
                Model = result.GetValue(model),
                Client = result.GetValue(client),
                Limit = result.GetValue(limit),
            },
            stop));
    }

    private void AddLedger(
        Func<LedgerExportOptions, CancellationToken, Task<int>> export, Func<LedgerBackupOptions, CancellationToken, Task<int>> backup)
    {
        Command ledger = AddBare("ledger", "Take the list of requests out of the data folder", "qwen-proxy ledger export --format csv --since 30d");

        Command exportCommand = new("export", "Print every request of the ledger, the oldest first");
        ledger.Add(exportCommand);
        _examples[exportCommand] = "qwen-proxy ledger export --format jsonl --since 30d";
        ConfigurationOptionGroup exportGroup = new ConfigurationOptionGroup().AddTo(exportCommand);
        Option<string> format = new("--format") { Description = "csv or jsonl", HelpName = "F", DefaultValueFactory = _ => "csv" };
        format.AcceptOnlyFromAmong("csv", "jsonl");
        Option<string?> since = SinceOption();
        exportCommand.Add(format);
        exportCommand.Add(since);
        exportCommand.SetAction((result, stop) => export(new(result.GetRequiredValue(format), result.GetValue(since), exportGroup.Read(result, _rootGroup)), stop));

        Command backupCommand = new("backup", "Copy the ledger to a file as it is at this moment, also while a proxy runs");
        ledger.Add(backupCommand);
        _examples[backupCommand] = "qwen-proxy ledger backup ledger-monday.db";
        ConfigurationOptionGroup backupGroup = new ConfigurationOptionGroup().AddTo(backupCommand);
        Argument<FileInfo> file = new("FILE") { Description = "Where the copy goes" };
        Option<bool> force = new("--force") { Description = "Replace a file that exists" };
        backupCommand.Add(file);
        backupCommand.Add(force);
        backupCommand.SetAction((result, stop) => backup(new(result.GetRequiredValue(file).FullName, result.GetValue(force), backupGroup.Read(result, _rootGroup)), stop));
    }

    private static Option<string?> SinceOption() => new("--since") { Description = "From when on: a date, or a span such as 7d or 12h", HelpName = "D" };
}
