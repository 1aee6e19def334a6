using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console;

/// <summary><c>run</c> and <c>env</c>, with scripts in the place of the agents: they print what they were given.</summary>
public sealed class AgentRunTests : IDisposable
{
    private const string Script = """
        #!/bin/sh
        for a in "$@"; do echo "arg=$a"; case "$a" in *.yaml) cat "$a";; esac; done
        env | grep -E '^(ANTHROPIC|OPENAI|OPENCODE|AIDER|CLINE|QWEN_PROXY_CLIENT)_' | sort
        if [ -n "$CLINE_PROVIDER_SETTINGS_PATH" ]; then echo "file=$CLINE_PROVIDER_SETTINGS_PATH"; cat "$CLINE_PROVIDER_SETTINGS_PATH"; fi
        exit 7
        """;

    private readonly TemporaryFolder _home = new();

    public static TheoryData<string, string, string[]> Agents => new()
    {
        { "claude-code", "claude", ["arg=-p\narg=a b\nANTHROPIC_AUTH_TOKEN=canary-key\nANTHROPIC_BASE_URL=http://127.0.0.1:9\n", "ANTHROPIC_MODEL=qwen3.7-plus\n"] },
        { "qwen-code", "qwen", ["arg=--auth-type\narg=openai\narg=-p\narg=a b\n", "OPENAI_API_KEY=canary-key\nOPENAI_BASE_URL=http://127.0.0.1:9/v1\nOPENAI_MODEL=qwen3.7-plus\n"] },
        { "codex", "codex", ["arg=model=\"qwen3.7-plus\"\n", "arg=model_providers.qwen-proxy.base_url=\"http://127.0.0.1:9/v1\"\n", "env_key=\"QWEN_PROXY_CLIENT_KEY\"\narg=-p\n", "QWEN_PROXY_CLIENT_KEY=canary-key\n"] },
        { "opencode", "opencode", ["arg=-p\narg=a b\nOPENCODE_CONFIG_CONTENT={", "\"baseURL\": \"http://127.0.0.1:9/v1\"", "\"model\": \"qwen-proxy/qwen3.7-plus\""] },
        { "cline", "cline", ["arg=-p\narg=a b\n", "\"baseUrl\": \"http://127.0.0.1:9/v1\"", "canary-key"] },
        { "continue", "cn", ["arg=--config\narg=", "apiBase: \"http://127.0.0.1:9/v1\"", "arg=-p\narg=a b\n"] },
        { "aider", "aider", ["AIDER_MODEL=openai/qwen3.7-plus\nAIDER_OPENAI_API_BASE=http://127.0.0.1:9/v1\nAIDER_OPENAI_API_KEY=canary-key\n"] },
    };

    public void Dispose() => _home.Dispose();

    [Theory]
    [MemberData(nameof(Agents))]
    public async Task Run_GivesTheAgentAllItNeedsAndLeavesNothing(string agent, string program, string[] parts)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("The agents here are shell scripts.");
        Install(program);
        (int code, string output, string error) = await RunAsync("run", agent, "--", "-p", "a b");
        Assert.Equal(7, code);
        foreach (string part in parts) Assert.Contains(part, output, StringComparison.Ordinal);
        Assert.Contains("No proxy answers at http://127.0.0.1:9 yet.", error, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", error, StringComparison.Ordinal);
        Assert.Equal([_home.Of("bin")], Directory.GetFileSystemEntries(_home.Path));
        if (agent == "cline") Assert.False(File.Exists(output.Split("file=")[1].Split('\n')[0]));
    }

    [Theory]
    [MemberData(nameof(Agents))]
    public async Task Env_IsReadByAShell(string agent, string program, string[] parts)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("There is no POSIX shell.");
        Install(program);
        (int code, string output, _) = await RunAsync("env", agent);
        Assert.Equal(0, code);
        await File.WriteAllTextAsync(_home.Of("bin", "env.sh"), output + program + " -p 'a b'\n", TestContext.Current.CancellationToken);
        using System.Diagnostics.Process shell = new() { StartInfo = new("/bin/sh", [_home.Of("bin", "env.sh")]) { RedirectStandardOutput = true, RedirectStandardError = true } };
        foreach ((string name, string value) in Variables) shell.StartInfo.Environment[name] = value;
        shell.Start();
        string seen = await shell.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(7, shell.ExitCode);
        foreach (string part in parts) Assert.Contains(part, seen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AgentThatIsNotInstalled_Exits2()
    {
        (int code, _, string error) = await RunAsync("run", "aider");
        Assert.Equal(2, code);
        Assert.Contains("There is no program aider in the PATH", error, StringComparison.Ordinal);
    }

    private Dictionary<string, string> Variables => new()
    {
        ["PATH"] = _home.Of("bin") + ":/usr/bin:/bin",
        ["HOME"] = _home.Path,
        ["PORT"] = "9",
        ["QWEN_PROXY_KEYS"] = "canary-key",
    };

    private void Install(string program)
    {
        Directory.CreateDirectory(_home.Of("bin"));
        File.WriteAllText(_home.Of("bin", program), Script);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_home.Of("bin", program), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using ProxyProcess process = ProxyProcess.Start(_home.Path, Variables, arguments);
        int code = await process.ExitCodeAsync();
        return (code, string.Join('\n', process.Output) + "\n", string.Join('\n', process.Lines));
    }
}
