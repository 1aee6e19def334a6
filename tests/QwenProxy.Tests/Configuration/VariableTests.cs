using QwenProxy.Configuration;

namespace QwenProxy.Tests.Configuration;

public sealed class VariableTests : IDisposable
{
    private readonly ConfigFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void NothingSet_GivesTheDefaults()
    {
        ProxySnapshot snapshot = _folder.LoadGood();
        Assert.Equal(("127.0.0.1", 8143, false), (snapshot.Host, snapshot.Port, snapshot.Debug));
        Assert.Equal(new PoolSnapshot(50, 50, 180), snapshot.Pool);
        Assert.Equal((300d, 900d, 45d),
            (snapshot.Timeouts.Request.TotalSeconds, snapshot.Timeouts.Streaming.TotalSeconds, snapshot.Timeouts.Idle.TotalSeconds));
        Assert.Equal((10, 4096), (snapshot.Breaker.Failures, snapshot.Limits.HoldBytes));
        Assert.Equal(Path.Combine(_folder.Home, ".local", "share", "qwen-proxy"), snapshot.Storage.DataFolder);
        Assert.Equal(Path.Combine(_folder.Home, ".qwen"), snapshot.Storage.QwenHome);
        Assert.Equal("https://chat.qwen.ai/", snapshot.Storage.OAuthBaseUrl.AbsoluteUri);
        Assert.Empty(snapshot.Accounts);
        Assert.Empty(snapshot.Clients);
        Assert.Null(snapshot.Timeouts.FirstToken);
        Assert.True(snapshot.Resume);
    }

    public static TheoryData<string, string, Func<object, object>, object> Effects => new()
    {
        { "PORT", "9000", s => Of(s).Port, 9000 },
        { "PORT", "0", s => Of(s).Port, 0 },
        { "HOST", "::1", s => Of(s).Host, "::1" },
        { "HOST", "[::1]", s => Of(s).Host, "::1" },
        { "HOST", "localhost", s => Of(s).Host, "localhost" },
        { "DEBUG", "true", s => Of(s).Debug, true },
        { "DEBUG", "1", s => Of(s).Debug, true },
        { "DEBUG", "FALSE", s => Of(s).Debug, false },
        { "DEBUG", "0", s => Of(s).Debug, false },
        { "MAX_IDLE_CONNS", "7", s => Of(s).Pool.MaxIdleConnections, 7 },
        { "MAX_IDLE_CONNS_PER_HOST", "8", s => Of(s).Pool.MaxIdleConnectionsPerHost, 8 },
        { "IDLE_CONN_TIMEOUT_SECONDS", "9", s => Of(s).Pool.IdleSeconds, 9 },
        { "REQUEST_TIMEOUT_SECONDS", "2.5", s => Of(s).Timeouts.Request.TotalSeconds, 2.5 },
        { "STREAMING_TIMEOUT_SECONDS", "12", s => Of(s).Timeouts.Streaming.TotalSeconds, 12d },
        { "READ_TIMEOUT_SECONDS", "1", s => Of(s).Timeouts.Idle.TotalSeconds, 1d },
        { "STREAMING_MAX_ERRORS", "3", s => Of(s).Breaker.Failures, 3 },
        { "STREAMING_BUFFER_SIZE", "128", s => Of(s).Limits.HoldBytes, 128 },
        { "QWEN_OAUTH_BASE_URL", "http://127.0.0.1:99/", s => Of(s).Storage.OAuthBaseUrl.AbsoluteUri, "http://127.0.0.1:99/" },
        { "QWEN_PROXY_KEYS", "k1, k2", s => Of(s).Clients.Length, 2 },
    };

    private static ProxySnapshot Of(object snapshot) => (ProxySnapshot)snapshot;

    [Theory]
    [MemberData(nameof(Effects))]
    public void Variable_HasItsEffect(string name, string value, Func<object, object> read, object expected)
    {
        _folder.Variables[name] = value;
        Assert.Equal(expected, read(_folder.LoadGood()));
    }

    [Fact]
    public void EmptyVariable_CountsAsNotSet()
    {
        foreach (Setting setting in SettingTable.All.Where(s => s.Variable is not null)) _folder.Variables[setting.Variable!] = "";
        _folder.Variables["QWEN_API_KEY"] = _folder.Variables["QWEN_PROXY_KEYS"] = _folder.Variables["QWEN_PROXY_CONFIG"] = "";
        Assert.Equal(8143, _folder.LoadGood().Port);
    }

    [Theory]
    [InlineData("~/data", "home/data")]
    [InlineData("data", "work/data")]
    [InlineData("~", "home")]
    public void FolderVariables_AreMadeAbsolute(string written, string meant)
    {
        _folder.Variables["QWEN_PROXY_DATA"] = _folder.Variables["QWEN_HOME"] = written;
        StorageSnapshot storage = _folder.LoadGood().Storage;
        Assert.Equal(Path.Combine(_folder.Root, meant), storage.DataFolder);
        Assert.Equal(Path.Combine(_folder.Root, meant), storage.QwenHome);
    }

    [Fact]
    public void XdgDataHome_MovesTheDataFolder()
    {
        _folder.Variables["XDG_DATA_HOME"] = "/xdg";
        Assert.Equal("/xdg/qwen-proxy", _folder.LoadGood().Storage.DataFolder);
    }

    [Theory]
    [InlineData("PORT", "http")]
    [InlineData("PORT", "65536")]
    [InlineData("PORT", "-1")]
    [InlineData("PORT", " 80")]
    [InlineData("HOST", "example.com")]
    [InlineData("DEBUG", "yes")]
    [InlineData("MAX_IDLE_CONNS", "0")]
    [InlineData("MAX_IDLE_CONNS_PER_HOST", "1.5")]
    [InlineData("IDLE_CONN_TIMEOUT_SECONDS", "3m")]
    [InlineData("REQUEST_TIMEOUT_SECONDS", "0")]
    [InlineData("STREAMING_TIMEOUT_SECONDS", "NaN")]
    [InlineData("READ_TIMEOUT_SECONDS", "86401")]
    [InlineData("STREAMING_MAX_ERRORS", "0")]
    [InlineData("STREAMING_BUFFER_SIZE", "4k")]
    [InlineData("QWEN_OAUTH_BASE_URL", "chat.qwen.ai")]
    [InlineData("QWEN_BASE_URL", "ftp://host/v1")]
    [InlineData("DASHSCOPE_BASE_URL", "host")]
    [InlineData("DASHSCOPE_REGION", "mars")]
    [InlineData("BAILIAN_CODING_PLAN_REGION", "us")]
    [InlineData("BAILIAN_TOKEN_PLAN_BASE_URL", "https://u:p@host/v1")]
    [InlineData("QWEN_PROXY_KEYS", " , ")]
    [InlineData("QWEN_PROXY_KEYS", "good,bad key")]
    [InlineData("QWEN_PROXY_CONFIG", "/nowhere/at/all.json")]
    [InlineData("QWEN_API_KEY", "key-without-address")]
    public void ValueThatDoesNotParse_IsAFaultThatNamesTheVariable(string name, string value)
    {
        _folder.Variables[name] = value;
        Assert.StartsWith(name + ": ", _folder.OnlyFault(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("QWEN_BASE_URL")]
    [InlineData("QWEN_OAUTH_BASE_URL")]
    [InlineData("DASHSCOPE_BASE_URL")]
    public void UrlWithAPassword_IsRefusedWithoutRepeatingIt(string name)
    {
        _folder.Variables[name] = "https://user:canary@host/v1";
        Assert.DoesNotContain("canary", _folder.OnlyFault(), StringComparison.Ordinal);
    }

    [Fact]
    public void FaultyVariable_IsAFaultEvenWhereAFileOverridesNothingOfIt()
    {
        _folder.Variables["DASHSCOPE_REGION"] = "mars";
        Assert.StartsWith("DASHSCOPE_REGION: ",
            _folder.OnlyFault("""{ "accounts": [ { "name": "a", "baseUrl": "http://h/v1" } ] }"""), StringComparison.Ordinal);
    }

    [Fact]
    public void ClientKeys_AreSecretsWithNames()
    {
        _folder.Variables["QWEN_PROXY_KEYS"] = "first,second";
        ProxySnapshot snapshot = _folder.LoadGood("""{ "clients": [ { "name": "alice", "key": "third", "admin": true } ] }""");
        Assert.Equal(["alice", "key1", "key2"], snapshot.Clients.Select(c => c.Name));
        Assert.Equal([true, false, false], snapshot.Clients.Select(c => c.IsAdmin));
        Assert.True(snapshot.Clients[1].Key.Matches("first"));
    }
}
