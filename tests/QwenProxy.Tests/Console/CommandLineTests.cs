using QwenProxy.Configuration;
using QwenProxy.Console;

namespace QwenProxy.Tests.Console;

public sealed class CommandLineTests
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();
    private object? _seen;

    private CommandActions All => new()
    {
        Serve = See,
        Demo = See,
        Simulate = See,
        Login = See,
        Logout = See,
        Accounts = See,
        Status = See,
        Models = See,
        Config = See,
        Doctor = See,
        Setup = See,
        Replay = See,
        Usage = See,
    };

    private Task<int> See(object options, CancellationToken stop)
    {
        _seen = options;
        return Task.FromResult(7);
    }

    private Task<int> RunAsync(string line, CommandActions? actions = null) => CommandLine.RunAsync(
        line.Split(' ', StringSplitOptions.RemoveEmptyEntries), actions ?? All, new Terminal(_out, _error), TestContext.Current.CancellationToken);

    public static TheoryData<string, object> Lines => new()
    {
        { "", new ServeOptions(new()) },
        { "--port 9000", new ServeOptions(new() { Port = "9000" }) },
        { "-debug", new ServeOptions(new() { Debug = true }) },
        { "--debug", new ServeOptions(new() { Debug = true }) },
        { "serve -debug", new ServeOptions(new() { Debug = true }) },
        { "serve --config f.json --host ::1 --port=1 --debug",
            new ServeOptions(new() { ConfigFile = "f.json", Host = "::1", Port = "1", Debug = true }) },
        { "--port 1 serve", new ServeOptions(new() { Port = "1" }) },
        { "--port 1 serve --port 2", new ServeOptions(new() { Port = "2" }) },
        { "demo", new DemoOptions(null, null, false) },
        { "demo --port 1 --scenario healthy --once", new DemoOptions(1, "healthy", true) },
        { "simulate --port 0", new SimulateOptions(0, null, null) },
        { "login", new LoginOptions(null, false, new()) },
        { "login work --config f", new LoginOptions("work", false, new() { ConfigFile = "f" }) },
        { "logout work", new LogoutOptions("work", false, new()) },
        { "accounts --json", new AccountsOptions(true, new()) },
        { "--config f status", new StatusOptions(false, new() { ConfigFile = "f" }) },
        { "models", new ModelsOptions(false, new()) },
        { "config --schema", new ConfigOptions(false, true, new()) },
        { "doctor --json", new DoctorOptions(false, true, new()) },
        { "doctor --probe --config f", new DoctorOptions(true, false, new() { ConfigFile = "f" }) },
        { "setup claude-code --print", new SetupOptions("claude-code", false, true, new()) },
        { "setup aider --undo", new SetupOptions("aider", true, false, new()) },
        { "setup codex --model m --json --port 1", new SetupOptions("codex", false, false, new() { Port = "1" }) { Json = true, Model = "m" } },
    };

    [Theory]
    [MemberData(nameof(Lines))]
    public async Task GoodLine_GivesItsOptions(string line, object expected)
    {
        Assert.Equal(7, await RunAsync(line));
        Assert.Equal(expected, _seen);
        Assert.Empty(_error.ToString());
    }

    [Fact]
    public async Task Usage_SplitsItsKeys()
    {
        Assert.Equal(7, await RunAsync("usage --since 7d --by day,model --json"));
        UsageOptions options = Assert.IsType<UsageOptions>(_seen);
        Assert.Equal(("7d", true), (options.Since, options.Json));
        Assert.Equal(["day", "model"], options.By);
        await RunAsync("usage");
        Assert.Equal(["model"], Assert.IsType<UsageOptions>(_seen).By);
    }

    [Fact]
    public async Task FilesOfReplay_AreGivenWithFullPath()
    {
        string file = Path.GetTempFileName();
        try
        {
            Assert.Equal(7, await RunAsync($"replay {file} --repair observe --dialect messages"));
            Assert.Equal(new ReplayOptions(file, "observe", "messages"), _seen);
            Assert.Equal(7, await RunAsync($"replay {file}"));
            Assert.Equal(new ReplayOptions(file, "auto", "chat"), _seen);
            Assert.Equal(7, await RunAsync($"simulate --replay {file}"));
            Assert.Equal(new SimulateOptions(null, null, file), _seen);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("frobnicate", "'frobnicate'")]
    [InlineData("serve --prot 1", "did you mean '--port'?")]
    [InlineData("cofnig", "did you mean 'config'?")]
    [InlineData("serve --port", "--port")]
    [InlineData("demo --port high", "\"high\"; it must be a whole number from 0 to 65535")]
    [InlineData("demo --port 70000", "\"70000\"; it must be")]
    [InlineData("setup emacs", "emacs")]
    [InlineData("setup aider --undo --print", "--undo and --print do not go together")]
    [InlineData("setup", "setup")]
    [InlineData("replay", "replay")]
    [InlineData("usage --by model,moon", "--by has \"moon\"; it must be some of model, account, client, dialect, day, hour")]
    [InlineData("login a/b", "NAME is \"a/b\"")]
    public async Task BadLine_IsToldOnStderrAndExits64(string line, string expected)
    {
        Assert.Equal(64, await RunAsync(line));
        Assert.Contains(expected, _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("--help.", _error.ToString(), StringComparison.Ordinal);
        Assert.Empty(_out.ToString());
        Assert.Null(_seen);
    }

    [Fact]
    public async Task SeveralFaults_AreAllTold()
    {
        Assert.Equal(64, await RunAsync("demo --port high --frob --scenario"));
        foreach (string part in new[] { "high", "--frob", "--scenario" }) Assert.Contains(part, _error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--help", "qwen-proxy --port 8143")]
    [InlineData("-h", "Qwen Proxy stands between")]
    [InlineData("serve --help", "qwen-proxy serve --config my.json")]
    [InlineData("demo -h", "--once")]
    [InlineData("setup --help", "claude-code, codex, qwen-code, opencode, cline, continue, aider")]
    [InlineData("usage --help", "Example:")]
    [InlineData("simulate --frob --help", "--replay")]
    [InlineData("setup --help", "setup <CLIENT> [options]")]
    public async Task Help_GoesToStdoutAndExits0(string line, string expected)
    {
        Assert.Equal(0, await RunAsync(line));
        Assert.Contains(expected, _out.ToString(), StringComparison.Ordinal);
        Assert.Empty(_error.ToString());
        Assert.Null(_seen);
    }

    [Fact]
    public async Task EveryCommand_HasHelpWithAnExampleOfItself()
    {
        foreach (string name in CommandLine.Build(All).Subcommands.Select(c => c.Name))
        {
            _out.GetStringBuilder().Clear();
            Assert.Equal(0, await RunAsync(name + " --help"));
            Assert.Contains("Example:" + Environment.NewLine + "  qwen-proxy " + name, _out.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void CommandWithoutAction_IsNotOffered()
    {
        Assert.Equal(["serve", "config"], CommandLine.Build(new CommandActions { Serve = See, Config = See }).Subcommands.Select(c => c.Name));
        Assert.Equal(13, CommandLine.Build(All).Subcommands.Count);
    }

    [Fact]
    public async Task Version_NamesProgramAndRuntime()
    {
        Assert.Equal(0, await RunAsync("--version"));
        Assert.Matches(@"^qwen-proxy \d+\.\d+\.\d+ \(\.NET \d+\.\d+", _out.ToString());
    }

    [Fact]
    public async Task CommandThatFails_SaysWhyAndExits1()
    {
        Assert.Equal(1, await RunAsync("serve", new CommandActions { Serve = (_, _) => throw new IOException("port is taken") }));
        Assert.Equal("qwen-proxy: port is taken" + Environment.NewLine, _error.ToString());
    }

    [Fact]
    public async Task CommandStoppedByASignal_Exits0()
    {
        using CancellationTokenSource stop = new();
        CommandActions actions = new() { Serve = async (_, token) => { await stop.CancelAsync(); token.ThrowIfCancellationRequested(); return 5; } };
        Assert.Equal(0, await CommandLine.RunAsync(["serve"], actions, new Terminal(_out, _error), stop.Token));
    }

    [Fact]
    public async Task ArgumentThatBeginsWithAnAt_IsNoResponseFile()
    {
        await RunAsync("serve --config @file");
        Assert.Equal(new ServeOptions(new ConfigurationFlags { ConfigFile = "@file" }), _seen);
    }
}
