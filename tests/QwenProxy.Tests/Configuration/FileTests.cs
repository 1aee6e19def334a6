using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Requests;

namespace QwenProxy.Tests.Configuration;

public sealed class FileTests : IDisposable
{
    private readonly ConfigFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FlagsBeatEnvironmentBeatsFileBeatsDefault()
    {
        const string file = """{ "port": 1001, "host": "127.0.0.2", "debug": true }""";
        Assert.Equal(1001, _folder.LoadGood(file).Port);
        _folder.Variables["PORT"] = "1002";
        Assert.Equal(1002, _folder.LoadGood().Port);
        _folder.Flags = new ConfigurationFlags { Port = "1003", Host = "127.0.0.3", Debug = true };
        _folder.Variables["DEBUG"] = "false";
        ProxySnapshot snapshot = _folder.LoadGood();
        Assert.Equal((1003, "127.0.0.3", true), (snapshot.Port, snapshot.Host, snapshot.Debug));
    }

    [Fact]
    public void Values_TellWhereTheyCameFrom()
    {
        _folder.Variables["READ_TIMEOUT_SECONDS"] = "5";
        _folder.Variables["PLAN_KEY"] = "canary-key";
        _folder.Flags = new ConfigurationFlags { Port = "1003" };
        ConfigurationResult result = _folder.Load("""
            {
              // a comment
              "host": "127.0.0.2",
              "accounts": [
                { "name": "plan", "baseUrl": "https://coding.dashscope.aliyuncs.com/v1",
                  "apiKey": "env:PLAN_KEY", "headers": { "X-A": "canary-header" } },
              ],
              "clients": [ { "name": "alice", "key": "canary-client" } ]
            }
            """);
        Assert.Equal(new EffectiveValue("port", "1003", "flag --port"), Value(result, "port"));
        Assert.Equal(new EffectiveValue("host", "127.0.0.2", _folder.ConfigFile + ":3"), Value(result, "host"));
        Assert.Equal(new EffectiveValue("timeouts.idleSeconds", "5", "environment READ_TIMEOUT_SECONDS"), Value(result, "timeouts.idleSeconds"));
        Assert.Equal(new EffectiveValue("timeouts.firstTokenSeconds", "auto", "default"), Value(result, "timeouts.firstTokenSeconds"));
        Assert.Equal(new EffectiveValue("accounts.plan.apiKey", "***", _folder.ConfigFile + ":6 (env:PLAN_KEY)"),
            Value(result, "accounts.plan.apiKey"));
        Assert.Equal(new EffectiveValue("accounts.plan.profile", "coding-plan", "default"), Value(result, "accounts.plan.profile"));
        Assert.DoesNotContain(result.Values, v => v.ToString().Contains("canary", StringComparison.Ordinal));
    }

    private static EffectiveValue Value(ConfigurationResult result, string path) => Assert.Single(result.Values, v => v.Path == path);

    [Fact]
    public void SearchOrder_IsFlagVariableFolderHome()
    {
        string user = Path.Combine(_folder.Home, ".config", "qwen-proxy", "config.json");
        Directory.CreateDirectory(Path.GetDirectoryName(user)!);
        File.WriteAllText(user, """{ "port": 1 }""");
        Assert.Equal(1, _folder.LoadGood().Port);
        _folder.Write("xdg/qwen-proxy/config.json", """{ "port": 2 }""");
        _folder.Variables["XDG_CONFIG_HOME"] = Path.Combine(_folder.Work, "xdg");
        Assert.Equal(2, _folder.LoadGood().Port);
        Assert.Equal(3, _folder.LoadGood("""{ "port": 3 }""").Port);
        _folder.Write("four.json", """{ "port": 4 }""");
        _folder.Variables["QWEN_PROXY_CONFIG"] = "four.json";
        Assert.Equal(4, _folder.LoadGood().Port);
        File.WriteAllText(Path.Combine(_folder.Home, "five.json"), """{ "port": 5 }""");
        _folder.Flags = new ConfigurationFlags { ConfigFile = "~/five.json" };
        Assert.Equal(5, _folder.LoadGood().Port);
    }

    [Theory]
    [InlineData("missing.json", "does not exist")]
    [InlineData(".", "is a folder")]
    public void FileAskedForByFlag_MustBeThere(string path, string why)
    {
        _folder.Flags = new ConfigurationFlags { ConfigFile = path };
        string fault = _folder.OnlyFault();
        Assert.StartsWith("--config: ", fault, StringComparison.Ordinal);
        Assert.Contains(why, fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Accounts_AreReadWhole()
    {
        _folder.Variables["PLAN_KEY"] = "k-env";
        File.WriteAllText(Path.Combine(_folder.Home, "ds"), "k-file\r\n");
        _folder.Write("key.txt", "k-relative\n");
        ProxySnapshot snapshot = _folder.LoadGood("""
            { "accounts": [
              { "name": "plan", "baseUrl": "https://coding-intl.dashscope.aliyuncs.com/v1/", "apiKey": "env:PLAN_KEY", "priority": 1 },
              { "name": "paygo", "baseUrl": "https://h/v1", "apiKey": "file:~/ds",
                  "headers": { "User-Agent": "My Tool/1", "X-Key": "env:PLAN_KEY" } },
              { "name": "rel", "baseUrl": "http://h/v1", "apiKey": "file:key.txt", "profile": "vllm", "models": ["a", "b"], "native": false },
              { "name": "me", "kind": "qwen-oauth", "credentials": "creds/me.json" },
              { "name": "you", "kind": "qwen-oauth" },
              { "name": "off", "baseUrl": "http://h/v1", "apiKey": "literal", "disabled": true } ] }
            """);
        Assert.Equal(["plan", "paygo", "rel", "me", "you"], snapshot.Accounts.Select(a => a.Name));
        Assert.Equal(["k-env", "k-file", "k-relative", null, null], snapshot.Accounts.Select(a => a.ApiKey?.Reveal()));
        Assert.Equal(["coding-plan", "generic", "vllm", "qwen-portal", "qwen-portal"], snapshot.Accounts.Select(a => a.Profile.Name));
        Assert.Equal([1, 0, 0, 0, 0], snapshot.Accounts.Select(a => a.Priority));
        Assert.Equal([new("User-Agent", "My Tool/1"), new("X-Key", "k-env")], snapshot.Accounts[1].Headers);
        Assert.Equal(["a", "b"], snapshot.Accounts[2].Models);
        Assert.Equal([NativeMode.Auto, NativeMode.Auto, NativeMode.Never, NativeMode.Auto, NativeMode.Auto], snapshot.Accounts.Select(a => a.Native));
        Assert.Equal(Path.Combine(_folder.Work, "creds", "me.json"), snapshot.Accounts[3].CredentialsPath);
        Assert.Equal(Path.Combine(_folder.QwenHome, "qwenproxy_creds_you.json"), snapshot.Accounts[4].CredentialsPath);
        Assert.Equal("off", Assert.Single(snapshot.DisabledAccounts).Name);
        Assert.All(snapshot.Accounts.Where(a => a.Kind == AccountKind.ApiKey), a => Assert.False(a.BaseUrl!.AbsoluteUri.EndsWith('/')));
    }

    [Fact]
    public void EveryOtherSection_IsRead()
    {
        ProxySnapshot s = _folder.LoadGood("""
            { "models": { "aliases": { "gpt-4o": "plus", "*": "max" }, "fallbacks": { "max": ["plus", "flash"] }, "thinking": { "fl*": "off", "plus": "on" } },
              "repair": { "stutter": "safe", "toolCalls": "observe", "thinkTags": "off", "loopGuard": "on" }, "resume": "off",
              "timeouts": { "connectSeconds": 0.5, "firstTokenSeconds": 7, "idleSeconds": 2, "keepAliveSeconds": 3, "requestSeconds": 4,
                            "streamingSeconds": 5, "drainSeconds": 0 },
              "retry": { "maxAttempts": 1, "maxWaitSeconds": 0.25, "hedgeSeconds": 2.5 }, "breaker": { "failures": 2, "openSeconds": 1.5 },
              "pool": { "maxIdleConnections": 1, "maxIdleConnectionsPerHost": 2, "idleSeconds": 3 },
              "limits": { "bodyBytes": 2048, "eventBytes": 4096, "headerBytes": 8192, "concurrentRequests": 9, "holdBytes": 16 },
              "storage": { "dataFolder": "d", "qwenHome": "~/q", "logFile": true }, "capture": { "streams": 3, "maxBytes": 5000000000, "redact": true },
              "quirks": { "a-rule": "off", "b-rule": "on" }, "oauthBaseUrl": "http://127.0.0.1:7", "allowedOAuthHosts": ["Portal.Example.com"] }
            """);
        Assert.Equal([new("gpt-4o", "plus"), new("*", "max")], s.Models.Aliases);
        Assert.Equal("plus", s.Models.AliasTable.Resolve("gpt-4o"));
        Assert.Equal(["plus", "flash"], s.Models.Fallbacks["max"]);
        Assert.Equal([ThinkingPolicy.On, ThinkingPolicy.Off, ThinkingPolicy.Client], new[] { "gpt-4o", "flash", "other" }.Select(s.Models.ThinkingOf));
        Assert.Equal(ThinkingPolicy.Off, _folder.LoadGood("""{ "models": { "thinking": "off" } }""").Models.ThinkingOf("any"));
        Assert.Equal((StutterMode.Safe, SwitchMode.Observe, SwitchMode.Off, SwitchMode.On),
            (s.Repair.Stutter, s.Repair.ToolCalls, s.Repair.ThinkTags, s.Repair.LoopGuard));
        Assert.False(s.Resume);
        TimeoutsSnapshot t = s.Timeouts;
        double?[] seconds =
            [.. new TimeSpan?[] { t.Connect, t.FirstToken, t.Idle, t.KeepAlive, t.Request, t.Streaming, t.Drain }.Select(x => x?.TotalSeconds)];
        Assert.Equal([0.5, 7, 2, 3, 4, 5, 0], seconds);
        Assert.Equal(new RetrySnapshot(1, 0.25, 2.5), s.Retry);
        Assert.Equal(new BreakerSnapshot(2, 1.5), s.Breaker);
        Assert.Equal(new PoolSnapshot(1, 2, 3), s.Pool);
        Assert.Equal(
            new LimitsSnapshot { BodyBytes = 2048, EventBytes = 4096, HeaderBytes = 8192, ConcurrentRequests = 9, HoldBytes = 16 }, s.Limits);
        Assert.Equal((Path.Combine(_folder.Work, "d"), Path.Combine(_folder.Home, "q"), true),
            (s.Storage.DataFolder, s.Storage.QwenHome, s.Storage.LogToFile));
        Assert.Equal((3, 5_000_000_000, true), (s.Storage.CaptureStreams, s.Storage.CaptureMaxBytes, s.Storage.CaptureRedact));
        Assert.Equal(["a-rule"], s.Repair.DisabledQuirks);
        Assert.Equal(["portal.example.com"], s.AllowedOAuthHosts);
        Assert.Equal(7, s.Storage.OAuthBaseUrl.Port);
    }

    [Fact]
    public void ByteOrderMarkCommentsAndTrailingCommas_AreFine() =>
        Assert.Equal(5, _folder.LoadGood("\uFEFF// first\r\n{ /* in */ \"port\": 5, }\r\n// last").Port);
}
