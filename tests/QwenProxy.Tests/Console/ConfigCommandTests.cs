using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Tests.Configuration;

namespace QwenProxy.Tests.Console;

public sealed class ConfigCommandTests : IDisposable
{
    private readonly ConfigFolder _folder = new();
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    public void Dispose() => _folder.Dispose();

    private Task<int> RunAsync(string line) => CommandLine.RunAsync(
        line.Split(' '),
        new CommandActions { Config = new ConfigCommand(new Terminal(_out, _error), flags => _folder.Sources with { Flags = flags }).RunAsync },
        new Terminal(_out, _error),
        TestContext.Current.CancellationToken);

    [Fact]
    public async Task Table_ShowsValuesWithOriginAndNoSecret()
    {
        _folder.Variables["DASHSCOPE_API_KEY"] = "canary";
        _folder.Variables["HOST"] = "::1";
        Assert.Equal(0, await RunAsync("config --port 9"));
        string[] lines = _out.ToString().Split(Environment.NewLine);
        Assert.Matches("^VALUE +IS +FROM$", lines[0]);
        Assert.Contains(lines, l => l.StartsWith("port ", StringComparison.Ordinal) && l.EndsWith("flag --port", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("host ", StringComparison.Ordinal) && l.EndsWith("environment HOST", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("accounts.dashscope.apiKey", StringComparison.Ordinal)
            && l.Contains("***", StringComparison.Ordinal));
        Assert.DoesNotContain("canary", _out.ToString() + _error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Faults_GoToStderrOneALineAndExit64()
    {
        _folder.Variables["PORT"] = "x";
        _folder.Variables["DEBUG"] = "y";
        Assert.Equal(64, await RunAsync("config"));
        Assert.Equal(2, _error.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Empty(_out.ToString());
    }

    [Fact]
    public async Task Json_HoldsValuesAndFaults()
    {
        _folder.Variables["PORT"] = "x";
        File.WriteAllText(_folder.ConfigFile, """{ "storage": { "dataFolder": "/数据" } }""");
        Assert.Equal(64, await RunAsync("config --json"));
        using JsonDocument json = JsonDocument.Parse(_out.ToString());
        Assert.Equal(_folder.ConfigFile, json.RootElement.GetProperty("configFile").GetString());
        Assert.Equal("PORT", json.RootElement.GetProperty("faults")[0].GetProperty("origin").GetString());
        JsonElement folder =
            json.RootElement.GetProperty("values").EnumerateArray().Single(v => v.GetProperty("path").GetString() == "storage.dataFolder");
        Assert.Equal("/数据", folder.GetProperty("value").GetString());
        Assert.Equal(_folder.ConfigFile + ":1", folder.GetProperty("origin").GetString());
        Assert.Contains("/数据", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schema_IsPrintedAlone()
    {
        _folder.Variables["PORT"] = "x";
        Assert.Equal(0, await RunAsync("config --schema"));
        using JsonDocument json = JsonDocument.Parse(_out.ToString());
        Assert.Equal("Qwen Proxy configuration", json.RootElement.GetProperty("title").GetString());
        Assert.Empty(_error.ToString());
    }
}
