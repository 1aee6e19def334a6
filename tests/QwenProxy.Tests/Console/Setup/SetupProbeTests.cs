using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console.Setup;

public sealed class SetupProbeTests : IDisposable
{
    private readonly SetupWorld _world = new();

    public static TheoryData<string> Clients => [.. SetupWorld.Clients];

    public void Dispose() => _world.Dispose();

    private async Task<RunningProxy> StartAsync(SimulatorServer upstream, string? key = null)
    {
        RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => key is null ? s : s with { Clients = [new ClientSnapshot("one", new Secret(key))] });
        _world.Folder.Variables["PORT"] = $"{proxy.Server.Address.Port}";
        return proxy;
    }

    private static string PathOf(string client) => client switch
    {
        "claude-code" => "/v1/messages",
        "codex" => "/v1/responses",
        _ => "/v1/chat/completions",
    };

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task RunningProxy_IsAskedInTheAgentsDialectWithItsKey(string client)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await StartAsync(upstream, "good-key");
        _world.Folder.Variables["QWEN_PROXY_KEYS"] = "good-key";
        Assert.Equal(0, await _world.RunAsync($"setup {client} --json"));
        Assert.True(_world.Json().GetProperty("works").GetBoolean());
        Assert.Equal("written", _world.Json().GetProperty("state").GetString());
        Assert.Contains($"It works. Asked for qwen3.7-plus over {PathOf(client)}: a whole answer in ", _world.Error, StringComparison.Ordinal);
        Assert.Contains("account up", _world.Error, StringComparison.Ordinal);
        Assert.Contains(proxy.Log.Lines, l => l.Contains($"POST {PathOf(client)} 200 complete", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task WrongKey_IsToldWithTheWayOut(string client)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await StartAsync(upstream, "good-key");
        _world.Folder.Variables["QWEN_PROXY_KEYS"] = "wrong-key";
        Assert.Equal(2, await _world.RunAsync($"setup {client} --json"));
        Assert.False(_world.Json().GetProperty("works").GetBoolean());
        Assert.Contains($"over {PathOf(client)}: 401 ", _world.Error, StringComparison.Ordinal);
        Assert.Contains("other client keys", _world.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong-key", _world.Error + _world.Out, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task NoProxy_IsToldWithTheCommandThatStartsOne(string client)
    {
        Assert.Equal(0, await _world.RunAsync($"setup {client}"));
        Assert.Contains("It was not tried yet. No proxy answers at http://127.0.0.1:9. Start one with `qwen-proxy serve`", _world.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(_world.FileOf(client)));
    }

    [Theory]
    [InlineData("error-404-model", "404 ", "--model NAME")]
    [InlineData("cut?events=3", "the answer broke off: ", "upstream")]
    public async Task FailingAnswer_IsNotTakenForAGoodOne(string scenario, string problem, string way)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Resume = false });
        _world.Folder.Variables["PORT"] = $"{proxy.Server.Address.Port}";
        foreach (string client in SetupWorld.Clients)
        {
            Assert.Equal(2, await _world.RunAsync($"setup {client}"));
            Assert.Contains(problem, _world.Error, StringComparison.Ordinal);
            Assert.Contains(way, _world.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ModelThatIsNotOnOffer_IsWrittenByForceOnly()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Models = ["qwen3.7-plus"] });
        await using RunningProxy proxy = await StartAsync(upstream);
        Assert.Equal(2, await _world.RunAsync("setup aider --model qwen3.7-pluss"));
        Assert.Contains("qwen3.7-pluss is not among the ", _world.Error, StringComparison.Ordinal);
        Assert.Contains("Did you mean qwen3.7-plus? Nothing was written", _world.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_world.FileOf("aider")));
        Assert.Equal(0, await _world.RunAsync("setup aider --model qwen3.7-pluss --force"));
        Assert.True(File.Exists(_world.FileOf("aider")));
        Assert.Equal(0, await _world.RunAsync("setup codex --model qwen3.7-plus"));
    }

    [Fact]
    public async Task SomethingElseAtThePort_IsNotTakenForTheProxy()
    {
        await using SimulatorServer other = await SimulatorServer.StartAsync(new SimulatorOptions());
        _world.Folder.Variables["PORT"] = $"{other.BaseUrl.Port}";
        Assert.Equal(2, await _world.RunAsync("setup aider"));
        Assert.Contains("is no Qwen Proxy", _world.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ModelOfTheFirstAccount_IsChosenAndTheClientOfTheAgentsName()
    {
        File.WriteAllText(_world.Folder.ConfigFile, """
            {
              "accounts": [
                { "name": "b", "baseUrl": "http://127.0.0.1:2/v1", "apiKey": "k", "priority": 2, "models": ["second"] },
                { "name": "a", "baseUrl": "http://127.0.0.1:1/v1", "apiKey": "k", "priority": 1, "models": ["first"] }
              ],
              "clients": [ { "name": "boss", "key": "boss-key", "admin": true }, { "name": "any", "key": "any-key" }, { "name": "codex", "key": "codex-key" } ]
            }
            """);
        await _world.RunAsync("setup codex");
        Assert.Contains("codex-key", File.ReadAllText(_world.FileOf("codex")), StringComparison.Ordinal);
        Assert.Contains("model = \"first\"", File.ReadAllText(_world.FileOf("codex")), StringComparison.Ordinal);
        await _world.RunAsync("setup aider");
        Assert.Contains("any-key", File.ReadAllText(_world.FileOf("aider")), StringComparison.Ordinal);
    }
}
