using System.Collections.Immutable;
using System.CommandLine;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;

namespace QwenProxy.Console;

/// <summary>The commands for client keys.</summary>
internal sealed partial class CommandTree
{
    private void AddKeys(KeyActions actions)
    {
        Command keys = AddBare("keys", "Keys for clients, with limits; in force within a second, also while a proxy runs", "qwen-proxy keys add alice --rpm 60 --expires 30d");
        AddKey(keys, actions.Add);
        RotateKey(keys, actions.Rotate);
        foreach ((string name, string what, string example, Func<KeyOptions, CancellationToken, Task<int>> action) in new[]
        {
            ("revoke", "End a key at once", "qwen-proxy keys revoke alice", actions.Revoke),
            ("usage", "What a client has used of its limits", "qwen-proxy keys usage alice --json", actions.Usage),
        })
        {
            (Command command, ConfigurationOptionGroup group) = AddBelow(keys, name, what, example);
            Argument<string> client = ClientArgument();
            Option<bool> json = JsonOption();
            command.Add(client);
            command.Add(json);
            command.SetAction((result, stop) => action(new(result.GetRequiredValue(client), result.GetValue(json), group.Read(result, _rootGroup)), stop));
        }

        (Command list, ConfigurationOptionGroup listGroup) = AddBelow(keys, "list", "All client keys with their limits, those of the configuration too", "qwen-proxy keys list --json");
        Option<bool> listJson = JsonOption();
        list.Add(listJson);
        list.SetAction((result, stop) => actions.List(new("", result.GetValue(listJson), listGroup.Read(result, _rootGroup)), stop));
    }

    private void AddKey(Command keys, Func<KeyAddOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = AddBelow(keys, "add", "Make a key and print it, this once; the first one makes a key required",
            "qwen-proxy keys add build --models 'qwen3.7-*' --tokens-per-day 5000000 --expires 30d");
        Argument<string> client = ClientArgument();
        Option<string?> models = new("--models") { Description = "Names or patterns of the models it may use, with commas between them", HelpName = "M" };
        models.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && SplitNames(value).IsEmpty) result.AddError("--models is empty; it must be one or more names, with commas between them.");
        });
        Option<string?> expires = new("--expires") { Description = "When it ends: a date, or a span such as 30d", HelpName = "WHEN" };
        expires.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && !ExpiryText.TryRead(value, DateTimeOffset.UnixEpoch, TimeZoneInfo.Utc, out _)) result.AddError($"--expires is \"{value}\"; it must be {ExpiryText.Allowed}.");
        });
        Option<string?> rpm = LimitOption("--rpm", "Requests that may begin within a minute", LimitRules.RequestsPerMinute);
        Option<string?> concurrent = LimitOption("--concurrent", "Requests that may run at once", LimitRules.Concurrent);
        Option<string?> tokens = LimitOption("--tokens-per-day", "Input and output tokens of a day", LimitRules.TokensPerDay);
        Option<string?> dollars = LimitOption("--usd-per-month", "US dollars of a month, at list prices", LimitRules.UsdPerMonth);
        Option<string?> priority = LimitOption("--priority", "Who is taken first among waiting clients: the lower number", LimitRules.Priority);
        Option<bool> json = JsonOption();
        command.Add(client);
        foreach (Option option in (Option[])[models, expires, rpm, concurrent, tokens, dollars, priority, json]) command.Add(option);
        command.SetAction((result, stop) =>
        {
            ClientLimits limits = new()
            {
                Models = SplitNames(result.GetValue(models)),
                RequestsPerMinute = Value(result.GetValue(rpm), LimitRules.RequestsPerMinute),
                Concurrent = Value(result.GetValue(concurrent), LimitRules.Concurrent),
                TokensPerDay = Value(result.GetValue(tokens), LimitRules.TokensPerDay),
                UsdPerMonth = Value(result.GetValue(dollars), LimitRules.UsdPerMonth),
                Priority = Value(result.GetValue(priority), LimitRules.Priority) ?? 0,
            };
            return action(new(result.GetRequiredValue(client), limits, result.GetValue(expires), result.GetValue(json), group.Read(result, _rootGroup)), stop);
        });
    }

    private void RotateKey(Command keys, Func<KeyRotateOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = AddBelow(keys, "rotate", "Make a new key for a client; the old one works for a while longer", "qwen-proxy keys rotate alice --grace 2h");
        Argument<string> client = ClientArgument();
        Option<string> grace = new("--grace") { Description = "How long the old key goes on working: a span such as 2h, or 0", HelpName = "SPAN", DefaultValueFactory = _ => "24h" };
        grace.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && value != "0" && !ExpiryText.TryReadSpan(value, out _)) result.AddError($"--grace is \"{value}\"; it must be a span such as 2h, 30m or 7d, or 0.");
        });
        Option<bool> json = JsonOption();
        command.Add(client);
        command.Add(grace);
        command.Add(json);
        command.SetAction((result, stop) =>
        {
            _ = ExpiryText.TryReadSpan(result.GetRequiredValue(grace), out TimeSpan span);
            return action(new(result.GetRequiredValue(client), span, result.GetValue(json), group.Read(result, _rootGroup)), stop);
        });
    }

    private (Command Command, ConfigurationOptionGroup Group) AddBelow(Command parent, string name, string description, string example)
    {
        Command command = new(name, description);
        parent.Add(command);
        _examples[command] = example;
        return (command, new ConfigurationOptionGroup().AddTo(command));
    }

    private static Argument<string> ClientArgument()
    {
        Argument<string> client = new("NAME") { Description = "Name of the client" };
        client.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && !AccountReader.IsName(value)) result.AddError($"NAME is \"{value}\"; it must be a name of letters, digits, '-', '_' and '.'.");
        });
        return client;
    }

    private static Option<string?> LimitOption<T>(string name, string description, ValueRule<T> rule)
    {
        Option<string?> option = new(name) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && !rule.Read(value, out _)) result.AddError($"{name} is \"{value}\"; it must be {rule.Allowed}.");
        });
        return option;
    }

    private static T? Value<T>(string? text, ValueRule<T> rule)
        where T : struct => text is not null && rule.Read(text, out T value) ? value : null;

    private static ImmutableArray<string> SplitNames(string? text) => [.. (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
}
