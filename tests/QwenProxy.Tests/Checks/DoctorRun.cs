using System.Text.Json;
using QwenProxy.Console;
using QwenProxy.Tests.Configuration;

namespace QwenProxy.Tests.Checks;

/// <summary>The command <c>doctor</c> over a configuration of the test's own, and what it printed.</summary>
internal sealed class DoctorRun : IDisposable
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    public ConfigFolder Folder { get; } = new();

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public string Out => _out.ToString();

    public string Error => _error.ToString();

    public string[] Lines => Out.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Writes the file privately, as a careful owner does, so that its mode is no finding.</summary>
    public void Configure(string json)
    {
        File.WriteAllText(Folder.ConfigFile, json);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(Folder.ConfigFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    /// <summary>One account with an API key.</summary>
    public void Configure(Uri baseUrl, string more = "") =>
        Configure($$"""{ "accounts": [ { "name": "up", "baseUrl": "{{baseUrl.AbsoluteUri}}", "apiKey": "the-right-key"{{more}} } ] }""");

    public Task<int> RunAsync(string line = "doctor")
    {
        Terminal terminal = new(_out, TextWriter.Synchronized(_error));
        CommandActions actions = new() { Doctor = new DoctorCommand(terminal, flags => Folder.Sources with { Flags = flags }, Time).RunAsync };
        return CommandLine.RunAsync(line.Split(' '), actions, terminal, TestContext.Current.CancellationToken);
    }

    /// <summary>Runs it for machines and finds one check; exactly one of that name has to be there.</summary>
    public async Task<(string Result, string Says, string? Fix)> CheckAsync(string check, int exitCode, string line = "doctor --json")
    {
        Assert.Equal(exitCode, await RunAsync(line));
        return Find(check);
    }

    public (string Result, string Says, string? Fix) Find(string check, string account = "up")
    {
        using JsonDocument json = JsonDocument.Parse(Out);
        JsonElement found = json.RootElement.GetProperty("accounts").EnumerateArray().Single(a => a.GetProperty("name").GetString() == account)
            .GetProperty("checks").EnumerateArray().Single(c => c.GetProperty("check").GetString() == check);
        return (found.GetProperty("result").GetString()!, found.GetProperty("says").GetString()!, found.GetProperty("fix").GetString());
    }

    public void Dispose() => Folder.Dispose();
}
