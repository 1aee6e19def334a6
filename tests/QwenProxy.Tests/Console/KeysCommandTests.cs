using System.Globalization;
using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Clients;
using QwenProxy.Console;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console;

/// <summary><c>qwen-proxy keys</c>, by itself and beside a proxy that runs.</summary>
public sealed class KeysCommandTests : IDisposable
{
    private readonly ConfigFolder _folder = new();
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);
    private StringWriter _out = new(CultureInfo.InvariantCulture);

    private string Data => Path.Combine(_folder.Work, "data");

    private string File => Path.Combine(Data, KeyFile.Name);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Add_PrintsTheKeyAloneAndKeepsItsHashForItsOwner()
    {
        string key = await AddAsync("alice");
        Assert.DoesNotContain(' ', key);
        Assert.DoesNotContain(key[KeyHash.PrefixLength..], await System.IO.File.ReadAllTextAsync(File, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows()) Assert.All(Directory.GetFiles(Data), f => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(f)));
        Assert.Contains("from now on every client must show one", _error.ToString(), StringComparison.Ordinal);
        Assert.Equal("alice", _folder.LoadGood().Keys.Find(key, DateTimeOffset.UnixEpoch)?.Name);
        Assert.Equal(ExitCodes.Failed, await RunAsync("keys", "add", "alice"));
    }

    [Fact]
    public async Task RunningProxy_TakesUpEachChangeWithinASecond()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Storage = s.Storage with { DataFolder = Data } });
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, null));
        string key = await AddAsync("alice");
        await BecomesAsync(proxy, null, HttpStatusCode.Unauthorized);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, key));

        Assert.Equal(ExitCodes.Done, await RunAsync("keys", "rotate", "alice", "--grace", "1h"));
        string second = _out.ToString().Trim();
        await BecomesAsync(proxy, second, HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, key));
        Assert.Equal(ExitCodes.Done, await RunAsync("keys", "rotate", "alice", "--grace", "0"));
        await BecomesAsync(proxy, second, HttpStatusCode.Unauthorized);
        await BecomesAsync(proxy, key, HttpStatusCode.Unauthorized);
        string third = _out.ToString().Trim();
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, third));

        // A file that is damaged, or gone, opens and shuts nothing.
        byte[] good = await System.IO.File.ReadAllBytesAsync(File, TestContext.Current.CancellationToken);
        await System.IO.File.WriteAllTextAsync(File, "{", TestContext.Current.CancellationToken);
        await Until.TrueAsync(() => proxy.Log.Lines.Any(l => l.Contains("client keys is damaged", StringComparison.Ordinal)), TimeSpan.FromSeconds(30));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, third));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(proxy, null));
        await System.IO.File.WriteAllBytesAsync(File, good, TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Done, await RunAsync("keys", "revoke", "alice"));
        await BecomesAsync(proxy, third, HttpStatusCode.Unauthorized);
        // The end of the last key does not open the door.
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(proxy, null));
    }

    [Fact]
    public async Task ConfigurationThatChanges_KeepsTheKeysOfNow()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), s => s with { Storage = s.Storage with { DataFolder = Data } });
        ProxySnapshot before = proxy.Runtime.Snapshot;
        string key = await AddAsync("alice");
        await Until.TrueAsync(() => proxy.Runtime.Snapshot.AsksForKey, TimeSpan.FromSeconds(30));
        proxy.Runtime.Apply(before with { Debug = true });
        Assert.True(proxy.Runtime.Snapshot.Debug);
        Assert.NotNull(proxy.Runtime.Snapshot.Keys.Find(key, DateTimeOffset.UnixEpoch));
    }

    [Fact]
    public async Task ManyCommandsAtOnce_LoseNoKey()
    {
        await Parallel.ForAsync(0, 12, TestContext.Current.CancellationToken, async (i, stop) =>
        {
            KeyStore store = new(new StorageSnapshot { DataFolder = Data }, TimeProvider.System);
            await store.ChangeAsync(ring => ring.With(new StoredKey($"c{i}", DateTimeOffset.UnixEpoch, ClientLimits.None, [])), stop);
        });
        Assert.Equal(12, KeyFile.Read(File, out _)!.Keys.Length);
    }

    [Theory]
    [InlineData(64, "add", "alice", "--rpm", "many")]
    [InlineData(64, "add", "alice", "--rpm", "0")]
    [InlineData(64, "add", "alice", "--concurrent", "-1")]
    [InlineData(64, "add", "alice", "--tokens-per-day", "1.5")]
    [InlineData(64, "add", "alice", "--usd-per-month", "free")]
    [InlineData(64, "add", "alice", "--priority", "high")]
    [InlineData(64, "add", "alice", "--expires", "soon")]
    [InlineData(64, "add", "alice", "--models", " , ")]
    [InlineData(64, "add", "a/b")]
    [InlineData(64, "add")]
    [InlineData(64, "rotate", "alice", "--grace", "-1h")]
    [InlineData(2, "rotate", "nobody")]
    [InlineData(2, "revoke", "nobody")]
    [InlineData(2, "usage", "nobody")]
    [InlineData(2, "revoke", "written")]
    [InlineData(1, "add", "written")]
    [InlineData(0, "usage", "written")]
    [InlineData(0, "list")]
    public async Task ExitCode_TellsWhatWentWrong(int code, params string[] line)
    {
        _folder.Write("qwen-proxy.json", """{ "clients": [ { "name": "written", "key": "k" } ] }""");
        Assert.Equal(code, await RunAsync(["keys", .. line]));
        if (code != 0) Assert.Equal("", _out.ToString());
        if (code != 0) Assert.NotEqual("", _error.ToString());
    }

    [Fact]
    public async Task BadLimit_NamesTheHelpOfItsOwnCommand()
    {
        Assert.Equal(ExitCodes.BadUsage, await RunAsync("keys", "add", "alice", "--rpm", "x"));
        Assert.Equal(["--rpm is \"x\"; it must be a whole number from 1 to 1000000.", "See qwen-proxy keys add --help."], _error.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task LimitsOfAKey_AreListedAndCountedFromTheLedger()
    {
        await RunAsync("keys", "add", "bob", "--models", "qwen3.7-*,x", "--expires", "30d", "--rpm", "60", "--concurrent", "4", "--tokens-per-day", "1000", "--usd-per-month", "2.5", "--priority", "-3", "--json");
        using (JsonDocument added = JsonDocument.Parse(_out.ToString()))
        {
            JsonElement root = added.RootElement;
            Assert.StartsWith("qpk-", root.GetProperty("key").GetString(), StringComparison.Ordinal);
            Assert.Equal((60, 4, 1000, 2.5m, -3), (root.GetProperty("requestsPerMinute").GetInt32(), root.GetProperty("concurrent").GetInt32(), root.GetProperty("tokensPerDay").GetInt32(), root.GetProperty("usdPerMonth").GetDecimal(), root.GetProperty("priority").GetInt32()));
        }

        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using (Microsoft.Data.Sqlite.SqliteConnection connection = LedgerFile.OpenForWriting(Path.Combine(Data, LedgerFile.Name)))
        {
            LedgerEntry entry = new() { Time = now, RequestId = "req_1", Dialect = "openai.chat", End = "complete", Client = "bob", Tokens = new TokenCounts(300, 100), Cost = 0.5m };
            LedgerFile.Write(connection, [entry, entry with { RequestId = "req_2", Client = "carol" }, entry with { RequestId = "req_3", Time = now.AddDays(-40) }], TimeZoneInfo.Local);
        }

        Assert.Equal(ExitCodes.Done, await RunAsync("keys", "usage", "bob", "--json"));
        using (JsonDocument usage = JsonDocument.Parse(_out.ToString()))
        {
            JsonElement root = usage.RootElement;
            Assert.Equal((400, 600, 0.5m, 2.0m), (root.GetProperty("tokensToday").GetInt32(), root.GetProperty("tokensLeft").GetInt32(), root.GetProperty("usdThisMonth").GetDecimal(), root.GetProperty("usdLeft").GetDecimal()));
        }

        Assert.Equal(ExitCodes.Done, await RunAsync("keys", "list", "--json"));
        using JsonDocument list = JsonDocument.Parse(_out.ToString());
        JsonElement listed = Assert.Single(list.RootElement.GetProperty("keys").EnumerateArray());
        Assert.Equal(("bob", "valid", now.ToUnixTimeMilliseconds()), (listed.GetProperty("name").GetString(), listed.GetProperty("state").GetString(), listed.GetProperty("lastSeen").GetDateTimeOffset().ToUnixTimeMilliseconds()));
        Assert.False(listed.TryGetProperty("key", out _));
    }

    [Fact]
    public async Task BudgetThatWasUsed_IsUsedAfterARestart()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":70,\"completion_tokens\":30}}\n\ndata: [DONE]\n\n"));
        await RunAsync("keys", "add", "bob", "--tokens-per-day", "200");
        string key = _out.ToString().Trim();
        ProxySnapshot snapshot = _folder.LoadGood() with { Accounts = [RunningProxy.Account("up", upstream.BaseUrl)] };
        for (int run = 0; run < 2; run++)
        {
            await using RunningProxy proxy = await RunningProxy.StartAsync(snapshot);
            Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, key));
        }

        await using RunningProxy third = await RunningProxy.StartAsync(snapshot);
        Assert.Equal(HttpStatusCode.TooManyRequests, await AskAsync(third, key));
    }

    [Fact]
    public async Task AddressForOthers_IsAllowedWithAStoredKeyAndRefusedWithADamagedFile()
    {
        _folder.Variables["QWEN_PROXY_DATA"] = Data;
        Assert.Contains("qwen-proxy keys add", Assert.Single(_folder.Load("""{ "host": "0.0.0.0" }""").Faults).ToString(), StringComparison.Ordinal);
        await AddAsync("alice");
        _folder.LoadGood("""{ "host": "0.0.0.0" }""");
        await System.IO.File.WriteAllTextAsync(File, "", TestContext.Current.CancellationToken);
        Assert.Contains(_folder.Load("""{ "host": "0.0.0.0" }""").Faults, f => f.ToString().Contains("damaged", StringComparison.Ordinal));
    }

    private async Task<string> AddAsync(string name)
    {
        Assert.Equal(ExitCodes.Done, await RunAsync("keys", "add", name));
        return _out.ToString().TrimEnd('\n', '\r');
    }

    /// <summary>Runs one command; its output alone is then in the writer.</summary>
    private Task<int> RunAsync(params string[] line)
    {
        _out = new StringWriter(CultureInfo.InvariantCulture);
        _folder.Variables["QWEN_PROXY_DATA"] = Data;
        Terminal terminal = new(_out, _error);
        ConfigurationSources Sources(ConfigurationFlags flags) => _folder.Sources with { Flags = flags };
        KeysCommand keys = new(terminal, Sources, TimeProvider.System);
        KeysReport report = new(terminal, Sources, TimeProvider.System);
        CommandActions actions = new() { Keys = new KeyActions(keys.AddAsync, keys.RotateAsync, keys.RevokeAsync, report.ListAsync, report.UsageAsync) };
        return CommandLine.RunAsync(line, actions, terminal, TestContext.Current.CancellationToken);
    }

    private static async Task BecomesAsync(RunningProxy proxy, string? key, HttpStatusCode status)
    {
        // One look and a half of the watcher, and what a loaded machine adds; the promise of a second is the interval's.
        Assert.True(KeyWatcher.Interval < TimeSpan.FromMilliseconds(500));
        long began = TimeProvider.System.GetTimestamp();
        HttpStatusCode seen;
        while ((seen = await AskAsync(proxy, key)) != status && TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(20)) await Task.Yield();
        Assert.Equal(status, seen);
    }

    private static async Task<HttpStatusCode> AskAsync(RunningProxy proxy, string? key)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)) };
        if (key is not null) request.Headers.Add("x-api-key", key);
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        return response.StatusCode;
    }
}
