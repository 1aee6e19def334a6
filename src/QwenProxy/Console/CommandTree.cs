using System.Collections.Immutable;
using System.CommandLine;
using QwenProxy.Configuration;
using QwenProxy.Core.Catalogue;

namespace QwenProxy.Console;

/// <summary>The commands with their options, descriptions and examples.</summary>
internal sealed partial class CommandTree
{
    private readonly RootCommand _root = new("Qwen Proxy stands between coding agents and the services that serve Qwen models.");
    private readonly ConfigurationOptionGroup _rootGroup;
    private readonly Dictionary<Command, string> _examples = [];

    public CommandTree(CommandActions actions)
    {
        _rootGroup = new ConfigurationOptionGroup().AddTo(_root);
        _examples[_root] = "qwen-proxy --port 8143";
        if (actions.Serve is { } serve) AddServe(serve);
        if (actions.Demo is { } demo) AddDemo(demo);
        if (actions.Simulate is { } simulate) AddSimulate(simulate);
        if (actions.Login is { } login)
            AddNamed("login", "Sign in by the OAuth device flow", "qwen-proxy login work", (n, json, flags, stop) => login(new(n, json, flags), stop));
        if (actions.Logout is { } logout)
            AddNamed("logout", "Sign out; the credentials file is kept as .bak", "qwen-proxy logout work",
                (n, json, flags, stop) => logout(new(n, json, flags), stop));
        if (actions.Accounts is { } accounts)
            AddList("accounts", "Accounts with kind and state, and what holds each back until when", (json, flags, stop) => accounts(new(json, flags), stop));
        if (actions.Status is { } status) AddList("status", "State of a running proxy", (json, flags, stop) => status(new(json, flags), stop));
        if (actions.Top is { } top) AddList("top", "What a running proxy does now: requests, accounts, rates; --json for one moment", (json, flags, stop) => top(new(json, flags), stop));
        if (actions.Models is { } models)
            AddList("models", "Models on offer and where each would be routed", (json, flags, stop) => models(new(json, flags), stop));
        if (actions.Config is { } config) AddConfig(config);
        if (actions.Doctor is { } doctor) AddDoctor(doctor);
        if (actions.Setup is { } setup) AddSetup(setup);
        if (actions.RunAgent is { } run) AddRun(run);
        if (actions.EnvAgent is { } environment) AddEnv(environment);
        if (actions.Replay is { } replay) AddReplay(replay);
        if (actions.Usage is { } usage) AddUsage(usage);
        if (actions.Requests is { } requests) AddRequests(requests);
        if (actions is { LedgerExport: { } export, LedgerBackup: { } backup }) AddLedger(export, backup);
        if (actions.Version is { } version)
        {
            AddVersion(version);
            AddManual();
        }

        if (actions.Completion is { } completion) AddCompletion(completion);
        if (actions.Service is { } service) AddService(service);
        if (actions.Update is { } update) AddUpdate(update);
        if (actions.Keys is { } keys) AddKeys(keys);
    }

    public RootCommand Root => _root;

    /// <summary>One command line that shows a command at work.</summary>
    public string? ExampleOf(Command command) => _examples.GetValueOrDefault(command);

    private void AddServe(Func<ServeOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add("serve", "Run the proxy (what happens without a command, too)",
            "qwen-proxy serve --config my.json");
        command.SetAction((result, stop) => action(new(group.Read(result, _rootGroup)), stop));
        _root.SetAction((result, stop) => action(new(_rootGroup.Read(result, _rootGroup)), stop));
    }

    private void AddDemo(Func<DemoOptions, CancellationToken, Task<int>> action)
    {
        Command command = AddBare("demo", "Run the proxy against a built-in simulated Qwen and show a repaired answer", "qwen-proxy demo --once");
        Option<int?> port = PortOption();
        Option<string?> scenario = ScenarioOption();
        Option<bool> once = new("--once") { Description = "Exit after the one answer" };
        command.Add(port);
        command.Add(scenario);
        command.Add(once);
        command.SetAction((result, stop) => action(new(result.GetValue(port), result.GetValue(scenario), result.GetValue(once)), stop));
    }

    private void AddSimulate(Func<SimulateOptions, CancellationToken, Task<int>> action)
    {
        Command command = AddBare("simulate", "Run the simulated Qwen alone, as an upstream for any client", "qwen-proxy simulate --port 9000");
        Option<int?> port = PortOption();
        Option<string?> scenario = ScenarioOption();
        Option<FileInfo> replay = new("--replay") { Description = "Answer with a captured stream, byte for byte", HelpName = "FILE" };
        Option<bool> list = new("--list") { Description = "Print the scenarios and end" };
        Option<bool> json = JsonOption();
        command.Add(port);
        command.Add(scenario);
        command.Add(replay);
        command.Add(list);
        command.Add(json);
        command.SetAction((result, stop) => action(
            new(result.GetValue(port), result.GetValue(scenario), result.GetValue(replay)?.FullName) { List = result.GetValue(list), Json = result.GetValue(json) }, stop));
    }

    private void AddNamed(string name, string description, string example, Func<string?, bool, ConfigurationFlags, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add(name, description, example);
        Argument<string?> account = new("NAME") { Description = "Name of the account", Arity = ArgumentArity.ZeroOrOne };
        account.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && !AccountReader.IsName(value))
                result.AddError($"NAME is \"{value}\"; it must be a name of letters, digits, '-', '_' and '.'.");
        });
        Option<bool> json = JsonOption();
        command.Add(account);
        command.Add(json);
        command.SetAction((result, stop) => action(result.GetValue(account), result.GetValue(json), group.Read(result, _rootGroup), stop));
    }

    private void AddList(string name, string description, Func<bool, ConfigurationFlags, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add(name, description, $"qwen-proxy {name} --json");
        Option<bool> json = JsonOption();
        command.Add(json);
        command.SetAction((result, stop) => action(result.GetValue(json), group.Read(result, _rootGroup), stop));
    }

    private void AddConfig(Func<ConfigOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add(
            "config", "Show the configuration in force, each value with its origin, secrets as ***", "qwen-proxy config --config my.json");
        Option<bool> json = JsonOption();
        Option<bool> schema = new("--schema") { Description = "Print the JSON schema of the configuration file instead" };
        command.Add(json);
        command.Add(schema);
        command.SetAction((result, stop) => action(new(result.GetValue(json), result.GetValue(schema), group.Read(result, _rootGroup)), stop));
    }

    private void AddDoctor(Func<DoctorOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add("doctor", "Check each account and print the fix for each fault", "qwen-proxy doctor --probe");
        Option<bool> probe = new("--probe") { Description = "Try a refused key at the other regions and plans of the service; this sends it there" };
        Option<bool> json = JsonOption();
        command.Add(probe);
        command.Add(json);
        command.SetAction((result, stop) => action(new(result.GetValue(probe), result.GetValue(json), group.Read(result, _rootGroup)), stop));
    }

    private void AddReplay(Func<ReplayOptions, CancellationToken, Task<int>> action)
    {
        Command command = AddBare(
            "replay", "Run a captured upstream stream through repair: the result on stdout, decisions on stderr",
            "qwen-proxy replay capture.sse --repair observe");
        Argument<FileInfo> file = new("FILE") { Description = "The captured stream" };
        Option<string> repair = new("--repair") { Description = "How much to repair", HelpName = "MODE", DefaultValueFactory = _ => "auto" };
        repair.AcceptOnlyFromAmong("off", "observe", "safe", "auto");
        Option<string> dialect = new("--dialect") { Description = "The dialect to write", HelpName = "D", DefaultValueFactory = _ => "chat" };
        dialect.AcceptOnlyFromAmong("chat", "responses", "messages");
        Option<string?> profile = new("--profile") { Description = "The kind of upstream that was captured, unless the file's name tells; else qwen-portal", HelpName = "NAME" };
        profile.AcceptOnlyFromAmong([.. Profiles.All.Select(p => p.Name)]);
        Option<FileInfo> request = new("--request") { Description = "The chat request that was answered; its tools decide about leaked calls", HelpName = "FILE" };
        command.Add(file);
        command.Add(repair);
        command.Add(dialect);
        command.Add(profile);
        command.Add(request);
        command.SetAction((result, stop) => action(
            new(result.GetRequiredValue(file).FullName, result.GetRequiredValue(repair), result.GetRequiredValue(dialect))
            {
                Profile = result.GetValue(profile),
                RequestFile = result.GetValue(request)?.FullName,
            },
            stop));
    }

    private (Command Command, ConfigurationOptionGroup Group) Add(string name, string description, string example)
    {
        Command command = AddBare(name, description, example);
        return (command, new ConfigurationOptionGroup().AddTo(command));
    }

    private Command AddBare(string name, string description, string example)
    {
        Command command = new(name, description);
        _root.Add(command);
        _examples[command] = example;
        return command;
    }

    private static Option<bool> JsonOption() => new("--json") { Description = "Print JSON for machines" };

    private static Option<string?> ScenarioOption() => new("--scenario") { Description = "What the simulated Qwen does", HelpName = "NAME" };

    private static Option<int?> PortOption()
    {
        Option<int?> port = new("--port") { Description = "Port to listen on", HelpName = "N" };
        port.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var value }] && !(ushort.TryParse(value, out _)))
                result.AddError($"--port is \"{value}\"; it must be {ValueRules.Integer(0, ushort.MaxValue).Allowed}.");
        });
        return port;
    }
}
