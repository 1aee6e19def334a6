using Microsoft.Extensions.Logging;
using QwenProxy.Core.Resilience;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>The client hangs up in every phase: upstream is cancelled, nobody is blamed, nothing stays taken.</summary>
public sealed class HangUpTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("silence", true)]
    [InlineData("silence", false)]
    [InlineData("headers-then-silence", true)]
    [InlineData("headers-then-silence", false)]
    [InlineData("comments-only?every=20", true)]
    [InlineData("stall?events=3", true)]
    [InlineData("stall?events=3", false)]
    [InlineData("long?characters=40000&gap=20", true)]
    [InlineData("long?characters=40000&gap=20", false)]
    [InlineData("slow-drip?gap=20", true)]
    public async Task ClientHangsUp_UpstreamIsCancelledAndNobodyBlamed(string scenario, bool stream)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Breaker = s.Breaker with { Failures = 1 } });
        int asked = 0;
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            foreach (bool reset in new[] { false, true })
            {
                using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
                await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream), Dialect.Path(dialect)));
                await upstream.WaitForRequestsAsync(++asked).WaitAsync(Soon);
                if (stream && scenario is "stall?events=3" or "slow-drip?gap=20" or "long?characters=40000&gap=20" && stream) await client.ReadUntilAsync("\r\n\r\n");
                if (reset) client.Reset();
                else client.Dispose();
                await upstream.Requests[asked - 1].Aborted.WaitAsync(Soon);
            }
        }

        await Until.TrueAsync(() => RequestLines(proxy).Length == asked, Soon);
        Assert.All(RequestLines(proxy), line => Assert.Contains(" 499 client_gone ", line, StringComparison.Ordinal));
        Assert.Equal(0, proxy.Runtime.Router.Pool.LeasesOut);
        Assert.Equal(0, proxy.Runtime.Drain.Active);
        Assert.DoesNotContain(proxy.Runtime.Router.Pool.Export(DateTimeOffset.UnixEpoch).Breakers, b => b.Failures > 0 || b.State != BreakerState.Closed);
        Assert.DoesNotContain(proxy.Log.At(LogLevel.Error), _ => true);
    }

    [Fact]
    public async Task ClientHangsUpWhileARetryWaits_NothingMoreIsAsked()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-429-rate?retryAfter=15" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync(RawClient.Post(Dialect.Body(Dialect.Chat, stream: true)));
        await Until.TrueAsync(() => proxy.Log.Lines.Any(l => l.Contains("waits", StringComparison.Ordinal)), Soon);
        client.Dispose();
        await Until.TrueAsync(() => RequestLines(proxy).Length == 1, TimeSpan.FromSeconds(10));
        Assert.Contains(" 499 client_gone ", RequestLines(proxy)[0], StringComparison.Ordinal);
        Assert.Single(upstream.Requests);
        Assert.Equal(0, proxy.Runtime.Router.Pool.LeasesOut);
    }

    [Fact]
    public async Task ClientHangsUpInsideItsOwnBody_IsNoError()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using (RawClient client = await RawClient.ConnectAsync(proxy.Server.Address))
        {
            await client.SendAsync("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"model\":");
        }

        await Until.TrueAsync(() => RequestLines(proxy).Length == 1, Soon);
        Assert.Contains(" 499 client_gone ", RequestLines(proxy)[0], StringComparison.Ordinal);
        Assert.Empty(upstream.Requests);
        Assert.DoesNotContain(proxy.Log.At(LogLevel.Error), _ => true);
    }

    [Fact]
    public async Task ClientHangsUpOnAForwardedRequest_UpstreamIsCancelled()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => "silence" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync(RawClient.Post("""{"model":"m","input":"x"}""", "/v1/embeddings"));
        await upstream.WaitForRequestsAsync(1).WaitAsync(Soon);
        client.Reset();
        await upstream.Requests[0].Aborted.WaitAsync(Soon);
        await Until.TrueAsync(() => RequestLines(proxy).Length == 1, Soon);
        Assert.Contains(" 499 client_gone ", RequestLines(proxy)[0], StringComparison.Ordinal);
    }

    internal static string[] RequestLines(RunningProxy proxy) => [.. proxy.Log.At(LogLevel.Information).Where(l => l.Contains("request=req_", StringComparison.Ordinal) && l.Contains("durationMs=", StringComparison.Ordinal))];
}
