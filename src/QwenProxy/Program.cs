using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Console.Installed;
using QwenProxy.Console.Setup;
using QwenProxy.Hosting;
using QwenProxy.Observability;

ProxyServer.PrepareProcess();
using StopSignals stop = new();
Terminal terminal = Terminal.FromProcess();
AgentCommands agents = new(terminal, SourcesOf);
LedgerCommand ledger = new(terminal, SourcesOf, TimeProvider.System);
ProgramVersion program = ProgramVersion.OfThis();
KeysCommand keys = new(terminal, SourcesOf, TimeProvider.System);
KeysReport keysReport = new(terminal, SourcesOf, TimeProvider.System);
SignInCommands signIn = new(terminal, SourcesOf);
CommandActions actions = new()
{
    Serve = new ServeCommand(terminal, SourcesOf, stop).RunAsync,
    Demo = new DemoCommand(terminal).RunAsync,
    Simulate = new SimulateCommand(terminal).RunAsync,
    Login = signIn.LoginAsync,
    Logout = signIn.LogoutAsync,
    Accounts = new AccountsCommand(terminal, SourcesOf).RunAsync,
    Status = new StatusCommand(terminal, SourcesOf).RunAsync,
    Top = new TopCommand(terminal, SourcesOf, TimeProvider.System).RunAsync,
    Models = new ModelsCommand(terminal, SourcesOf).RunAsync,
    Config = new ConfigCommand(terminal, SourcesOf).RunAsync,
    Setup = new SetupCommand(terminal, SourcesOf, TimeProvider.System).RunAsync,
    RunAgent = agents.RunAsync,
    EnvAgent = agents.EnvAsync,
    Doctor = new DoctorCommand(terminal, SourcesOf, TimeProvider.System).RunAsync,
    Replay = new ReplayCommand(terminal, TimeProvider.System).RunAsync,
    Usage = new UsageCommand(terminal, SourcesOf, TimeProvider.System).RunAsync,
    Requests = new RequestsCommand(terminal, SourcesOf, TimeProvider.System).RunAsync,
    LedgerExport = ledger.ExportAsync,
    LedgerBackup = ledger.BackupAsync,
    Version = new VersionCommand(terminal, program).RunAsync,
    Completion = new CompletionCommand(terminal).RunAsync,
    Service = new ServiceCommand(terminal, ServiceHome.OfThisPerson(program, Environment.GetEnvironmentVariable)).RunAsync,
    Update = new UpdateCommand(terminal, program, Environment.GetEnvironmentVariable).RunAsync,
    Keys = new KeyActions(keys.AddAsync, keys.RotateAsync, keys.RevokeAsync, keysReport.ListAsync, keysReport.UsageAsync),
};
return await CommandLine.RunAsync(args, actions, terminal, stop.Token);

static ConfigurationSources SourcesOf(ConfigurationFlags flags) => ConfigurationSources.FromProcess(flags) with { KnownQuirks = KnownRules.All };
