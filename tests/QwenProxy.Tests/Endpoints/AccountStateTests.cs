using System.Globalization;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Core.Accounts;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>The one state of an account is the same wherever it is shown, and what failed says whose words they were.</summary>
public sealed class AccountStateTests : IDisposable
{
    private readonly ConfigFolder _folder = new();
    private readonly StringWriter _out = new(CultureInfo.InvariantCulture);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task RefusedKey_IsSaidOnEverySurface()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(401, """{"error":{"message":"Incorrect API key provided.","code":"invalid_api_key"}}"""));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        Assert.Equal(200, await ReadyAsync(proxy));
        using (HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false))) Assert.Equal(401, (int)response.StatusCode);
        using JsonDocument status = JsonDocument.Parse(await proxy.Client.GetStringAsync("/admin/status"));
        JsonElement account = Assert.Single(status.RootElement.GetProperty("accounts").EnumerateArray());
        Assert.Equal("key refused", account.GetProperty("state").GetString());
        string says = account.GetProperty("says").GetString()!;
        Assert.Matches(@"^key refused, next try (\w{3} \d{4}-\d\d-\d\d )?\d\d:\d\d$", says);
        Assert.Equal($"up: {says}", status.RootElement.GetProperty("ready").GetString());
        Assert.Equal(503, await ReadyAsync(proxy));
        Assert.Contains("qwen_proxy_accounts_ready{account=\"up\"} 0\n", await proxy.Client.GetStringAsync("/metrics"), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.NotFound, await CommandAsync(proxy, "status"));
        Assert.Contains(says, _out.ToString(), StringComparison.Ordinal);
        Assert.Contains($" at {proxy.Server.Address.GetLeftPart(UriPartial.Authority)}, up ", _error.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, await CommandAsync(proxy, "accounts"));
        Assert.Contains(says, _out.ToString(), StringComparison.Ordinal);
        Assert.Contains($"As the proxy at {proxy.Server.Address.GetLeftPart(UriPartial.Authority)} sees them", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("It runs on another configuration", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TwoAccountsThatFail_AreBothTold()
    {
        await using RawUpstream plan = RawUpstream.Always(RawUpstream.Json(401, """{"error":{"message":"Incorrect API key provided.","code":"invalid_api_key"}}"""));
        await using RawUpstream paygo = RawUpstream.Always(RawUpstream.Json(429, """{"error":{"message":"You exceeded your week allocated quota.","code":"insufficient_quota"}}"""));
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [RunningProxy.Account("plan", plan.BaseUrl, 1), RunningProxy.Account("paygo", paygo.BaseUrl, 2)] });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            proxy.Runtime.Router.Pool.Reset("plan", DateTimeOffset.UnixEpoch);
            proxy.Runtime.Router.Pool.Reset("paygo", DateTimeOffset.UnixEpoch);
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
            string body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Contains("plan: 401 Incorrect API key provided; paygo: ", body, StringComparison.Ordinal);
        }

        await Until.TrueAsync(() => proxy.Log.Lines.Count(l => l.Contains("failed: plan 401 invalid_key, paygo ", StringComparison.Ordinal)) == 3, TimeSpan.FromSeconds(20));
        Assert.StartsWith("plan 401 invalid_key, paygo ", proxy.Runtime.Requests.Recent()[0].Entry.Tried, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SpentWeek_IsToldWithItsRealEnd()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(429, """{"error":{"message":"week allocated quota exceeded.","code":"Throttling.AllocationQuota"}}"""));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false));
        Assert.Equal(429, (int)response.StatusCode);
        DateTimeOffset end = Core.Resilience.QuotaWindow.NextWeek(TimeProvider.System.GetUtcNow());
        TimeSpan told = response.Headers.RetryAfter!.Delta!.Value;
        Assert.InRange((TimeProvider.System.GetUtcNow() + told - end).TotalSeconds, -60, 60);
        Assert.Contains($"used up until {end.UtcDateTime:yyyy-MM-dd HH:mm} UTC", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RefusedEdit_IsShownUntilItIsMended()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        proxy.Runtime.Refuse(["qwen-proxy.json:3:1: unknown key \"prot\""]);
        using (JsonDocument status = JsonDocument.Parse(await proxy.Client.GetStringAsync("/admin/status")))
            Assert.Contains("prot", Assert.Single(status.RootElement.GetProperty("refusedConfiguration").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Contains("qwen_proxy_configuration_refused 1\n", await proxy.Client.GetStringAsync("/metrics"), StringComparison.Ordinal);
        await CommandAsync(proxy, "status");
        Assert.Contains("The last edit of its configuration is not in force: qwen-proxy.json:3:1", _error.ToString(), StringComparison.Ordinal);
        proxy.Runtime.Apply(proxy.Runtime.Snapshot);
        Assert.Contains("qwen_proxy_configuration_refused 0\n", await proxy.Client.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisabledAccount_IsListed()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            new Uri("http://127.0.0.1:9/v1"), s => s with { DisabledAccounts = [RunningProxy.Account("off", new Uri("http://127.0.0.1:9/v1"))] });
        await CommandAsync(proxy, "accounts --json");
        using JsonDocument list = JsonDocument.Parse(_out.ToString());
        Assert.Equal(["up ready", "off disabled"], list.RootElement.EnumerateArray().Select(a => $"{a.GetProperty("name")} {a.GetProperty("state")}"));
    }

    private static async Task<int> ReadyAsync(RunningProxy proxy)
    {
        using HttpResponseMessage response = await proxy.Client.GetAsync("/readyz");
        return (int)response.StatusCode;
    }

    private Task<int> CommandAsync(RunningProxy proxy, string line)
    {
        _folder.Variables["PORT"] = proxy.Server.Address.Port.ToString(CultureInfo.InvariantCulture);
        _folder.Variables["QWEN_API_KEY"] = "k";
        _folder.Variables["QWEN_BASE_URL"] = "http://127.0.0.1:9/v1";
        Terminal terminal = new(_out, _error);
        ConfigurationSources Sources(ConfigurationFlags flags) => _folder.Sources with { Flags = flags };
        CommandActions actions = new() { Status = new StatusCommand(terminal, Sources).RunAsync, Accounts = new AccountsCommand(terminal, Sources).RunAsync };
        return CommandLine.RunAsync(line.Split(' '), actions, terminal, TestContext.Current.CancellationToken);
    }
}
