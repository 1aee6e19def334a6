namespace QwenProxy.Tests.Console.Setup;

/// <summary>Undo of a file that an agent or a person has written into since: ours goes by key, theirs stays.</summary>
public sealed class SetupUndoTests : IDisposable
{
    private readonly SetupWorld _world = new();

    public static TheoryData<string> Clients => [.. SetupWorld.Clients];

    /// <summary>Agent, the file before, what is added behind it, what must be left.</summary>
    public static TheoryData<string, string, string, string> Changed => new()
    {
        { "codex", "model = \"gpt-5\"\n", "\n[projects.\"/home/me/work\"]\ntrust_level = \"trusted\"\n", "model = \"gpt-5\"\n\n[projects.\"/home/me/work\"]\ntrust_level = \"trusted\"\n" },
        { "aider", "# mine\nmodel: sonnet # was\n", "auto-commits: false\n", "# mine\nmodel: sonnet # was\nauto-commits: false\n" },
        { "continue", "name: Mine\nmodels:\n  - name: Other\n    provider: ollama\n", "rules:\n  - be kind\n", "name: Mine\nmodels:\n  - name: Other\n    provider: ollama\n" },
    };

    public void Dispose() => _world.Dispose();

    [Theory]
    [MemberData(nameof(Changed))]
    public async Task WhatOthersAppended_Stays(string client, string before, string added, string left)
    {
        string file = _world.Put(client, before);
        Assert.Equal(0, await _world.RunAsync($"setup {client}"));
        File.AppendAllText(file, added);
        Assert.Equal(0, await _world.RunAsync($"setup {client} --undo"));
        Assert.Contains("what others wrote since stays", _world.Error, StringComparison.Ordinal);
        string after = File.ReadAllText(file);
        Assert.StartsWith(left, after, StringComparison.Ordinal);
        Assert.Contains(added.Trim(), after, StringComparison.Ordinal);
        foreach (string ours in new[] { "qwen", "Qwen", "127.0.0.1" }) Assert.DoesNotContain(ours, after, StringComparison.Ordinal);
        Assert.Equal([file], Directory.GetFiles(Path.GetDirectoryName(file)!));
    }

    /// <summary>Codex writes its trust list into the file that setup made.</summary>
    [Fact]
    public async Task FileThatWasMadeAndGrew_KeepsWhatGrew()
    {
        await _world.RunAsync("setup codex");
        string file = _world.FileOf("codex");
        File.AppendAllText(file, "\n[projects.\"/w\"]\ntrust_level = \"trusted\"\n");
        Assert.Equal(0, await _world.RunAsync("setup codex --undo"));
        Assert.Equal("[projects.\"/w\"]\ntrust_level = \"trusted\"", File.ReadAllText(file).Trim());
    }

    /// <summary>Cline writes the whole file anew at each start, in its own form and with a date of its own.</summary>
    [Fact]
    public async Task FileThatWasWrittenAnew_IsFreedOfOurs()
    {
        await _world.RunAsync("setup cline");
        string file = _world.FileOf("cline");
        File.WriteAllText(file, File.ReadAllText(file).Replace("1970-01-01T00:00:00.000Z", "2026-05-01T10:00:00.000Z", StringComparison.Ordinal).Replace("\n", "\n  ", StringComparison.Ordinal));
        Assert.Equal(0, await _world.RunAsync("setup cline --undo"));
        Assert.False(File.Exists(file));

        string mine = _world.Put("cline", "{\"version\":1,\"providers\":{\"cline\":{\"settings\":{\"provider\":\"cline\"}}},\"lastUsedProvider\":\"cline\"}");
        await _world.RunAsync("setup cline");
        File.WriteAllText(mine, File.ReadAllText(mine).Replace("1970-01-01T00:00:00.000Z", "2026-05-01T10:00:00.000Z", StringComparison.Ordinal).Replace("\"version\":1", "\"version\":1,\"seen\":true", StringComparison.Ordinal));
        Assert.Equal(0, await _world.RunAsync("setup cline --undo"));
        Assert.Equal("{\"version\":1,\"seen\":true,\"providers\":{\"cline\":{\"settings\":{\"provider\":\"cline\"}}},\"lastUsedProvider\":\"cline\"}", File.ReadAllText(mine));
    }

    [Fact]
    public async Task ValueThatSomebodyChangedSince_IsTheirs()
    {
        string file = _world.Put("claude-code", "{\n  \"env\": {\n    \"ANTHROPIC_MODEL\": \"old\", // mine\n    \"OTHER\": \"1\"\n  }\n}\n");
        await _world.RunAsync("setup claude-code");
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"ANTHROPIC_AUTH_TOKEN\": \"qwen-proxy\"", "\"ANTHROPIC_AUTH_TOKEN\": \"my-own\"", StringComparison.Ordinal));
        Assert.Equal(0, await _world.RunAsync("setup claude-code --undo"));
        string after = File.ReadAllText(file);
        Assert.Contains("\"ANTHROPIC_MODEL\": \"old\", // mine\n    \"OTHER\": \"1\",\n    \"ANTHROPIC_AUTH_TOKEN\": \"my-own\"\n", after, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", after, StringComparison.Ordinal);
        Assert.DoesNotContain("HAIKU", after, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task FileOfOursAlone_IsRemovedThoughItsFormChanged(string client)
    {
        await _world.RunAsync($"setup {client}");
        string file = _world.FileOf(client);
        File.AppendAllText(file, "\n");
        Assert.Equal(0, await _world.RunAsync($"setup {client} --undo"));
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(file)!));
    }

    [Fact]
    public async Task FileThatIsBrokenNow_IsLeftAlone()
    {
        await _world.RunAsync("setup claude-code");
        string file = _world.FileOf("claude-code");
        File.WriteAllText(file, "{ \"env\": ");
        Assert.Equal(1, await _world.RunAsync("setup claude-code --undo"));
        Assert.Contains("Nothing was written", _world.Error, StringComparison.Ordinal);
        Assert.Equal("{ \"env\": ", File.ReadAllText(file));
    }
}
