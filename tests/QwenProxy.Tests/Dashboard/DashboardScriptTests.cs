using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Dashboard;

/// <summary>
/// What a person reads on the page: its script runs under Node, in a document made for these tests, against a proxy of its own. Without Node they
/// are skipped.
/// </summary>
public sealed class DashboardScriptTests
{
    private const string HostileModel = "<img src=x onerror=alert(1)>";

    [Fact]
    public async Task NothingThere_IsSaid()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot());
        JsonElement page = await RunAsync(proxy, "await tick(); return { main: el('main').hidden, gate: el('gate').hidden, ready: text('ready'), accounts: text('accounts'), running: text('running'), recent: text('recent'), models: text('models'), sums: text('sums') };");
        Assert.False(page.GetProperty("main").GetBoolean());
        Assert.True(page.GetProperty("gate").GetBoolean());
        Assert.StartsWith("not ready: No account is configured.", page.GetProperty("ready").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("No account is configured. Run  qwen-proxy login", page.GetProperty("accounts").GetString(), StringComparison.Ordinal);
        Assert.Equal("Nothing is running.", page.GetProperty("running").GetString());
        Assert.Equal("No request has ended since the proxy was started. The last 200 are shown here.", page.GetProperty("recent").GetString());
        Assert.Equal("No model is on offer.", page.GetProperty("models").GetString());
        Assert.Equal("No request in the last 24 hours.", page.GetProperty("sums").GetString());
    }

    [Fact]
    public async Task Requests_AreShownWithTheirNumbersAndAsText()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:stutter-s2|error-400-range" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (int _ in Enumerable.Range(0, 2))
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true, model: HostileModel));
            await RunningProxy.ReadAsync(response);
        }

        await Until.TrueAsync(() => proxy.Runtime.Requests.Recent().Length == 2, TimeSpan.FromSeconds(20));
        JsonElement page = await RunAsync(proxy, """
            await tick();
            const hours = el('chart').all('rect').filter((r) => Number(r.attributes.height) > 0 && r.attributes.class).map((r) => r.attributes.class);
            const first = { hours, sums: text('sums'), bars: el('chart').all('g').length };
            el('days').listeners.click();
            await until(() => asked.some((path) => path.includes('by=day')));
            await tick();
            return { ...first, recent: text('recent'), accounts: text('accounts'), tiles: text('tiles'), ready: text('ready'), images: el('recent').all('img').length, days: el('chart').all('g').length };
            """);
        string recent = page.GetProperty("recent").GetString()!;
        Assert.Matches(@"\b200 complete ", recent);
        Assert.Matches(@"\b400 context too long ", recent);
        Assert.Contains(HostileModel, recent, StringComparison.Ordinal);
        Assert.Equal(0, page.GetProperty("images").GetInt32());
        Assert.Matches(@"\d+ ms whole \d+ ms \d+ in \d+ out \d+ stutter E\S+ removed ×\d+", recent);
        Assert.All(proxy.Runtime.Requests.Recent(), r => Assert.Contains(r.Entry.RequestId, recent, StringComparison.Ordinal));
        Assert.Matches(@"^up ready api-key · generic · 127\.0\.0\.1:\d+ priority 0 · 0 running", page.GetProperty("accounts").GetString());
        Assert.Matches(@"^0 running now 1 of 1 accounts ready 1 of 2 recent ones complete \S+ ms median to first byte 1 recent ones repaired$", page.GetProperty("tiles").GetString());
        Assert.Equal("ready", page.GetProperty("ready").GetString());
        Assert.Equal(["in", "out", "fail"], page.GetProperty("hours").EnumerateArray().Select(c => c.GetString()));
        Assert.Matches(@"^2 requests, 1 failed · \d+ tokens in \(\d+ cached\), \d+ out.* · no ledger is kept: only the recent requests count$", page.GetProperty("sums").GetString());
        Assert.Equal(24, page.GetProperty("bars").GetInt32());
        Assert.Equal(14, page.GetProperty("days").GetInt32());
    }

    [Fact]
    public async Task WrongKey_IsSaidAndTheRightOneOpens()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        // To the proxy every test comes from this machine; the refusal that others get is put in its place.
        JsonElement page = await RunAsync(proxy, """
            await tick();
            answerWith((path, options) => options.headers.authorization === 'Bearer right' ? pass(path, options) : refusal(401, 'no'));
            await tick();
            const seen = [];
            const look = () => seen.push([el('gate').hidden, el('main').hidden, el('wrong').hidden, el('key').value, isIdle()].join(' '));
            look();
            const before = asked.length;
            enter('wrong');
            await until(() => !el('wrong').hidden);
            look();
            enter('kein schlüssel');
            look();
            const between = asked.length - before;
            enter(' right ');
            await until(() => el('gate').hidden && !isIdle());
            look();
            return { seen, between, wrong: text('wrong') };
            """);
        Assert.Equal(["false true true  true", "false true false  true", "false true false  true", "true false false  false"], page.GetProperty("seen").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal(2, page.GetProperty("between").GetInt32());
        Assert.StartsWith("This key does not open the dashboard", page.GetProperty("wrong").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProxyGoneOrRefusing_IsSaidAndForgottenWhenItIsBack()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        JsonElement page = await RunAsync(proxy, """
            await tick();
            const seen = [];
            const look = () => seen.push([el('main').hidden, el('main').classes.has('stale'), el('notice').hidden, text('ready'), text('notice')].join('|'));
            answerWith(() => Promise.reject(new TypeError('Failed to fetch')));
            await tick();
            look();
            answerWith(() => refusal(403, 'The request comes from a page of another site.'));
            await tick();
            look();
            answerWith((path, options) => path.includes('usage') ? refusal(500, 'The ledger cannot be read: torn.') : pass(path, options));
            el('days').listeners.click();
            await until(() => text('sums').includes('ledger'));
            await tick();
            look();
            return { seen, sums: text('sums') };
            """);
        string[] seen = [.. page.GetProperty("seen").EnumerateArray().Select(s => s.GetString()!)];
        Assert.StartsWith($"false|true|false|no answer|The proxy does not answer at {proxy.Server.Address.Authority}.", seen[0], StringComparison.Ordinal);
        Assert.Equal("false|true|false|no answer|The request comes from a page of another site.", seen[1]);
        Assert.StartsWith("false|false|true|ready|", seen[2], StringComparison.Ordinal);
        Assert.Equal("The ledger cannot be read: torn.", page.GetProperty("sums").GetString());
    }

    [Fact]
    public async Task PageOutOfSight_AsksNothing()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        JsonElement page = await RunAsync(proxy, """
            await tick();
            const before = asked.length;
            page.hidden = true;
            await tick();
            const away = asked.length - before;
            page.hidden = false;
            page.listeners.visibilitychange();
            await until(() => asked.length > before);
            return { before, away, idle: asked.slice(0, 4) };
            """);
        Assert.Equal(0, page.GetProperty("away").GetInt32());
        Assert.Equal(["/admin/status", "/admin/requests", "/admin/usage?since=24h&by=hour", "/admin/models"], page.GetProperty("idle").EnumerateArray().Select(p => p.GetString()));
        // Status and requests each time; usage and models not again so soon.
        Assert.Equal(6, page.GetProperty("before").GetInt32());
    }

    private static async Task<JsonElement> RunAsync(RunningProxy proxy, string steps)
    {
        ProcessStartInfo start = new("node") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(RepositoryFiles.Locate("tests/QwenProxy.Tests/Dashboard/page.mjs"));
        start.ArgumentList.Add(proxy.Server.Address.AbsoluteUri);
        start.ArgumentList.Add(steps);
        Process? node = null;
        try
        {
            node = Process.Start(start);
        }
        catch (Win32Exception)
        {
            Assert.Skip("There is no Node on this machine.");
        }

        using (node)
        {
            using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
            Task<string> output = node!.StandardOutput.ReadToEndAsync(limit.Token);
            string error = await node.StandardError.ReadToEndAsync(limit.Token);
            await node.WaitForExitAsync(limit.Token);
            Assert.True(node.ExitCode == 0, error);
            using JsonDocument json = JsonDocument.Parse(await output);
            return json.RootElement.Clone();
        }
    }
}
