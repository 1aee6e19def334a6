using QwenProxy.Configuration;

namespace QwenProxy.Console.Setup;

/// <summary><c>qwen-proxy run AGENT</c> and <c>env AGENT</c>: an agent on this proxy for one run or one shell, with nothing written to its settings.</summary>
internal sealed class AgentCommands(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf)
{
    public async Task<int> RunAsync(RunAgentOptions options, CancellationToken stop)
    {
        if (LaunchOf(options.Agent, options.Model, options.Key, options.Flags, out AgentTarget? target) is not { } launch) return ExitCodes.BadUsage;
        if (!await AdminClient.IsAliveAsync(target!.Origin, stop)) terminal.Error.WriteLine($"No proxy answers at {target.Origin} yet. Start one with `qwen-proxy serve`.");
        if (await AgentProcess.RunAsync(launch, options.Arguments) is { } code) return code;
        terminal.Error.WriteLine($"There is no program {launch.Program} in the PATH. Install {options.Agent} first.");
        return ExitCodes.NotFound;
    }

    public Task<int> EnvAsync(EnvAgentOptions options, CancellationToken stop)
    {
        if (LaunchOf(options.Agent, options.Model, options.Key, options.Flags, out _) is not { } launch) return Task.FromResult(ExitCodes.BadUsage);
        terminal.Out.Write(launch.ForShell(options.Agent, Environment.ProcessPath ?? "qwen-proxy"));
        if (terminal.IsInteractive) terminal.Error.WriteLine($"For a shell to read: eval \"$(qwen-proxy env {options.Agent})\"");
        return Task.FromResult(ExitCodes.Done);
    }

    private AgentLaunch? LaunchOf(string agent, string? model, string? said, ConfigurationFlags flags, out AgentTarget? target)
    {
        target = null;
        ConfigurationSources sources = sourcesOf(flags);
        ConfigurationResult loaded = ConfigurationLoader.Load(sources);
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return null;
        }

        if (!new AgentKey(terminal, sources).TryFind(snapshot, agent, said, out string? key)) return null;
        target = AgentTarget.Of(snapshot, model, key);
        return AgentLaunch.Of(agent, new AgentRecipes(sources, snapshot.Storage.QwenHome, target).Of(agent), target);
    }
}
