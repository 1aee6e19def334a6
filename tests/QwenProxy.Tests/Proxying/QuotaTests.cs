using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Quotas;
using QwenProxy.Simulator;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Plans over the real server: what is counted is what upstream counted, it is spent before the wall, and every surface tells it.</summary>
public sealed class QuotaTests : IDisposable
{
    private static readonly QuotaRule Week = new(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = 5, LimitFrom = "configuration" };

    private static readonly string[] s_dialects = [Dialect.Chat, Dialect.Messages, Dialect.Responses];

    private readonly ConfigFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Plan_IsSpentToTheWallAndTheNextAccountServesWithoutAFailure()
    {
        await using SimulatorServer plan = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using SimulatorServer paygo = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(plan, paygo, Week));
        List<string> served = [];
        for (int i = 0; i < 8; i++) served.Add(await AskAsync(proxy, s_dialects[i % 3], stream: i % 2 == 0));
        Assert.Equal(["plan 1", "plan 1", "plan 1", "plan 1", "plan 1", "paygo 1", "paygo 1", "paygo 1"], served);
        Assert.Equal((5, 3), (plan.Requests.Count, paygo.Requests.Count));
        using JsonDocument status = await StatusAsync(proxy);
        JsonElement account = status.RootElement.GetProperty("accounts")[0];
        Assert.Equal("quota used up", account.GetProperty("state").GetString());
        JsonElement window = Assert.Single(account.GetProperty("quota").GetProperty("windows").EnumerateArray());
        Assert.Equal(
            ("week", "requests", 5, "configuration", 5, 0, 100, "used up", false),
            (window.GetProperty("window").GetString(), window.GetProperty("counts").GetString(), window.GetProperty("limit").GetInt32(), window.GetProperty("limitFrom").GetString(), window.GetProperty("used").GetInt32(),
                window.GetProperty("left").GetInt32(), window.GetProperty("percent").GetInt32(), window.GetProperty("level").GetString(), window.GetProperty("slides").GetBoolean()));
        Assert.Equal(Core.Resilience.QuotaWindow.NextWeek(TimeProvider.System.GetUtcNow()), window.GetProperty("resets").GetDateTimeOffset());
        Assert.Equal(JsonValueKind.Null, window.GetProperty("runsOut").ValueKind);
        string metrics = await proxy.Client.GetStringAsync("/metrics");
        foreach (string line in (string[])["used", "limit"]) Assert.Contains($"qwen_proxy_quota_{line}{{account=\"plan\",window=\"week\",counts=\"requests\",gen_ai_request_model=\"*\"}} 5\n", metrics, StringComparison.Ordinal);
        Assert.Contains("qwen_proxy_quota_reset_seconds{account=\"plan\"", metrics, StringComparison.Ordinal);
        Assert.Equal(["80", "95"], proxy.Log.At(LogLevel.Warning).Where(l => l.Contains("of the week quota", StringComparison.Ordinal)).Select(l => l.Split("has used ")[1].Split(' ')[0]));
        (int code, string told, string warned) = await CommandAsync(proxy, "status");
        Assert.Equal(ExitCodes.Done, code);
        Assert.Matches(@"plan +week +5 requests +5 +0 +\w{3} \d{4}-\d\d-\d\d 00:00|plan +week +5 requests +5 +0 +\w{3} \d{4}-\d\d-\d\d \d\d:00", told);
        Assert.Matches("plan: the week quota is used up until .*\\d\\d:\\d\\d\\.", warned);
        Assert.Contains("AT THIS PACE USED UP", (await CommandAsync(proxy, "accounts")).Told, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("error-429-quota-hour", "5h")]
    [InlineData("error-429-quota-week", "week")]
    [InlineData("error-429-quota-month", "month")]
    public async Task RefusalOfUpstream_UsesUpTheWindowItNames(string scenario, string window)
    {
        await using SimulatorServer plan = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using SimulatorServer paygo = await SimulatorServer.StartAsync(new SimulatorOptions());
        QuotaRule[] rules = [.. QuotaPlans.Find("coding-plan", "pro")!.Windows.Select(w => w with { MonthStarts = w.Period == QuotaPeriod.Month ? 15 : null })];
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(plan, paygo, rules));
        Assert.Equal("paygo 2", await AskAsync(proxy, Dialect.Chat, stream: true));
        Assert.Equal("paygo 1", await AskAsync(proxy, Dialect.Chat, stream: true));
        Assert.Single(plan.Requests);
        using JsonDocument status = await StatusAsync(proxy);
        JsonElement account = status.RootElement.GetProperty("accounts")[0];
        JsonElement[] windows = [.. account.GetProperty("quota").GetProperty("windows").EnumerateArray()];
        Assert.Equal([window], windows.Where(w => w.GetProperty("level").GetString() == "used up").Select(w => w.GetProperty("window").GetString()));
        JsonElement spent = windows.Single(w => w.GetProperty("window").GetString() == window);
        // Others have used a calendar's window up; one that slides lets go of what they took at a time that nobody here knows.
        Assert.Equal(window == "5h" ? 0 : spent.GetProperty("limit").GetInt32(), spent.GetProperty("used").GetInt32());
        if (window != "5h") Assert.Equal(spent.GetProperty("resets").GetDateTimeOffset(), account.GetProperty("until").GetDateTimeOffset());
    }

    [Theory]
    [InlineData("error-429-quota-free")]
    [InlineData("error-403-free-tier")]
    [InlineData("error-403-quota")]
    public async Task FreeQuota_IsUsedUpForItsModelAlone(string scenario)
    {
        await using SimulatorServer plan = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = r => r.BodyText.Contains("\"spent\"", StringComparison.Ordinal) ? scenario : "healthy" });
        await using SimulatorServer paygo = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(plan, paygo, new QuotaRule(QuotaUnit.Tokens, QuotaPeriod.Total) { Limit = 1_000_000, EachModel = true }));
        Assert.Equal("paygo 2", await AskAsync(proxy, Dialect.Chat, stream: true, model: "spent"));
        Assert.Equal("plan 1", await AskAsync(proxy, Dialect.Chat, stream: true, model: "other"));
        using JsonDocument status = await StatusAsync(proxy);
        JsonElement account = status.RootElement.GetProperty("accounts")[0];
        Assert.StartsWith("ready", account.GetProperty("says").GetString(), StringComparison.Ordinal);
        Assert.Equal(["spent used up", "other ok"], account.GetProperty("quota").GetProperty("windows").EnumerateArray().Select(w => $"{w.GetProperty("model")} {w.GetProperty("level")}"));
    }

    [Fact]
    public async Task EveryCallThatUpstreamTookOn_IsCountedAndNoOther()
    {
        string[] answers = ["error-500", "cut?events=6", "healthy", "error-400-parameter", "error-429-rate", "reset-before-headers", "empty-answer", "healthy"];
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = $"sequence:{string.Join('|', answers)}" });
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { Quota = new QuotaSettings { Windows = [Week with { Limit = 100 }, new QuotaRule(QuotaUnit.Tokens, QuotaPeriod.Week)] } };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [account] });
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
            await RunningProxy.ReadAsync(response);
        }

        Assert.Equal(answers.Length, upstream.Requests.Count);
        Assert.Equal(answers.Length - 2, Used(proxy, "requests"));
        await Until.TrueAsync(() => proxy.Runtime.Requests.Recent().Length == 3, TimeSpan.FromSeconds(20));
        long booked = proxy.Runtime.Requests.Recent().Sum(r => (r.Entry.Tokens?.Input + r.Entry.Tokens?.Output) ?? 0);
        Assert.InRange(Used(proxy, "tokens"), booked, booked + 1000);
    }

    [Fact]
    public async Task Reserve_RefusesOthersHonestlyInEveryDialect()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { Quota = new QuotaSettings { Windows = [Week with { Limit = 10 }], Reserve = new QuotaReserve(50, ["alice"], null) } };
        ClientSnapshot[] clients = [.. ((string[])["alice", "bob"]).Select(c => new ClientSnapshot(c, new Secret($"sk-{c}")) { Limits = ClientLimits.None })];
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [account], Clients = [.. clients] });
        for (int i = 0; i < 5; i++) Assert.Equal("up 1", await AskAsync(proxy, Dialect.Chat, stream: true, key: "sk-bob"));
        foreach (string dialect in s_dialects)
        {
            using HttpResponseMessage refused = await SendAsync(proxy, dialect, stream: true, "m", "sk-bob");
            string text = await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Equal(429, (int)refused.StatusCode);
            Assert.Contains("The last 50 % of the week quota of the account 'up' are kept for alice until ", text, StringComparison.Ordinal);
            DateTimeOffset told = TimeProvider.System.GetUtcNow() + refused.Headers.RetryAfter!.Delta!.Value;
            Assert.InRange((told - Core.Resilience.QuotaWindow.NextWeek(TimeProvider.System.GetUtcNow())).TotalSeconds, -60, 60);
        }

        for (int i = 0; i < 5; i++) Assert.Equal("up 1", await AskAsync(proxy, Dialect.Chat, stream: true, key: "sk-alice"));
        Assert.Equal(10, upstream.Requests.Count);
    }

    [Fact]
    public async Task Restart_KeepsCountsAndLearnedLimits()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:error-429-concurrency|healthy" });
        AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { Quota = new QuotaSettings { Windows = [Week] } };
        ProxySnapshot snapshot = new() { Accounts = [account], Storage = new StorageSnapshot { DataFolder = Path.Combine(_folder.Home, "data") } };
        for (int run = 1; run <= 2; run++)
        {
            await using RunningProxy proxy = await RunningProxy.StartAsync(snapshot);
            await AskAsync(proxy, Dialect.Chat, stream: true);
            await AskAsync(proxy, Dialect.Chat, stream: true);
            Assert.Equal(run * 2, Used(proxy, "requests"));
            using JsonDocument status = await StatusAsync(proxy);
            Assert.Equal((2, true), (status.RootElement.GetProperty("accounts")[0].GetProperty("atOnce").GetInt32(), status.RootElement.GetProperty("accounts")[0].GetProperty("atOnceLearned").GetBoolean()));
            Assert.Contains("2 (learned)", (await CommandAsync(proxy, "status")).Told, StringComparison.Ordinal);
        }
    }

    private static ProxySnapshot Two(SimulatorServer plan, SimulatorServer paygo, params QuotaRule[] rules) => new()
    {
        Accounts = [RunningProxy.Account("plan", plan.BaseUrl, 1) with { Quota = new QuotaSettings { Windows = [.. rules] } }, RunningProxy.Account("paygo", paygo.BaseUrl, 2)],
    };

    private static decimal Used(RunningProxy proxy, string counts) => proxy.Runtime.Router.Pool.Quotas(TimeProvider.System.GetUtcNow()).Single(q => q.Counts == counts).Used!.Value;

    /// <summary>Who served, and with how many attempts.</summary>
    private static async Task<string> AskAsync(RunningProxy proxy, string dialect, bool stream, string model = "m", string? key = null)
    {
        using HttpResponseMessage response = await SendAsync(proxy, dialect, stream, model, key);
        (string text, _) = await RunningProxy.ReadAsync(response);
        Assert.True(response.IsSuccessStatusCode, text);
        return $"{response.Headers.GetValues("x-qwen-proxy-account").Single()} {response.Headers.GetValues("x-qwen-proxy-attempts").Single()}";
    }

    private static Task<HttpResponseMessage> SendAsync(RunningProxy proxy, string dialect, bool stream, string model, string? key)
    {
        HttpRequestMessage request = new(HttpMethod.Post, Dialect.Path(dialect)) { Content = RunningProxy.Json(Dialect.Body(dialect, stream, model)) };
        if (key is not null) request.Headers.Add("x-api-key", key);
        return proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    private static async Task<JsonDocument> StatusAsync(RunningProxy proxy) => JsonDocument.Parse(await proxy.Client.GetStringAsync("/admin/status"));

    private async Task<(int Code, string Told, string Warned)> CommandAsync(RunningProxy proxy, string line)
    {
        _folder.Variables["PORT"] = proxy.Server.Address.Port.ToString(CultureInfo.InvariantCulture);
        _folder.Variables["QWEN_API_KEY"] = "k";
        _folder.Variables["QWEN_BASE_URL"] = "http://127.0.0.1:9/v1";
        await using StringWriter told = new(CultureInfo.InvariantCulture);
        await using StringWriter warned = new(CultureInfo.InvariantCulture);
        Terminal terminal = new(told, warned);
        ConfigurationSources Sources(ConfigurationFlags flags) => _folder.Sources with { Flags = flags };
        CommandActions actions = new() { Status = new StatusCommand(terminal, Sources).RunAsync, Accounts = new AccountsCommand(terminal, Sources).RunAsync };
        int code = await CommandLine.RunAsync(line.Split(' '), actions, terminal, TestContext.Current.CancellationToken);
        return (code, told.ToString(), warned.ToString());
    }
}
