using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Console.Setup;
using QwenProxy.Tests.Configuration;

namespace QwenProxy.Tests.Console.Setup;

/// <summary>A home of a test's own in which the setup command runs.</summary>
internal sealed class SetupWorld : IDisposable
{
    public static readonly string[] Clients = ["claude-code", "codex", "qwen-code", "opencode", "cline", "continue", "aider"];

    private StringWriter _out = new();
    private StringWriter _error = new();

    /// <summary>Nobody listens at the port unless a test says so: it is the discard port, which no program may take by chance.</summary>
    public SetupWorld() => Folder.Variables["PORT"] = "9";

    public ConfigFolder Folder { get; } = new();

    /// <summary>What a person types when asked; null where nobody is there.</summary>
    public string? Typed { get; set; }

    /// <summary>What the last run printed.</summary>
    public string Out => _out.ToString();

    public string Error => _error.ToString();

    public string FileOf(string client) => Path.Combine(
        Folder.Home,
        client switch
        {
            "claude-code" => ".claude/settings.json",
            "codex" => ".codex/config.toml",
            "qwen-code" => ".qwen/settings.json",
            "opencode" => ".config/opencode/opencode.json",
            "cline" => ".cline/data/settings/providers.json",
            "continue" => ".continue/config.yaml",
            _ => ".aider.conf.yml",
        });

    /// <summary>The agent's file with a given text.</summary>
    public string Put(string client, string text)
    {
        string file = FileOf(client);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        return file;
    }

    public Task<int> RunAsync(string line, Func<Terminal, AgentCommands>? agents = null)
    {
        _out = new StringWriter();
        _error = new StringWriter();
        Terminal terminal = new(_out, _error) { ReadSecret = Typed is null ? null : _ => Typed };
        SetupCommand command = new(terminal, flags => Folder.Sources with { Flags = flags }, TimeProvider.System);
        return CommandLine.RunAsync(line.Split(' '), Actions(command, agents?.Invoke(terminal)), terminal, TestContext.Current.CancellationToken);
    }

    private static CommandActions Actions(SetupCommand setup, AgentCommands? agents) => agents is null
        ? new CommandActions { Setup = setup.RunAsync }
        : new CommandActions { Setup = setup.RunAsync, RunAgent = agents.RunAsync, EnvAgent = agents.EnvAsync };

    public JsonElement Json() => JsonDocument.Parse(Out).RootElement;

    public void Dispose() => Folder.Dispose();
}
