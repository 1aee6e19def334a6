using System.Net;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary><c>retry.hedgeSeconds</c>: after a silence a second account is asked in parallel; the first to answer wins and the other is let off.</summary>
public sealed class HedgeTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task SilentAccount_IsOvertakenAndLetOff()
    {
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            foreach (bool stream in new[] { true, false })
            {
                await using World world = await World.StartAsync("silence", "healthy");
                using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
                (string text, bool orderly) = await RunningProxy.ReadAsync(response);
                Assert.True(orderly && response.StatusCode == HttpStatusCode.OK, text);
                Assert.Equal(BenchWorld.Wanted, stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
                Assert.Equal(("b", "2"), Served(response));
                await Assert.Single(world.First.Requests).Aborted.WaitAsync(Soon);
                await world.AssertNobodyIsBlamedAsync();
            }
        }
    }

    [Fact]
    public async Task SlowAccountThatAnswersFirst_Wins()
    {
        await using World world = await World.StartAsync("delay?ms=700", "silence");
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(BenchWorld.Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.Equal(("a", "2"), Served(response));
        await Assert.Single(world.Second.Requests).Aborted.WaitAsync(Soon);
        await world.AssertNobodyIsBlamedAsync();
    }

    [Theory]
    [InlineData("healthy", 30, 4)]
    [InlineData("delay?ms=700", 0, 4)]
    [InlineData("delay?ms=700", 0.2, 1)]
    public async Task QuickAnswerOrHedgeOffOrNoBudget_AsksOneAccount(string scenario, double hedgeSeconds, int maxAttempts)
    {
        await using World world = await World.StartAsync(scenario, "healthy", hedgeSeconds, maxAttempts);
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(BenchWorld.Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.Equal(("a", "1"), Served(response));
        Assert.Empty(world.Second.Requests);
    }

    [Fact]
    public async Task OnlyOneAccount_IsNeverAskedTwiceAtOnce()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "delay?ms=700" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => FailoverTests.WithFallback(s) with { Retry = s.Retry with { HedgeSeconds = 0.2 } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(BenchWorld.Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.Single(upstream.Requests);
    }

    [Theory]
    [InlineData("status?code=500&with=delay&ms=700", "delay?ms=1500", "b", "a")]
    [InlineData("delay?ms=1500", "status?code=500&with=delay&ms=300", "a", "b")]
    public async Task OneOfTwoFails_TheOtherGoesOnAlone(string first, string second, string serves, string blamed)
    {
        await using World world = await World.StartAsync(first, second);
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(BenchWorld.Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.Equal((serves, "2"), Served(response));
        Assert.Equal((blamed, 1), Assert.Single(world.Standing().Breakers.Select(b => (b.Account, b.Failures))));
    }

    [Fact]
    public async Task BothFail_BothCountInTheBudget()
    {
        const string late = "status?code=500&with=delay&ms=600";
        await using World world = await World.StartAsync(late, late, maxAttempts: 2);
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Equal("2", Served(response).Attempts);
        Assert.Equal((1, 1), (world.First.Requests.Count, world.Second.Requests.Count));
    }

    [Fact]
    public async Task WithdrawnAttempt_CountsInTheBudget()
    {
        // The hedge wins and breaks before its answer is whole: of three attempts one is left, which asks the first account again.
        await using World world = await World.StartAsync("sequence:silence|status?code=500", "cut?events=5", maxAttempts: 3);
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false));
        Assert.Equal("3", Served(response).Attempts);
        Assert.Equal(3, world.First.Requests.Count + world.Second.Requests.Count);
    }

    [Theory]
    [InlineData("error-400-parameter")]
    [InlineData("error-400-range")]
    public async Task FailureOfTheRequestItself_IsToldAtOnce(string fault)
    {
        await using World world = await World.StartAsync($"{fault}?with=delay&ms=700", "silence");
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true)).WaitAsync(Soon);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        await Assert.Single(world.Second.Requests).Aborted.WaitAsync(Soon);
        await world.AssertNobodyIsBlamedAsync();
    }

    [Fact]
    public async Task ClientHangsUp_BothAreCancelledWithoutBlame()
    {
        await using World world = await World.StartAsync("silence", "silence");
        using CancellationTokenSource hangUp = new();
        Task<HttpResponseMessage> asking = world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true), cancellationToken: hangUp.Token);
        await Until.TrueAsync(() => world.Second.Requests.Count == 1, Soon);
        await hangUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await Task.WhenAll(world.First.Requests[0].Aborted, world.Second.Requests[0].Aborted).WaitAsync(Soon);
        await world.AssertNobodyIsBlamedAsync();
    }

    [Fact]
    public async Task BothAnswerInTheSameMoment_TheClientReadsOneAnswer()
    {
        await using World world = await World.StartAsync("delay?ms=60", "delay?ms=35", hedgeSeconds: 0.025);
        await Parallel.ForAsync(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, stop) =>
        {
            bool stream = i % 2 == 0;
            using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream), cancellationToken: stop);
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly, text);
            Assert.Equal(BenchWorld.Wanted, stream ? StreamText.Content(text) : Dialect.TextOf(Dialect.Chat, text));
        });
        Assert.True(world.Second.Requests.Count > 0);
        await world.AssertNobodyIsBlamedAsync();
    }

    [Fact]
    public async Task KeepAlive_GoesOnWhileTwoAreAsked()
    {
        await using World world = await World.StartAsync("silence", "delay?ms=800", configure: s => s with { Timeouts = s.Timeouts with { KeepAlive = TimeSpan.FromMilliseconds(100) } });
        using HttpResponseMessage response = await world.Proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.StartsWith(": keep-alive", text, StringComparison.Ordinal);
        Assert.True(orderly && StreamText.IsComplete(text));
        Assert.Equal(BenchWorld.Wanted, StreamText.Content(text));
    }

    private static (string Account, string Attempts) Served(HttpResponseMessage response) =>
        (Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")), Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));

    /// <summary>Two accounts, the first preferred, and a proxy that hedges.</summary>
    private sealed class World(SimulatorServer first, SimulatorServer second, RunningProxy proxy) : IAsyncDisposable
    {
        public SimulatorServer First => first;

        public SimulatorServer Second => second;

        public RunningProxy Proxy => proxy;

        public static async Task<World> StartAsync(string first, string second, double hedgeSeconds = 0.2, int maxAttempts = 4, Func<ProxySnapshot, ProxySnapshot>? configure = null)
        {
            SimulatorServer one = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = first });
            SimulatorServer two = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = second });
            ProxySnapshot snapshot = FailoverTests.Two(one, two) with { Retry = new RetrySnapshot(maxAttempts, HedgeSeconds: hedgeSeconds) };
            return new World(one, two, await RunningProxy.StartAsync(snapshot, configure));
        }

        public PoolRecord Standing() => proxy.Runtime.Router.Pool.Export(DateTimeOffset.UnixEpoch);

        public async Task AssertNobodyIsBlamedAsync()
        {
            await Until.TrueAsync(() => proxy.Runtime.Router.Pool.LeasesOut == 0 && proxy.Runtime.Drain.Active == 0, Soon);
            Assert.Empty(Standing().Breakers);
            Assert.Empty(Standing().Cooldowns);
        }

        public async ValueTask DisposeAsync()
        {
            await proxy.DisposeAsync();
            await first.DisposeAsync();
            await second.DisposeAsync();
        }
    }
}
