using System.Text.Json;
using QwenProxy.Console;
using QwenProxy.Console.Installed;
using QwenProxy.Observability;

namespace QwenProxy.Tests.Console.Installed;

public sealed class VersionCommandTests
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    private Terminal Screen => new(_out, _error);

    private static ProgramVersion At(string path) => new("1.2.3", new string('a', 40), ".NET 10.0.1", "native", "linux-x64", path);

    [Fact]
    public void ThisProgram_TellsVersionCommitRuntimeAndForm()
    {
        ProgramVersion program = ProgramVersion.OfThis();

        Assert.Matches(@"^\d+\.\d+\.\d+", program.Version);
        Assert.StartsWith(".NET 10.", program.Runtime, StringComparison.Ordinal);
        Assert.Equal("framework-dependent", program.Form);
    }

    [Fact]
    public async Task Json_HasOneValueEach()
    {
        await new VersionCommand(Screen, At("/usr/lib/qwen-proxy/qwen-proxy")).RunAsync(new(true), TestContext.Current.CancellationToken);

        using JsonDocument json = JsonDocument.Parse(_out.ToString());
        Assert.Equal(["version", "commit", "runtime", "form", "platform", "path"], json.RootElement.EnumerateObject().Select(p => p.Name));
        Assert.Equal("native", json.RootElement.GetProperty("form").GetString());
    }

    [Fact]
    public async Task Line_ShowsWhatABugReportNeeds()
    {
        await new VersionCommand(Screen, At("")).RunAsync(new(false), TestContext.Current.CancellationToken);

        Assert.Equal("qwen-proxy 1.2.3 (.NET 10.0.1, native, linux-x64, commit aaaaaaaaaaaa)", _out.ToString().Trim());
    }

    [Theory]
    [InlineData("/usr/lib/qwen-proxy/qwen-proxy", nameof(InstallWay.DebianPackage))]
    [InlineData("/home/a/.local/lib/qwen-proxy/qwen-proxy", nameof(InstallWay.InstallScript))]
    [InlineData("/home/a/p/node_modules/@qwen-proxy/linux-x64/qwen-proxy", nameof(InstallWay.Npm))]
    [InlineData(@"C:\Users\a\.dotnet\tools\.store\qwenproxy\1.0.0\qwen-proxy.dll", nameof(InstallWay.DotnetTool))]
    [InlineData("/opt/qwen-proxy/qwen-proxy", nameof(InstallWay.Container))]
    [InlineData("/home/a/qwen-proxy", nameof(InstallWay.ByHand))]
    [InlineData("", nameof(InstallWay.ByHand))]
    public void Place_TellsWhoInstalledIt(string path, string way) => Assert.Equal(way, At(path).InstalledBy().ToString());
}
