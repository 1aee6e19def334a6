using QwenProxy.Configuration;

namespace QwenProxy.Tests.Configuration;

public sealed class FaultTests : IDisposable
{
    private readonly ConfigFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{ "prot": 1 }""", "1:3: unknown key \"prot\". Did you mean \"port\"?")]
    [InlineData("""{ "zzzzzzzz": 1 }""", "1:3: unknown key \"zzzzzzzz\". Allowed: ")]
    [InlineData("{\n  \"retry\": { \"maxAttempt\": 1 }\n}", "2:14: unknown key \"maxAttempt\" in retry. Did you mean \"maxAttempts\"?")]
    [InlineData("""{ "accounts": [ { "name": "a", "baseURL": "http://h", "baseUrl": "http://h" } ] }""",
        "1:32: unknown key \"baseURL\" in accounts[0]. Did you mean \"baseUrl\"?")]
    [InlineData("""{ "clients": [ { "name": "a", "key": "k", "adm": true } ] }""", "1:43: unknown key \"adm\" in clients[0]")]
    [InlineData("""{ "models": { "alias": {} } }""", "1:15: unknown key \"alias\" in models. Did you mean \"aliases\"?")]
    [InlineData("""{ "port": "8143" }""", "1:11: port is \"8143\"; it must be a whole number from 0 to 65535")]
    [InlineData("""{ "port": 1.5 }""", "1:11: port is 1.5; it must be a whole number")]
    [InlineData("""{ "port": null }""", "1:11: port is null; it must be")]
    [InlineData("""{ "debug": "yes" }""", "1:12: debug is \"yes\"; it must be true or false")]
    [InlineData("""{ "timeouts": { "idleSeconds": -1 } }""", "timeouts.idleSeconds is -1; it must be a number of seconds above 0 and at most 86400")]
    [InlineData("""{ "timeouts": { "firstTokenSeconds": "soon" } }""", "it must be \"auto\" or a number of seconds")]
    [InlineData("""{ "timeouts": 5 }""", "1:15: timeouts is a number; it must be an object")]
    [InlineData("""{ "repair": { "stutter": "on" } }""", "repair.stutter is \"on\"; it must be one of off, observe, safe, auto")]
    [InlineData("""{ "repair": { "toolCalls": "safe" } }""", "it must be one of on, observe, off")]
    [InlineData("""{ "resume": "on" }""", "it must be one of auto, off")]
    [InlineData("""{ "retry": { "maxAttempts": 0 } }""", "retry.maxAttempts is 0; it must be a whole number from 1 to 100")]
    [InlineData("""{ "limits": { "bodyBytes": {} } }""", "limits.bodyBytes is an object; it must be a whole number")]
    [InlineData("""{ "quirks": { "x": "no" } }""", "quirks.x is \"no\"; it must be on or off")]
    [InlineData("""{ "quirks": [] }""", "quirks is a list; it must be an object")]
    [InlineData("""{ "allowedOAuthHosts": ["http://x"] }""", "it must be a list of host names")]
    [InlineData("""{ "$schema": 1 }""", "$schema is a number; it must be a text")]
    [InlineData("""{ "port": 1, "port": 2 }""", "1:14: \"port\" is written twice; the first is in line 1")]
    [InlineData("[]", "1:1: the configuration must be one JSON object")]
    [InlineData("{ \"port\": 1\n  \"host\": 2 }", "2:3: not JSON: ")]
    [InlineData("{ } x", "1:5: not JSON: `x` cannot stand here")]
    [InlineData("{ \"port\": ", "1:1: not JSON: `{` of line 1 is not closed")]
    [InlineData("{ \"port\": 1", "1:1: not JSON: `{` of line 1 is not closed")]
    [InlineData("// {\n{ \"accounts\": [\n  { \"name\": \"}\" }, /* ] */\n", "2:15: not JSON: `[` of line 2 is not closed")]
    [InlineData("", "1:1: the file is empty")]
    [InlineData(" \n ", "1:1: the file is empty")]
    [InlineData("{ \"host\": \"x\n }", "not JSON: the text that begins in this line is not closed")]
    [InlineData("{ \"host\": \"x", "1:11: not JSON: the text that begins in line 1 is not closed")]
    [InlineData("{ \"host\": 渡 }", "1:11: not JSON: `渡` cannot stand here")]
    [InlineData("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "it is nested too deep; 64 levels are the most")]
    public void FaultyFile_IsToldWithItsPlace(string file, string expected) =>
        Assert.Contains(expected, _folder.OnlyFault(file), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{ "baseUrl": "http://h/v1" }""", "accounts[0] has no name")]
    [InlineData("""{ "name": "a/b", "baseUrl": "http://h/v1" }""", "accounts[0].name is \"a/b\"; it must be a name of letters")]
    [InlineData("""{ "name": 5, "baseUrl": "http://h/v1" }""", "accounts[0].name is a number")]
    [InlineData("""{ "name": "a" }""", "accounts.a has no baseUrl")]
    [InlineData("""{ "name": "a", "baseUrl": "h/v1" }""", "accounts.a.baseUrl is \"h/v1\"; it must be an absolute http or https URL")]
    [InlineData("""{ "name": "a", "baseUrl": "ftp://h/v1" }""", "it must be an absolute http or https URL")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h/v1?x=1" }""", "it must be an absolute http or https URL")]
    [InlineData("""{ "name": "a", "baseUrl": "http://u:canary@h/v1" }""", "accounts.a.baseUrl is a URL with a user name")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "plan": "pro" } }""", "accounts.a.quota.plan is \"pro\"; it must be absent: no plans are known of the profile generic")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "profile": "coding-plan", "quota": { "plan": "gold" } }""", "accounts.a.quota.plan is \"gold\"; it must be one of lite, pro")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "reserve": { "percent": 20, "clients": ["x"] } } }""", "accounts.a.quota has no windows, and none are known of the profile generic")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "window": [] } }""", "unknown key \"window\" in accounts.a.quota. Did you mean \"windows\"?")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "windows": [ { "counts": "requests", "per": "999h" } ] } }""", "accounts.a.quota.windows[0].per is \"999h\"; it must be \"5h\"")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "windows": [ { "counts": "calls", "per": "day" } ] } }""", "accounts.a.quota.windows[0].counts is \"calls\"; it must be requests, tokens or credits")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "windows": [ { "counts": "tokens", "per": "day" }, { "counts": "tokens", "per": "day", "limit": 5 } ] } }""", "accounts.a.quota.windows[1] counts tokens per day once more")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "windows": [], "reserve": { "percent": 100, "priority": 0 } } }""", "accounts.a.quota.reserve.percent is 100; it must be a whole number from 1 to 99")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "windows": [], "reserve": { "percent": 10 } } }""", "accounts.a.quota.reserve has neither clients nor priority")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "quota": { "windows": [], "credits": { "m": { "input": 1 } } } }""", "accounts.a.quota.credits.m has no output")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "kind": "oauth" }""", "accounts.a.kind is \"oauth\"; it must be api-key or qwen-oauth")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "profile": "vlm" }""", "which is no profile. Did you mean \"vllm\"?")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "credentials": "f" }""", "credentials is only for")]
    [InlineData("""{ "name": "a", "kind": "qwen-oauth", "apiKey": "k" }""", "apiKey is only for")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "models": "m" }""", "accounts.a.models is a text; it must be a list")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "models": [""] }""", "accounts.a.models holds an empty name")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "priority": 1.5 }""", "accounts.a.priority is 1.5; it must be a whole number")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "disabled": "no" }""", "disabled is a text; it must be true or false")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "headers": { "Bad Name": "x" } }""", "\"Bad Name\" in accounts.a.headers is no header name")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "headers": { "Host": "x" } }""", "is set by the proxy itself")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "headers": { "X": "a\nb" } }""", "holds a character that no header can carry")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "apiKey": "env:NOPE" }""", "the environment variable NOPE, which is not set")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "apiKey": "file:nope" }""", "which does not exist")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "apiKey": "" }""", "accounts.a.apiKey is empty")]
    [InlineData("""{ "name": "a", "baseUrl": "http://h", "apiKey": "canary key" }""", "holds a space, a line break")]
    [InlineData("\"a\"", "accounts[0] is a text; it must be an object")]
    public void FaultyAccount_IsTold(string account, string expected)
    {
        string fault = _folder.OnlyFault($"{{ \"accounts\": [ {account} ] }}");
        Assert.Contains(expected, fault, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "key": "k" }""", "clients[0] has no name")]
    [InlineData("""{ "name": "a" }""", "clients[0] has no key")]
    [InlineData("""{ "name": "a b", "key": "k" }""", "clients[0].name is \"a b\"")]
    [InlineData("""{ "name": "a", "key": "k", "admin": 1 }""", "admin is a number; it must be true or false")]
    [InlineData("""{ "name": "a", "key": "k" }, { "name": "a", "key": "l" }""", "the client name \"a\" is used twice")]
    [InlineData("""{ "name": "a", "key": "k" }, { "name": "b", "key": "k" }""", "the key of client \"b\" is also that of \"a\"")]
    public void FaultyClient_IsTold(string clients, string expected) =>
        Assert.Contains(expected, _folder.OnlyFault($"{{ \"clients\": [ {clients} ] }}"), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{ "aliases": { "a": "b", "b": "a" } }""", 2, "runs in a circle")]
    [InlineData("""{ "aliases": { "a": "" } }""", 1, "models.aliases.a is empty")]
    [InlineData("""{ "aliases": { "a": 1 } }""", 1, "models.aliases.a is a number")]
    [InlineData("""{ "fallbacks": { "a": ["b"], "b": ["c"], "c": ["a"] } }""", 3, "runs in a circle: ")]
    [InlineData("""{ "fallbacks": { "a": ["a"] } }""", 1, "models.fallbacks.a runs in a circle: a → a")]
    [InlineData("""{ "fallbacks": { "a": "b" } }""", 1, "models.fallbacks.a is a text; it must be a list of models")]
    [InlineData("""{ "thinking": "auto" }""", 1, "models.thinking is \"auto\"; it must be \"client\", \"on\" or \"off\"")]
    [InlineData("""{ "thinking": true }""", 1, "models.thinking is true or false; it must be \"client\", \"on\" or \"off\"")]
    [InlineData("""{ "thinking": ["on"] }""", 1, "models.thinking is a list; it must be \"client\", \"on\" or \"off\"")]
    [InlineData("""{ "thinking": { "a": "On", "b": 1, "c": "off" } }""", 2, "; it must be \"client\", \"on\" or \"off\"")]
    public void FaultyModels_AreTold(string models, int count, string expected)
    {
        ConfigurationResult result = _folder.Load($"{{ \"models\": {models} }}");
        Assert.Equal(count, result.Faults.Count);
        Assert.All(result.Faults, f => Assert.Contains(expected, f.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void SameAccountNameTwice_IsAFault() => Assert.Contains(
        "the name of the account in line 1",
        _folder.OnlyFault("""{ "accounts": [ { "name": "a", "baseUrl": "http://h/v1" }, { "name": "A", "baseUrl": "http://h/v1" } ] }"""),
        StringComparison.Ordinal);

    [Fact]
    public void FaultsOfEverySource_AreToldAtOnce()
    {
        _folder.Flags = new ConfigurationFlags { Port = "high" };
        _folder.Variables["READ_TIMEOUT_SECONDS"] = "soon";
        _folder.Variables["DEBUG"] = "maybe";
        ConfigurationResult result = _folder.Load("""
            {
              "prot": 1,
              "retry": { "maxAttempts": 0 },
              "accounts": [ { "name": "a" }, { "name": "b", "baseUrl": "http://h", "apiKey": "env:NOPE" } ]
            }
            """);
        IEnumerable<string> origins = result.Faults.Select(f => f.Origin.Replace(_folder.ConfigFile, "file", StringComparison.Ordinal));
        string[] expected = ["--port", "DEBUG", "READ_TIMEOUT_SECONDS", "file:2:3", "file:3:29", "file:4:17", "file:4:82"];
        Assert.Equal(expected, origins.Order(StringComparer.Ordinal));
        Assert.Null(result.Snapshot);
    }

    [Fact]
    public void Column_CountsCharactersNotBytes() =>
        Assert.StartsWith("1:14: ", _folder.OnlyFault("""{ /* 模型🙂 */ "prot": 1 }"""), StringComparison.Ordinal);

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("::")]
    [InlineData("192.168.1.2")]
    public void OpenAddressWithoutKey_IsAFault(string host)
    {
        _folder.Variables["HOST"] = host;
        Assert.StartsWith("HOST: host " + host, _folder.OnlyFault(), StringComparison.Ordinal);
        _folder.Variables["QWEN_PROXY_KEYS"] = "k";
        Assert.Equal(host, _folder.LoadGood().Host);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.9.9.9")]
    [InlineData("::1")]
    [InlineData("localhost")]
    public void LoopbackWithoutKey_IsFine(string host)
    {
        _folder.Variables["HOST"] = host;
        Assert.Equal(host, _folder.LoadGood().Host);
    }

    [Fact]
    public void OpenAddressInFile_IsToldAtItsPlace()
    {
        Assert.StartsWith("1:11: host 0.0.0.0", _folder.OnlyFault("""{ "host": "0.0.0.0" }"""), StringComparison.Ordinal);
        _folder.Flags = new ConfigurationFlags { Host = "0.0.0.0" };
        Assert.StartsWith("--host: host 0.0.0.0", _folder.OnlyFault("{}"), StringComparison.Ordinal);
    }

    [Fact]
    public void FaultInAKey_DoesNotReadAsAnOpenDoor() =>
        Assert.Contains("NOPE",
            _folder.OnlyFault("""{ "host": "0.0.0.0", "clients": [ { "name": "a", "key": "env:NOPE" } ] }"""), StringComparison.Ordinal);

    [Fact]
    public void UnknownQuirk_IsAFaultWhereRulesAreKnown()
    {
        File.WriteAllText(_folder.ConfigFile, """{ "quirks": { "developer-rol": "off" } }""");
        ConfigurationResult result = ConfigurationLoader.Load(_folder.Sources with { KnownQuirks = ["developer-role"] });
        Assert.Contains("Did you mean \"developer-role\"?", Assert.Single(result.Faults).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void KeyFileThatIsTooLarge_IsAFault()
    {
        _folder.Write("big", new string('k', 70_000));
        Assert.Contains("too large to be a key",
            _folder.OnlyFault("""{ "clients": [ { "name": "a", "key": "file:big" } ] }"""), StringComparison.Ordinal);
    }
}
