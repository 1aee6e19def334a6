using System.CommandLine;
using QwenProxy.Console.Installed;
using QwenProxy.Observability;

namespace QwenProxy.Console;

/// <summary>The commands about the program as it is installed here.</summary>
internal sealed partial class CommandTree
{
    private void AddVersion(Func<VersionOptions, CancellationToken, Task<int>> action)
    {
        Command command = AddBare("version", "Version, commit, runtime and form of this program", "qwen-proxy version --json");
        Option<bool> json = JsonOption();
        command.Add(json);
        command.SetAction((result, stop) => action(new(result.GetValue(json)), stop));
    }

    private void AddCompletion(Func<CompletionOptions, CancellationToken, Task<int>> action)
    {
        Command command = AddBare("completion", "Print a shell's completion script", "qwen-proxy completion bash");
        Argument<string> shell = new("SHELL") { Description = string.Join(", ", CompletionCommand.Shells) };
        shell.AcceptOnlyFromAmong(CompletionCommand.Shells);
        command.Add(shell);
        command.SetAction((result, stop) => action(new(result.GetRequiredValue(shell)), stop));
    }

    /// <summary>The tree prints itself: nobody else knows it whole. Hidden, since it is for those who build packages.</summary>
    private void AddManual()
    {
        Command command = AddBare("man", "Print the man page", "qwen-proxy man | man -l -");
        command.Hidden = true;
        command.SetAction(result => result.InvocationConfiguration.Output.Write(ManualPage.Write(_root, ExampleOf, ProgramVersion.OfThis().Version)));
    }

    private void AddService(Func<ServiceOptions, CancellationToken, Task<int>> action)
    {
        Command service = AddBare("service", "Run the proxy in the background of your own session, from every login on", "qwen-proxy service install");
        foreach ((ServiceAction what, string name, string description) in (ReadOnlySpan<(ServiceAction, string, string)>)
        [
            (ServiceAction.Install, "install", "Write the service's file, start it, and start it at every login"),
            (ServiceAction.Uninstall, "uninstall", "Stop it and take its file away"),
            (ServiceAction.Status, "status", "Whether it is installed and whether it runs"),
        ])
        {
            Command command = new(name, description);
            service.Add(command);
            _examples[command] = "qwen-proxy service " + name;
            command.SetAction((_, stop) => action(new(what), stop));
        }
    }

    private void AddUpdate(Func<UpdateOptions, CancellationToken, Task<int>> action)
    {
        Command command = AddBare("update", "Ask whether there is a newer release; nothing is replaced", "qwen-proxy update --check");
        Option<bool> check = new("--check") { Description = "Ask for the newest release's number", Required = true };
        Option<bool> json = JsonOption();
        command.Add(check);
        command.Add(json);
        command.SetAction((result, stop) => action(new(result.GetValue(json)), stop));
    }
}
