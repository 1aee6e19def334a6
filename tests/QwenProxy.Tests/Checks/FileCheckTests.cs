using System.Runtime.Versioning;
using QwenProxy.Checks;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Checks;

/// <summary>Modes of the files that hold keys; tokens' files are checked the same way.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class FileCheckTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly DoctorRun _doctor = new();
    private readonly RawUpstream _upstream = RawUpstream.Always(RawUpstream.Json(200, """{"data":[{"id":"m"}]}"""));

    public void Dispose()
    {
        _upstream.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _doctor.Dispose();
    }

    [Theory]
    [InlineData(Private, "ok")]
    [InlineData(UnixFileMode.UserRead, "ok")]
    [InlineData(Private | UnixFileMode.OtherRead, "fault")]
    [InlineData(Private | UnixFileMode.GroupRead, "fault")]
    [InlineData(Private | UnixFileMode.GroupWrite, "fault")]
    public async Task ConfigurationWithAKeyInIt_IsForItsOwnerOnly(UnixFileMode mode, string result)
    {
        _doctor.Configure(_upstream.BaseUrl);
        File.SetUnixFileMode(_doctor.Folder.ConfigFile, mode);
        (string gotResult, string says, string? fix) = await _doctor.CheckAsync("file", exitCode: result == "ok" ? 0 : 2);
        Assert.Equal(result, gotResult);
        Assert.Contains(Convert.ToString((int)mode, 8), says, StringComparison.Ordinal);
        Assert.Equal(result == "ok" ? null : $"chmod 600 {_doctor.Folder.ConfigFile}", fix);
    }

    [Fact]
    public async Task FileOfAKey_IsTheOneLookedAt()
    {
        string file = _doctor.Folder.Write("my key's", "the-right-key\n");
        File.SetUnixFileMode(file, Private | UnixFileMode.OtherRead);
        _doctor.Configure($$"""{ "accounts": [ { "name": "up", "baseUrl": "{{_upstream.BaseUrl}}", "apiKey": "file:my key's" } ] }""");
        File.SetUnixFileMode(_doctor.Folder.ConfigFile, Private | UnixFileMode.OtherRead);
        (string result, _, string? fix) = await _doctor.CheckAsync("file", exitCode: 2);
        Assert.Equal(("fault", $"chmod 600 '{file.Replace("'", "'\\''", StringComparison.Ordinal)}'"), (result, fix));
    }

    [Fact]
    public async Task FileThatAccountsShare_HasItsFaultToldOnce()
    {
        string file = _doctor.Folder.Write("key", "the-right-key\n");
        File.SetUnixFileMode(file, Private | UnixFileMode.OtherRead);
        string Account(string name, string key) => $$"""{ "name": "{{name}}", "baseUrl": "{{_upstream.BaseUrl}}", "apiKey": "file:{{key}}" }""";
        _doctor.Configure($$"""{ "accounts": [ {{Account("a", "key")}}, {{Account("b", file)}} ] }""");
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        var found = new[] { _doctor.Find("file", "a"), _doctor.Find("file", "b") }.OrderBy(f => f.Result, StringComparer.Ordinal).ToArray();
        // Accounts are checked side by side: either may be the first.
        Assert.Equal([("fault", $"chmod 600 {file}"), ("note", null)], found.Select(f => (f.Result, f.Fix)));
        Assert.Matches($"{file} is that of [ab], where it is checked", found[1].Says);
    }

    [Fact]
    public async Task FileThatAVariableNames_IsLookedAtToo()
    {
        string file = _doctor.Folder.Write("key", "the-right-key\n");
        File.SetUnixFileMode(file, Private | UnixFileMode.OtherRead);
        _doctor.Folder.Variables["QWEN_BASE_URL"] = _upstream.BaseUrl.AbsoluteUri;
        _doctor.Folder.Variables["QWEN_API_KEY"] = "file:key";
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        Assert.Equal(("fault", $"chmod 600 {file}"), (_doctor.Find("file", "env").Result, _doctor.Find("file", "env").Fix));
    }

    [Fact]
    public async Task KeyFromTheEnvironment_HasNoFileToCheck()
    {
        _doctor.Folder.Variables["MY_KEY"] = "the-right-key";
        _doctor.Configure($$"""{ "accounts": [ { "name": "up", "baseUrl": "{{_upstream.BaseUrl}}", "apiKey": "env:MY_KEY" } ] }""");
        File.SetUnixFileMode(_doctor.Folder.ConfigFile, Private | UnixFileMode.OtherRead);
        Assert.Equal(0, await _doctor.RunAsync());
        Assert.DoesNotContain(_doctor.Lines, l => l.Contains(" file ", StringComparison.Ordinal));
    }

    [Fact]
    public void FolderThatOthersCanWrite_IsAFaultUnlessItIsSticky()
    {
        using TemporaryFolder folder = new();
        string file = folder.Of("creds.json");
        File.WriteAllText(file, "{}");
        File.SetUnixFileMode(file, Private);
        Assert.Equal(CheckResult.Ok, FileChecks.Check(file, "").Result);
        const UnixFileMode open = Private | UnixFileMode.UserExecute | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        File.SetUnixFileMode(folder.Path, open);
        Finding found = FileChecks.Check(file, "");
        Assert.Equal((CheckResult.Fault, $"chmod go-w {folder.Path}"), (found.Result, found.Fix));
        File.SetUnixFileMode(folder.Path, open | UnixFileMode.StickyBit);
        Assert.Equal(CheckResult.Ok, FileChecks.Check(file, "").Result);
    }

    [Fact]
    public void LinkToAFile_IsJudgedByTheFile()
    {
        using TemporaryFolder folder = new();
        string file = folder.Of("real.json");
        File.WriteAllText(file, "{}");
        File.SetUnixFileMode(file, Private | UnixFileMode.OtherRead);
        File.CreateSymbolicLink(folder.Of("link.json"), file);
        Assert.Equal($"chmod 600 {file}", FileChecks.Check(folder.Of("link.json"), "").Fix);
    }

    [Fact]
    public void MissingFile_IsAFaultWithItsOwnFix()
    {
        using TemporaryFolder folder = new();
        Finding found = FileChecks.Check(folder.Of("none"), "make it");
        Assert.Equal((CheckResult.Fault, "make it"), (found.Result, found.Fix));
    }
}
