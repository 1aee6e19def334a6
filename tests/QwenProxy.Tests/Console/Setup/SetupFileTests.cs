using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console.Setup;

/// <summary>What the command does to an agent's file; no proxy runs, so nothing is tried, which is told and is no fault.</summary>
public sealed class SetupFileTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly SetupWorld _world = new();

    public static TheoryData<string> Clients => [.. SetupWorld.Clients];

    /// <summary>Files as people have them: comments, keys of their own, and settings for another service.</summary>
    public static TheoryData<string, string, string[]> Existing => new()
    {
        { "claude-code", "{\n    \"permissions\": { \"allow\": [\"Bash(ls:*)\"] },\n    \"env\": {\n        \"ANTHROPIC_BASE_URL\": \"https://elsewhere.example\",\n        \"OTHER\": \"é渡\"\n    }\n}\n",
            ["\"permissions\": { \"allow\": [\"Bash(ls:*)\"] },\n", "        \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:9\",\n        \"OTHER\": \"é渡\",\n        \"ANTHROPIC_AUTH_TOKEN\""] },
        { "qwen-code", "{\n  // mine, with a comma,\n  \"ui\": { \"theme\": \"渡轮\" }, // trailing\n  /* \"env\": {} */\n}\n",
            ["{\n  // mine, with a comma,\n  \"ui\": { \"theme\": \"渡轮\" }, // trailing\n  /* \"env\": {} */\n  \"security\": {"] },
        { "opencode", "{\n\t\"$schema\": \"https://opencode.ai/config.json\", // keep\n\t\"provider\": {\n\t\t\"mine\": { \"npm\": \"x\" } // last, one\n\t}\n}",
            ["\"$schema\": \"https://opencode.ai/config.json\", // keep\n", "\t\t\"mine\": { \"npm\": \"x\" }, // last, one\n\t\t\"qwen-proxy\": {\n\t\t\t\"npm\""] },
        { "cline", "{\"version\":1,\"providers\":{\"cline\":{\"settings\":{\"provider\":\"cline\",\"apiKey\":\"old-secret\"}}},\"lastUsedProvider\":\"cline\"}",
            ["{\"version\":1,\"providers\":{\"cline\":{\"settings\":{\"provider\":\"cline\",\"apiKey\":\"old-secret\"}}, \"openai-compatible\"", "\"lastUsedProvider\":\"openai-compatible\"}"] },
        { "codex", "# 渡轮 my settings\nmodel = \"gpt-5\" # the old one\napproval_policy = \"never\"\n\n# servers\n[mcp_servers.x]\ncommand = \"y\"\n",
            ["# 渡轮 my settings\nmodel = \"qwen3.7-plus\" # the old one\napproval_policy = \"never\"\nmodel_provider = \"qwen-proxy\"\n\n# servers\n[mcp_servers.x]\ncommand = \"y\"\n\n[model_providers.qwen-proxy]\n"] },
        { "continue", "# 渡轮\nname: Mine # yes\nversion: 2.0.0\nschema: v1\nmodels:\n  # the first\n  - name: Other\n    provider: ollama\n    roles: [chat]\nrules:\n  - be kind\n",
            ["# 渡轮\nname: Mine # yes\nversion: 2.0.0\n", "models:\n  # the first\n  - name: \"Qwen Proxy\"\n    provider: \"openai\"\n", "  - name: Other\n    provider: ollama\n    roles: [chat]\nrules:\n  - be kind\n"] },
        { "aider", "# 渡轮\r\nmodel: sonnet # was\r\nread:\r\n  - CONVENTIONS.md\r\nanthropic-api-key: old-secret",
            ["# 渡轮\r\nmodel: \"openai/qwen3.7-plus\" # was\r\nread:\r\n  - CONVENTIONS.md\r\nanthropic-api-key: old-secret\r\nopenai-api-base: "] },
    };

    public static TheoryData<string, string, string> Malformed => new()
    {
        { "claude-code", "{\n  \"env\": {\n", "line 2: not JSON: `{` of line 2 is not closed" },
        { "claude-code", "[1]", "not one JSON object" },
        { "claude-code", "{ \"env\": 3 }", "\"env\" is not an object" },
        { "qwen-code", "{ \"a\": 1 } x", "line 1: not JSON" },
        { "opencode", "{ a: 1 }", "line 1: not JSON" },
        { "cline", "{\"providers\": [}", "line 1: not JSON" },
        { "codex", "model = \n", "line 1: not TOML" },
        { "codex", "model_providers = { \"qwen-proxy\" = { name = \"x\" } }\n", "in another form" },
        { "codex", "[model_providers]\nqwen-proxy.wire_api = \"chat\"\n", "in another form" },
        { "continue", "name: [unclosed\n", "not YAML" },
        { "continue", "name: a\n---\nname: b\n", "one YAML document" },
        { "continue", "models: [{ name: Other }]\n", "not a list in block style" },
        { "aider", "{ model: x }\n", "block style" },
        { "aider", "model: &m sonnet\nweak-model: *m\n", "line 1: model is not a single value" },
        { "aider", "model:\n  - x\n", "line 2: model is not a single value" },
    };

    public void Dispose() => _world.Dispose();

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task NoFile_IsWrittenPrivateAndRemovedByUndo(string client)
    {
        Assert.Equal(0, await _world.RunAsync($"setup {client}"));
        Assert.Contains("It was not tried yet. No proxy answers at http://127.0.0.1:9.", _world.Error, StringComparison.Ordinal);
        string file = _world.FileOf(client);
        string text = File.ReadAllText(file);
        Assert.Contains("http://127.0.0.1:9", text, StringComparison.Ordinal);
        Assert.Contains("qwen3.7-plus", text, StringComparison.Ordinal);
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(file));
        Assert.Contains($"+{text.Split('\n')[0]}", _world.Error, StringComparison.Ordinal);
        Assert.Equal(0, await _world.RunAsync($"setup {client} --undo"));
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(file)!));
        Assert.Equal(2, await _world.RunAsync($"setup {client} --undo"));
        Assert.Contains("nothing to undo", _world.Error, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Existing))]
    public async Task ExistingFile_KeepsAllElseAndComesBackByteForByte(string client, string before, string[] parts)
    {
        string file = _world.Put(client, before);
        File.SetUnixFileMode(file, OwnerOnly | UnixFileMode.GroupRead);
        byte[] bytes = File.ReadAllBytes(file);
        Assert.Equal(0, await _world.RunAsync($"setup {client}"));
        string after = File.ReadAllText(file);
        foreach (string part in parts) Assert.Contains(part, after, StringComparison.Ordinal);
        Assert.DoesNotContain("old-secret", _world.Error + _world.Out, StringComparison.Ordinal);
        Assert.Equal(bytes, File.ReadAllBytes(file + ".qwen-proxy.bak"));
        Assert.Equal(OwnerOnly | UnixFileMode.GroupRead, File.GetUnixFileMode(file));

        Assert.Equal(0, await _world.RunAsync($"setup {client} --json"));
        Assert.Equal("already", _world.Json().GetProperty("state").GetString());
        Assert.Contains("is already set up; nothing was written", _world.Error, StringComparison.Ordinal);
        Assert.Equal(after, File.ReadAllText(file));

        Assert.Equal(0, await _world.RunAsync($"setup {client} --undo"));
        Assert.Equal(bytes, File.ReadAllBytes(file));
        Assert.Equal(OwnerOnly | UnixFileMode.GroupRead, File.GetUnixFileMode(file));
        Assert.Equal([file], Directory.GetFiles(Path.GetDirectoryName(file)!));
    }

    [Theory]
    [MemberData(nameof(Malformed))]
    public async Task FileThatCannotBeEdited_IsToldAndLeftAlone(string client, string before, string fault)
    {
        string file = _world.Put(client, before);
        Assert.Equal(1, await _world.RunAsync($"setup {client} --json"));
        Assert.Equal("failed", _world.Json().GetProperty("state").GetString());
        Assert.StartsWith(file, _world.Error, StringComparison.Ordinal);
        Assert.Contains(fault, _world.Error, StringComparison.Ordinal);
        Assert.Contains("Nothing was written.", _world.Error, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllText(file));
        Assert.Equal([file], Directory.GetFiles(Path.GetDirectoryName(file)!));
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task ClientKey_GoesIntoThePrivateFileAndNowhereElse(string client)
    {
        _world.Folder.Variables["QWEN_PROXY_KEYS"] = "canary-key";
        string file = _world.Put(client, "");
        File.SetUnixFileMode(file, OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        await _world.RunAsync($"setup {client} --json");
        Assert.Contains("canary-key", File.ReadAllText(file), StringComparison.Ordinal);
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(file));
        Assert.DoesNotContain("canary", _world.Out + _world.Error, StringComparison.Ordinal);
        await _world.RunAsync($"setup {client} --print");
        Assert.DoesNotContain("canary", _world.Out + _world.Error, StringComparison.Ordinal);
        Assert.Contains("***", _world.Out, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task SecondSetupWithAnotherModel_IsUndoneToBeforeTheFirst(string client)
    {
        await _world.RunAsync($"setup {client}");
        await _world.RunAsync($"setup {client} --model other-model");
        string file = _world.FileOf(client);
        Assert.Contains("other-model", File.ReadAllText(file), StringComparison.Ordinal);
        Assert.Equal(0, await _world.RunAsync($"setup {client} --undo"));
        Assert.False(File.Exists(file));
    }

    [Fact]
    public async Task SetupAfterForeignChange_KeepsTheOlderBackup()
    {
        string file = _world.Put("aider", "read: a\n");
        await _world.RunAsync("setup aider");
        File.WriteAllText(file, "read: b\n");
        await _world.RunAsync("setup aider");
        Assert.Equal("read: a\n", File.ReadAllText(file + ".qwen-proxy.bak.1"));
        Assert.Equal(0, await _world.RunAsync("setup aider --undo"));
        Assert.Equal("read: b\n", File.ReadAllText(file));
    }

    [Fact]
    public async Task LinkAndByteOrderMark_Stay()
    {
        string target = _world.Folder.Write("dotfiles/settings.json", "\uFEFF{ \"a\": 1 }\r\n");
        string file = _world.FileOf("claude-code");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.CreateSymbolicLink(file, target);
        byte[] before = File.ReadAllBytes(target);
        await _world.RunAsync("setup claude-code");
        Assert.Equal(target, new FileInfo(file).LinkTarget);
        Assert.Equal([0xEF, 0xBB, 0xBF, (byte)'{'], File.ReadAllBytes(target)[..4]);
        Assert.DoesNotContain("\n", File.ReadAllText(target).Replace("\r\n", "", StringComparison.Ordinal), StringComparison.Ordinal);
        await _world.RunAsync("setup claude-code --undo");
        Assert.Equal(before, File.ReadAllBytes(target));
        Assert.Equal(target, new FileInfo(file).LinkTarget);
    }

    [Theory]
    [InlineData("claude-code", "CLAUDE_CONFIG_DIR", "", "settings.json")]
    [InlineData("codex", "CODEX_HOME", "", "config.toml")]
    [InlineData("qwen-code", "QWEN_HOME", "", "settings.json")]
    [InlineData("opencode", "XDG_CONFIG_HOME", "", "opencode/opencode.json")]
    [InlineData("opencode", "OPENCODE_CONFIG_DIR", "", "opencode.json")]
    [InlineData("opencode", "OPENCODE_CONFIG", "/mine.json", "mine.json")]
    [InlineData("cline", "CLINE_DIR", "", "data/settings/providers.json")]
    [InlineData("cline", "CLINE_DATA_DIR", "", "settings/providers.json")]
    [InlineData("cline", "CLINE_PROVIDER_SETTINGS_PATH", "/mine.json", "mine.json")]
    [InlineData("continue", "CONTINUE_GLOBAL_DIR", "", "config.yaml")]
    public async Task VariableOfTheAgent_DecidesWhere(string client, string variable, string value, string expected)
    {
        string folder = Path.Combine(_world.Folder.Root, "elsewhere");
        _world.Folder.Variables[variable] = folder + value;
        await _world.RunAsync($"setup {client}");
        Assert.True(File.Exists(Path.Combine(folder, expected)), _world.Error);
        Assert.False(File.Exists(_world.FileOf(client)));
    }

    [Theory]
    [InlineData("0.0.0.0", "http://127.0.0.1:9/v1")]
    [InlineData("::1", "http://[::1]:9/v1")]
    [InlineData("10.1.2.3", "http://10.1.2.3:9/v1")]
    public async Task AddressOfTheProxy_IsWrittenAsProgramsHereReachIt(string host, string expected)
    {
        _world.Folder.Variables["QWEN_PROXY_KEYS"] = "k";
        Assert.Equal(0, await _world.RunAsync($"setup aider --host {host} --print"));
        Assert.Contains($"openai-api-base: \"{expected}\"", _world.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FaultsOfTheOwnConfiguration_AreToldAndNothingIsWritten()
    {
        _world.Folder.Variables["PORT"] = "x";
        Assert.Equal(64, await _world.RunAsync("setup aider"));
        Assert.Contains("PORT", _world.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_world.FileOf("aider")));
    }

    [Fact]
    public async Task OpencodeFileWithComments_IsTheOneThatIsEdited()
    {
        string file = _world.Put("opencode", "{}") + "c";
        File.WriteAllText(file, "{}");
        await _world.RunAsync("setup opencode");
        Assert.Contains("qwen-proxy", File.ReadAllText(file), StringComparison.Ordinal);
        Assert.Equal("{}", File.ReadAllText(_world.FileOf("opencode")));
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Page_ShowsWhatPrintPrints(string client)
    {
        _world.Folder.Variables.Remove("PORT");
        Assert.Equal(0, await _world.RunAsync($"setup {client} --print"));
        string page = RepositoryFiles.Read($"docs/clients/{client}.md");
        Assert.Contains($"\n{_world.Out}```\n", page, StringComparison.Ordinal);
        Assert.False(File.Exists(_world.FileOf(client)));
        foreach (string part in new[] { $"qwen-proxy setup {client}", $"qwen-proxy setup {client} --undo", "## By hand", "## Models", "## What works", "## Known limits", "## Undo" })
            Assert.Contains(part, page, StringComparison.Ordinal);
    }
}
