using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Hosting;

ProxyServer.PrepareProcess();
using StopSignals stop = new();
Terminal terminal = Terminal.FromProcess();
SignInCommands signIn = new(terminal, ConfigurationSources.FromProcess);
CommandActions actions = new()
{
    Serve = new ServeCommand(terminal, ConfigurationSources.FromProcess).RunAsync,
    Demo = new DemoCommand(terminal).RunAsync,
    Simulate = new SimulateCommand(terminal).RunAsync,
    Login = signIn.LoginAsync,
    Logout = signIn.LogoutAsync,
    Accounts = new AccountsCommand(terminal, ConfigurationSources.FromProcess).RunAsync,
    Status = new StatusCommand(terminal, ConfigurationSources.FromProcess).RunAsync,
    Models = new ModelsCommand(terminal, ConfigurationSources.FromProcess).RunAsync,
    Config = new ConfigCommand(terminal, ConfigurationSources.FromProcess).RunAsync,
};
return await CommandLine.RunAsync(args, actions, terminal, stop.Token);
