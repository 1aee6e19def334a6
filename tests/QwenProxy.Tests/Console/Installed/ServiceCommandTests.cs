using QwenProxy.Console;
using QwenProxy.Console.Installed;
using QwenProxy.Observability;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console.Installed;

/// <summary>The file of the service and what is said about it. Whether a manager answers depends on the machine, so no test asks for that.</summary>
public sealed class ServiceCommandTests : IDisposable
{
    private readonly TemporaryFolder _home = new();
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    private string File => _home.Of(".config", "systemd", "user", "qwen-proxy.service");

    public void Dispose() => _home.Dispose();

    private ServiceHome Home(string path) => ServiceHome.OfThisPerson(
        new ProgramVersion("1.2.3", "", ".NET 10.0.1", "native", "linux-x64", path), name => name == "HOME" ? _home.Path : null);

    private Task<int> RunAsync(ServiceAction action, string path = "/home/a/.local/lib/qwen-proxy/qwen-proxy") =>
        new ServiceCommand(new Terminal(_out, _error), Home(path)).RunAsync(new(action), TestContext.Current.CancellationToken);

    [Fact]
    public async Task Install_WritesTheUnitForThisProgram()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "systemd is Linux's");

        await RunAsync(ServiceAction.Install);

        string unit = await System.IO.File.ReadAllTextAsync(File, TestContext.Current.CancellationToken);
        Assert.Contains($"ExecStart=\"{Environment.ProcessPath}\" serve", unit, StringComparison.Ordinal);
        Assert.Contains("Type=notify", unit, StringComparison.Ordinal);
        Assert.Contains("MemoryDenyWriteExecute=yes", unit, StringComparison.Ordinal);
        Assert.DoesNotContain("@", unit.Replace("%E", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task InstallFromDotnetRun_IsRefusedAndNothingIsWritten()
    {
        Assert.Equal(ExitCodes.Failed, await RunAsync(ServiceAction.Install, "/home/a/artifacts/qwen-proxy.dll"));

        Assert.Contains("Install it first", _error.ToString(), StringComparison.Ordinal);
        Assert.False(System.IO.File.Exists(File));
    }

    [Fact]
    public async Task SomebodyElsesUnit_IsLeftAlone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "systemd is Linux's");
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        await System.IO.File.WriteAllTextAsync(File, "[Unit]\nDescription=mine\n", TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Failed, await RunAsync(ServiceAction.Install));
        Assert.Equal(ExitCodes.Failed, await RunAsync(ServiceAction.Uninstall));

        Assert.Equal("[Unit]\nDescription=mine\n", await System.IO.File.ReadAllTextAsync(File, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Uninstall_TakesTheFileAway()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "systemd is Linux's");
        await RunAsync(ServiceAction.Install);

        Assert.Equal(ExitCodes.Done, await RunAsync(ServiceAction.Uninstall));

        Assert.False(System.IO.File.Exists(File));
    }

    [Fact]
    public async Task NotInstalled_IsExit2()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "systemd is Linux's");

        Assert.Equal(ExitCodes.NotFound, await RunAsync(ServiceAction.Status));
        Assert.Equal(ExitCodes.NotFound, await RunAsync(ServiceAction.Uninstall));

        Assert.Equal("not installed", _out.ToString().Trim());
    }

    [Theory]
    [InlineData("/opt/a b/qwen-proxy", "\"/opt/a b/qwen-proxy\" serve")]
    [InlineData("/opt/100%/qwen-proxy", "\"/opt/100%%/qwen-proxy\" serve")]
    [InlineData("/opt/$HOME/qwen-proxy", "\"/opt/$$HOME/qwen-proxy\" serve")]
    public void Path_IsQuotedForSystemd(string path, string line)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "systemd is Linux's");

        Assert.Contains("ExecStart=" + line, Home("/x/qwen-proxy").Text(path), StringComparison.Ordinal);
    }
}
