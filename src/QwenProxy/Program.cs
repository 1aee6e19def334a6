using QwenProxy.Configuration;
using QwenProxy.Console;

using StopSignals stop = new();
Terminal terminal = Terminal.FromProcess();
CommandActions actions = new()
{
    Config = new ConfigCommand(terminal, ConfigurationSources.FromProcess).RunAsync,
};
return await CommandLine.RunAsync(args, actions, terminal, stop.Token);
