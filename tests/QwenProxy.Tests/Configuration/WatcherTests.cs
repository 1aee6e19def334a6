using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Testing;

namespace QwenProxy.Tests.Configuration;

public sealed class WatcherTests : IDisposable
{
    private readonly ConfigFolder _folder = new();
    private readonly FakeClock _clock = new();
    private readonly RecordingLogger _logger = new();
    private readonly List<ProxySnapshot> _changes = [];

    public void Dispose() => _folder.Dispose();

    private ConfigurationWatcher Watch(string? file)
    {
        ConfigurationResult loaded = _folder.Load(file);
        Assert.Empty(loaded.Faults);
        ConfigurationWatcher watcher = new(_folder.Sources, loaded, _clock, _logger);
        watcher.Changed += _changes.Add;
        return watcher;
    }

    private void Pass(int seconds = 3) => _clock.Advance(TimeSpan.FromSeconds(seconds));

    [Fact]
    public void NothingChanged_LoadsNothing()
    {
        using ConfigurationWatcher watcher = Watch("{}");
        Pass(60);
        Assert.Empty(_changes);
        Assert.Empty(_logger.Lines);
    }

    [Fact]
    public void GoodEdit_IsTakenUpWithinThreeSeconds()
    {
        using ConfigurationWatcher watcher = Watch("""{ "retry": { "maxAttempts": 1 } }""");
        File.WriteAllText(_folder.ConfigFile, """{ "retry": { "maxAttempts": 2 } }""");
        Pass();
        Assert.Equal(2, watcher.Current.Retry.MaxAttempts);
        Assert.Same(watcher.Current, Assert.Single(_changes));
        Assert.Equal("2", Assert.Single(watcher.Values, v => v.Path == "retry.maxAttempts").Value);
        Pass(60);
        Assert.Single(_changes);
    }

    [Fact]
    public void EditOfTheSameLengthAndTime_IsNoticed()
    {
        using ConfigurationWatcher watcher = Watch("""{ "retry": { "maxAttempts": 1 } }""");
        DateTime written = File.GetLastWriteTimeUtc(_folder.ConfigFile);
        File.WriteAllText(_folder.ConfigFile, """{ "retry": { "maxAttempts": 2 } }""");
        File.SetLastWriteTimeUtc(_folder.ConfigFile, written);
        Pass();
        Assert.Equal(2, watcher.Current.Retry.MaxAttempts);
    }

    [Fact]
    public void EditBetweenLoadAndWatch_IsNoticed()
    {
        ConfigurationResult loaded = _folder.Load("""{ "retry": { "maxAttempts": 1 } }""");
        File.WriteAllText(_folder.ConfigFile, """{ "retry": { "maxAttempts": 2 } }""");
        using ConfigurationWatcher watcher = new(_folder.Sources, loaded, _clock, _logger);
        Pass();
        Assert.Equal(2, watcher.Current.Retry.MaxAttempts);
    }

    [Fact]
    public void FileReplacedByRename_IsNoticed()
    {
        using ConfigurationWatcher watcher = Watch("""{ "retry": { "maxAttempts": 1 } }""");
        File.Move(_folder.Write("new.json", """{ "retry": { "maxAttempts": 3 } }"""), _folder.ConfigFile, overwrite: true);
        Pass();
        Assert.Equal(3, watcher.Current.Retry.MaxAttempts);
    }

    [Fact]
    public void BadEdit_KeepsTheLastGoodOneAndWarnsOnce()
    {
        using ConfigurationWatcher watcher = Watch("""{ "retry": { "maxAttempts": 1 } }""");
        File.WriteAllText(_folder.ConfigFile, """{ "retry": { "maxAttempts": 0 }, "prot": 1 }""");
        Pass(60);
        Assert.Equal(1, watcher.Current.Retry.MaxAttempts);
        Assert.Empty(_changes);
        string warning = Assert.Single(_logger.At(LogLevel.Warning));
        Assert.Contains("2 faults", warning, StringComparison.Ordinal);
        Assert.Contains("retry.maxAttempts is 0", warning, StringComparison.Ordinal);
        Assert.Contains("Did you mean \"port\"?", warning, StringComparison.Ordinal);
        File.WriteAllText(_folder.ConfigFile, """{ "retry": { "maxAttempts": 5 } }""");
        Pass();
        Assert.Equal(5, watcher.Current.Retry.MaxAttempts);
    }

    [Fact]
    public void BadEditUndone_IsTakenUpWithoutAnotherWarning()
    {
        const string good = """{ "retry": { "maxAttempts": 1 } }""";
        using ConfigurationWatcher watcher = Watch(good);
        File.WriteAllText(_folder.ConfigFile, "{ half");
        Pass();
        File.WriteAllText(_folder.ConfigFile, good);
        Pass();
        Assert.Single(_logger.At(LogLevel.Warning));
        Assert.Equal(1, Assert.Single(_changes).Retry.MaxAttempts);
    }

    [Fact]
    public void FileThatStillGrows_IsLeftUntilItStands()
    {
        using ConfigurationWatcher watcher = Watch("{}");
        for (int i = 1; i <= 5; i++)
        {
            File.WriteAllText(_folder.ConfigFile, "{" + new string(' ', i));
            Pass(1);
        }

        Assert.Empty(_logger.Lines);
        File.WriteAllText(_folder.ConfigFile, """{ "debug": true }""");
        Pass();
        Assert.True(watcher.Current.Debug);
        Assert.Empty(_logger.At(LogLevel.Warning));
    }

    [Fact]
    public void ChangedKeyFile_IsTakenUp()
    {
        _folder.Write("key", "old\n");
        using ConfigurationWatcher watcher = Watch("""{ "accounts": [ { "name": "a", "baseUrl": "http://h/v1", "apiKey": "file:key" } ] }""");
        _folder.Write("key", "new\n");
        Pass();
        Assert.Equal("new", watcher.Current.Accounts[0].ApiKey!.Reveal());
    }

    [Fact]
    public void KeyFileThatAppearsAfterABadEdit_MakesItGood()
    {
        using ConfigurationWatcher watcher = Watch("{}");
        File.WriteAllText(_folder.ConfigFile, """{ "accounts": [ { "name": "a", "baseUrl": "http://h/v1", "apiKey": "file:key" } ] }""");
        Pass();
        Assert.Empty(watcher.Current.Accounts);
        _folder.Write("key", "k");
        Pass();
        Assert.Equal("k", Assert.Single(watcher.Current.Accounts).ApiKey!.Reveal());
    }

    [Fact]
    public void NewCredentialsFile_BecomesAnAccount()
    {
        using ConfigurationWatcher watcher = Watch(null);
        Assert.Empty(watcher.Current.Accounts);
        Directory.CreateDirectory(_folder.QwenHome);
        File.WriteAllText(Path.Combine(_folder.QwenHome, "qwenproxy_creds.json"), "{}");
        Pass();
        Assert.Equal("qwen", Assert.Single(watcher.Current.Accounts).Name);
        File.WriteAllText(Path.Combine(_folder.QwenHome, "qwenproxy_creds.json"), """{ "access_token": "refreshed" }""");
        Pass();
        Assert.Single(_changes);
    }

    [Fact]
    public void FileThatAppears_IsFound()
    {
        using ConfigurationWatcher watcher = Watch(null);
        File.WriteAllText(_folder.ConfigFile, """{ "retry": { "maxAttempts": 9 } }""");
        Pass();
        Assert.Equal(9, watcher.Current.Retry.MaxAttempts);
    }

    [Fact]
    public void NewAddress_WarnsThatARestartIsNeeded()
    {
        using ConfigurationWatcher watcher = Watch("""{ "port": 9001 }""");
        File.WriteAllText(_folder.ConfigFile, """{ "port": 9002 }""");
        Pass();
        Assert.Contains("127.0.0.1:9001 until it is restarted", Assert.Single(_logger.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    [Fact]
    public void ListenerThatThrows_IsLoggedAndDoesNotStopTheWatch()
    {
        using ConfigurationWatcher watcher = Watch("{}");
        watcher.Changed += _ => throw new InvalidOperationException("listener");
        File.WriteAllText(_folder.ConfigFile, """{ "debug": true }""");
        Pass();
        Assert.Single(_logger.At(LogLevel.Error));
        File.WriteAllText(_folder.ConfigFile, """{ "debug": false }""");
        Pass();
        Assert.False(watcher.Current.Debug);
    }

    [Fact]
    public void DisposedWatcher_LooksNoMore()
    {
        ConfigurationWatcher watcher = Watch("{}");
        watcher.Dispose();
        File.WriteAllText(_folder.ConfigFile, """{ "debug": true }""");
        Pass();
        Assert.False(watcher.Current.Debug);
        Assert.Equal(0, _clock.ArmedTimers);
    }
}
