using System.CommandLine;
using QwenProxy.Console;
using QwenProxy.Console.Installed;

namespace QwenProxy.Tests.Console.Installed;

/// <summary>The man page and the completions, which come from the command tree.</summary>
public sealed class DocumentCommandTests
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    private CommandActions Actions => new()
    {
        Usage = (_, _) => Task.FromResult(0),
        Replay = (_, _) => Task.FromResult(0),
        Version = (_, _) => Task.FromResult(0),
        Completion = new CompletionCommand(new Terminal(_out, _error)).RunAsync,
    };

    private Task<int> RunAsync(params string[] arguments) =>
        CommandLine.RunAsync(arguments, Actions, new Terminal(_out, _error), TestContext.Current.CancellationToken);

    [Fact]
    public async Task ManPage_HasEveryCommandAndOption()
    {
        Assert.Equal(0, await RunAsync("man"));

        string page = _out.ToString();
        Assert.StartsWith(".TH QWEN\\-PROXY 1 ", page, StringComparison.Ordinal);
        foreach (Command command in CommandLine.Build(Actions).Subcommands.Where(c => !c.Hidden))
        {
            Assert.Contains($".SS qwen\\-proxy {command.Name}", page, StringComparison.Ordinal);
            foreach (Option option in command.Options.Where(o => !o.Hidden))
                Assert.Contains("\\fB" + option.Name.Replace("-", "\\-", StringComparison.Ordinal) + "\\fR", page, StringComparison.Ordinal);
        }

        Assert.DoesNotContain(page.Split('\n'), line => line.StartsWith('\'') || line.EndsWith(' '));
    }

    [Fact]
    public async Task Suggestion_KnowsTheCommandsThatBeginSo()
    {
        Assert.Equal(0, await RunAsync("[suggest:14]", "qwen-proxy usa"));

        Assert.Equal("usage", _out.ToString().Trim());
    }

    [Theory]
    [InlineData("bash", "complete -o bashdefault -o default -F _qwen_proxy qwen-proxy")]
    [InlineData("zsh", "#compdef qwen-proxy")]
    [InlineData("fish", "complete --command qwen-proxy")]
    [InlineData("pwsh", "Register-ArgumentCompleter -Native -CommandName qwen-proxy")]
    public async Task Script_RegistersItself(string shell, string line)
    {
        Assert.Equal(0, await RunAsync("completion", shell));

        Assert.Contains(line, _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UnknownShell_IsBadUsage() => Assert.Equal(ExitCodes.BadUsage, await RunAsync("completion", "tcsh"));
}
