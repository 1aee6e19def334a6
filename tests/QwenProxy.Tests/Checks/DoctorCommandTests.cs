using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Checks;
using QwenProxy.Configuration;
using QwenProxy.Hosting;
using QwenProxy.Simulator;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Checks;

/// <summary>The command as a whole: what it prints where, how it exits, that it ends, and that one account does not stand in another's way.</summary>
public sealed class DoctorCommandTests : IDisposable
{
    private readonly DoctorRun _doctor = new();

    public void Dispose() => _doctor.Dispose();

    [Fact]
    public async Task HealthyAccount_PassesEveryCheckAndExits0()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ApiKey = "the-right-key" });
        _doctor.Configure(upstream.BaseUrl, """, "models": ["qwen3.7-plus"]""");
        Assert.Equal(0, await _doctor.RunAsync());
        Assert.Matches("^ACCOUNT +CHECK +RESULT +WHAT$", _doctor.Lines[0]);
        Assert.Equal(["file", "endpoint", "clock", "key", "region", "models"], _doctor.Lines[1..].Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        Assert.Equal(["ok", "ok", "ok", "ok", "skipped", "ok"], _doctor.Lines[1..].Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2]));
        Assert.Contains("Checking 1 account, at most 30 s", _doctor.Error, StringComparison.Ordinal);
        Assert.Contains("up: no fault", _doctor.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("the-right-key", _doctor.Out + _doctor.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeadAccount_DoesNotHideTheOther()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ApiKey = "k-alive" });
        _doctor.Configure($$"""
            { "accounts": [
              { "name": "dead", "baseUrl": "http://127.0.0.1:{{ClosedPort()}}/v1", "apiKey": "k-dead" },
              { "name": "alive", "baseUrl": "{{upstream.BaseUrl}}", "apiKey": "k-alive" },
              { "name": "off", "baseUrl": "http://127.0.0.1:1/v1", "disabled": true } ] }
            """);
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        (string result, string says, string? fix) = _doctor.Find("endpoint", "dead");
        Assert.Equal("fault", result);
        Assert.Contains("it refuses connections", says, StringComparison.Ordinal);
        Assert.Contains("host and port in baseUrl", fix, StringComparison.Ordinal);
        Assert.Equal("ok", _doctor.Find("key", "alive").Result);
        Assert.Contains("dead: 1 fault", _doctor.Error, StringComparison.Ordinal);
        Assert.Contains("off is switched off", _doctor.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_IsAloneOnStdoutAndTellsWhetherAllIsWell()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ApiKey = "another" });
        _doctor.Configure(upstream.BaseUrl);
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        using JsonDocument json = JsonDocument.Parse(_doctor.Out);
        Assert.False(json.RootElement.GetProperty("ok").GetBoolean());
        JsonElement account = json.RootElement.GetProperty("accounts")[0];
        Assert.Equal(("up", "generic", false), (account.GetProperty("name").GetString(), account.GetProperty("profile").GetString(), account.GetProperty("ok").GetBoolean()));
        Assert.All(account.GetProperty("checks").EnumerateArray().Where(c => c.GetProperty("result").GetString() == "fault"),
            c => Assert.NotEmpty(c.GetProperty("fix").GetString()!));
    }

    [Fact]
    public async Task Fixes_StandBelowTheTableInLinesOfTheirOwn()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ApiKey = "another" });
        _doctor.Configure(upstream.BaseUrl);
        Assert.Equal(2, await _doctor.RunAsync());
        Assert.Equal("fix up key: put a valid key into the apiKey of 'up'", _doctor.Lines[^1]);
    }

    [Fact]
    public async Task NoAccount_SaysWhatToDoAndExits2()
    {
        Assert.Equal(2, await _doctor.RunAsync());
        Assert.Contains("qwen-proxy login", _doctor.Error, StringComparison.Ordinal);
        Assert.Empty(_doctor.Out);
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        using JsonDocument json = JsonDocument.Parse(_doctor.Out);
        Assert.False(json.RootElement.GetProperty("ok").GetBoolean());
        Assert.Equal(0, json.RootElement.GetProperty("accounts").GetArrayLength());
    }

    [Fact]
    public async Task BadConfiguration_Exits64()
    {
        _doctor.Folder.Variables["PORT"] = "x";
        Assert.Equal(64, await _doctor.RunAsync());
        Assert.Empty(_doctor.Out);
    }

    [Fact]
    public async Task SilentService_IsToldWhileWaitingAndGivenUp()
    {
        FakeClock clock = new();
        using DoctorRun doctor = new() { Time = clock };
        await using RawUpstream silent = new(exchange => exchange.WaitForHangUpAsync());
        await using RawUpstream quick = RawUpstream.Always(RawUpstream.Json(200, """{"data":[{"id":"m"}]}"""));
        doctor.Configure($$"""
            { "accounts": [
              { "name": "slow", "baseUrl": "{{silent.BaseUrl}}" },
              { "name": "quick", "baseUrl": "{{quick.BaseUrl}}" } ] }
            """);
        Task<int> run = doctor.RunAsync("doctor --json");
        await Until.TrueAsync(() => !silent.Requests.IsEmpty && doctor.Error.Contains("quick: no fault", StringComparison.Ordinal), TimeSpan.FromSeconds(30));

        // The bound of the account, that of the call, and the patience of the one who waits.
        await Until.TrueAsync(() => clock.ArmedTimers == 3, TimeSpan.FromSeconds(30));
        clock.Advance(TimeSpan.FromSeconds(3));
        await Until.TrueAsync(() => doctor.Error.Contains("Still waiting for slow …", StringComparison.Ordinal), TimeSpan.FromSeconds(30));
        Assert.False(run.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(7));
        Assert.Equal(2, await run);
        (string result, string says, _) = doctor.Find("endpoint", "slow");
        Assert.Equal("fault", result);
        Assert.Contains("did not answer within 10 s", says, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AllChecksTogether_EndWithinTheirBound()
    {
        FakeClock clock = new();
        await using RawUpstream silent = new(exchange => exchange.WaitForHangUpAsync());
        ProxySnapshot snapshot = new() { Accounts = [RunningProxy.Account("up", silent.BaseUrl)] };
        await using ProxyRuntime runtime = new(snapshot, NullLoggerFactory.Instance, clock, new Random(1));
        Task<AccountReport> check = new AccountDoctor(runtime.Upstreams.Authorizer, runtime.Upstreams.Transport, runtime.Router.Table, snapshot, clock, mayProbe: false) { Limit = TimeSpan.FromSeconds(4) }.CheckAsync(snapshot.Accounts[0], TestContext.Current.CancellationToken);
        await Until.TrueAsync(() => !silent.Requests.IsEmpty, TimeSpan.FromSeconds(30));
        clock.Advance(TimeSpan.FromSeconds(4));
        Finding found = Assert.Single((await check).Findings);
        Assert.Equal((CheckName.Endpoint, CheckResult.Fault, "the checks did not end within 4 s"), (found.Check, found.Result, found.Says));
    }

    [Fact]
    public async Task CancelledRun_EndsAtOnce()
    {
        await using RawUpstream silent = new(exchange => exchange.WaitForHangUpAsync());
        _doctor.Configure(silent.BaseUrl);
        using CancellationTokenSource stop = new();
        StringWriter output = new();
        QwenProxy.Console.Terminal terminal = new(output, TextWriter.Synchronized(new StringWriter()));
        Task<int> run = new QwenProxy.Console.DoctorCommand(terminal, flags => _doctor.Folder.Sources, new FakeClock()).RunAsync(new(false, false, new()), stop.Token);
        await Until.TrueAsync(() => !silent.Requests.IsEmpty, TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        Assert.Empty(output.ToString());
    }

    private static int ClosedPort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
