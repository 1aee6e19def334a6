using System.Buffers;
using System.Security.Cryptography;
using QwenProxy.Core.Clients;
using QwenProxy.Console;
using QwenProxy.Console.Setup;

namespace QwenProxy.Tests.Console.Setup;

/// <summary>An agent gets the key of its owner also where only a hash of it is kept, and nobody fails in silence.</summary>
public sealed class SetupKeyTests : IDisposable
{
    private readonly SetupWorld _world = new();
    private readonly string _key;

    public SetupKeyTests()
    {
        (_key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        ArrayBufferWriter<byte> json = new();
        KeyRingJson.Write(new KeyRing([new StoredKey("alice", DateTimeOffset.UnixEpoch, ClientLimits.None, [kept])]), json);
        string folder = Path.Combine(_world.Folder.Home, ".local", "share", "qwen-proxy");
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "keys.json"), json.WrittenSpan.ToArray());
        _world.Folder.Variables["DASHSCOPE_API_KEY"] = "sk-account";
    }

    public void Dispose() => _world.Dispose();

    [Theory]
    [InlineData("setup claude-code")]
    [InlineData("setup aider")]
    [InlineData("run claude-code")]
    [InlineData("env codex")]
    public async Task WithoutAKey_ItSaysWhatToDo(string line)
    {
        Assert.Equal(ExitCodes.BadUsage, await RunAsync(line));
        Assert.Contains("only a hash is kept. Set QWEN_PROXY_CLIENT_KEY to the key, or say --key env:NAME", _world.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_world.FileOf("claude-code")));
    }

    [Theory]
    [InlineData("variable")]
    [InlineData("env")]
    [InlineData("file")]
    [InlineData("literal")]
    [InlineData("typed")]
    public async Task KeyOfItsOwner_IsWrittenAndNotShown(string way)
    {
        string said = "";
        switch (way)
        {
            case "variable": _world.Folder.Variables["QWEN_PROXY_CLIENT_KEY"] = _key; break;
            case "env": _world.Folder.Variables["MINE"] = _key; said = " --key env:MINE"; break;
            case "file": await File.WriteAllTextAsync(Path.Combine(_world.Folder.Home, "mine"), _key + "\n"); said = " --key file:~/mine"; break;
            case "literal": said = $" --key {_key}"; break;
            default: _world.Typed = _key; break;
        }

        Assert.Equal(ExitCodes.Done, await RunAsync("setup claude-code" + said));
        Assert.Contains(_key, await File.ReadAllTextAsync(_world.FileOf("claude-code"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.DoesNotContain(_key, _world.Out + _world.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("none that the proxy", _world.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, await RunAsync("env claude-code" + said));
        Assert.Contains($"ANTHROPIC_AUTH_TOKEN='{_key}'", _world.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task KeyThatTheProxyDoesNotKnow_IsToldAndTaken()
    {
        Assert.Equal(ExitCodes.Done, await RunAsync("setup claude-code --key qpk-other"));
        Assert.Contains("none that the proxy of this configuration knows", _world.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.BadUsage, await RunAsync("setup claude-code --key env:NOT_THERE"));
        Assert.Contains("--key: the key is to come from the environment variable NOT_THERE, which is not set", _world.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PrintAndUndo_NeedNoKey()
    {
        Assert.Equal(ExitCodes.Done, await RunAsync("setup claude-code --print"));
        Assert.Contains("ANTHROPIC_AUTH_TOKEN", _world.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.NotFound, await RunAsync("setup claude-code --undo"));
    }

    private Task<int> RunAsync(string line) => _world.RunAsync(line, terminal => new AgentCommands(terminal, flags => _world.Folder.Sources with { Flags = flags }));
}
