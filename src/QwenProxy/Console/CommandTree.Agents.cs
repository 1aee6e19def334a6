using System.CommandLine;

namespace QwenProxy.Console;

/// <summary>The commands that concern coding agents.</summary>
internal sealed partial class CommandTree
{
    private static readonly string[] s_agents = ["claude-code", "codex", "qwen-code", "opencode", "cline", "continue", "aider"];

    private void AddSetup(Func<SetupOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add(
            "setup", "Point a coding agent at this proxy: show the change, back up, write, probe", "qwen-proxy setup claude-code --print");
        Argument<string> client = AgentArgument();
        Option<bool> undo = new("--undo") { Description = "Take back what was written; what others wrote since stays" };
        Option<bool> print = new("--print") { Description = "Only show what would be written" };
        command.Add(client);
        command.Add(undo);
        command.Validators.Add(result =>
        {
            if (result.GetValue(undo) && result.GetValue(print)) result.AddError("--undo and --print do not go together; choose one.");
        });
        Option<string?> model = ModelOption();
        Option<bool> force = new("--force") { Description = "Write a model that is not on offer, too" };
        Option<bool> json = JsonOption();
        Option<string?> key = KeyOption();
        command.Add(print);
        command.Add(model);
        command.Add(key);
        command.Add(force);
        command.Add(json);
        command.SetAction((result, stop) => action(
            new(result.GetRequiredValue(client), result.GetValue(undo), result.GetValue(print), group.Read(result, _rootGroup))
            {
                Json = result.GetValue(json),
                Model = result.GetValue(model),
                Force = result.GetValue(force),
                Key = result.GetValue(key),
            },
            stop));
    }

    private void AddRun(Func<RunAgentOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add(
            "run", "Run a coding agent on this proxy once; nothing is written to its settings", "qwen-proxy run claude-code -- -p \"hello\"");
        Argument<string> agent = AgentArgument();
        Argument<string[]> arguments = new("ARGS") { Description = "What the agent is given, behind --", HelpName = "-- ARGS", Arity = ArgumentArity.ZeroOrMore };
        Option<string?> model = ModelOption();
        command.Add(agent);
        Option<string?> key = KeyOption();
        command.Add(arguments);
        command.Add(model);
        command.Add(key);
        command.SetAction((result, stop) => action(
            new(result.GetRequiredValue(agent), result.GetValue(model), [.. result.GetValue(arguments) ?? []], group.Read(result, _rootGroup)) { Key = result.GetValue(key) }, stop));
    }

    private void AddEnv(Func<EnvAgentOptions, CancellationToken, Task<int>> action)
    {
        (Command command, ConfigurationOptionGroup group) = Add(
            "env", "Print what points a coding agent at this proxy, for a shell to read", "eval \"$(qwen-proxy env claude-code)\"");
        Argument<string> agent = AgentArgument();
        Option<string?> model = ModelOption();
        Option<string?> key = KeyOption();
        command.Add(agent);
        command.Add(model);
        command.Add(key);
        command.SetAction((result, stop) => action(new(result.GetRequiredValue(agent), result.GetValue(model), group.Read(result, _rootGroup)) { Key = result.GetValue(key) }, stop));
    }

    private static Argument<string> AgentArgument()
    {
        Argument<string> agent = new("CLIENT") { Description = "The agent: " + string.Join(", ", s_agents), HelpName = "CLIENT" };
        agent.AcceptOnlyFromAmong(s_agents);
        return agent;
    }

    private static Option<string?> KeyOption() => new("--key") { Description = "The client key the agent shall show: env:NAME, file:PATH or the key", HelpName = "KEY" };

    private static Option<string?> ModelOption() => new("--model") { Description = "The model the agent shall ask for", HelpName = "NAME" };
}
