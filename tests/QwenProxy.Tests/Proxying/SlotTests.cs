using System.Collections.Concurrent;
using System.Net;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Accounts with <c>maxConcurrent</c>: what waits, in which order, and how it ends.</summary>
public sealed class SlotTests
{
    private const string Answer = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    private readonly ConcurrentQueue<string> _order = new();
    private readonly SemaphoreSlim _goOn = new(0);
    private int _running;
    private int _most;

    [Fact]
    public async Task Burst_WaitsHereAndTakesTurnsWithAnotherClient()
    {
        await using RawUpstream upstream = Upstream();
        await using RunningProxy proxy = await StartAsync([Account("up", upstream, 1)]);
        List<Task<HttpStatusCode>> asked = [AskAsync(proxy, "greedy")];
        await Until.TrueAsync(() => _order.Count == 1, TimeSpan.FromSeconds(30));
        for (int i = 0; i < 12; i++) asked.Add(AskAsync(proxy, "greedy"));
        await WaitingAsync(proxy, 12);
        for (int i = 0; i < 3; i++) asked.Add(AskAsync(proxy, "modest"));
        await WaitingAsync(proxy, 15);
        _goOn.Release(100);
        Assert.All(await Task.WhenAll(asked), status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(1, _most);
        // The modest client is through after one turn each of the greedy one's.
        string[] order = [.. _order];
        Assert.InRange(Array.LastIndexOf(order, "modest"), 3, 7);
        AssertAtRest(proxy);
    }

    [Fact]
    public async Task FullAccount_IsPassedByForAFreeOneOfLowerPriority()
    {
        await using RawUpstream upstream = Upstream();
        await using RunningProxy proxy = await StartAsync([Account("first", upstream, 1), Account("second", upstream, 1) with { Priority = 5 }]);
        Task<HttpStatusCode>[] asked = [AskAsync(proxy, "greedy"), AskAsync(proxy, "greedy")];
        await Until.TrueAsync(() => _order.Count == 2, TimeSpan.FromSeconds(30));
        Assert.Equal((1, 1), (proxy.Runtime.Router.Pool.LoadOf("first"), proxy.Runtime.Router.Pool.LoadOf("second")));
        _goOn.Release(100);
        await Task.WhenAll(asked);
        AssertAtRest(proxy);
    }

    [Fact]
    public async Task FullQueueAndLongWait_Are503ThatSaysHowManyWait()
    {
        await using RawUpstream upstream = Upstream();
        await using RunningProxy proxy = await StartAsync([Account("up", upstream, 1)], l => l with { QueuedRequests = 1, QueueSeconds = 3 });
        Task<HttpStatusCode> running = AskAsync(proxy, "greedy");
        await Until.TrueAsync(() => _order.Count == 1, TimeSpan.FromSeconds(30));
        Task<(HttpStatusCode, string)> waiting = TellAsync(proxy, "greedy");
        await WaitingAsync(proxy, 1);
        (HttpStatusCode status, string text) = await TellAsync(proxy, "greedy");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("\"queue_full\"", text, StringComparison.Ordinal);
        Assert.Contains("1 request waits now", text, StringComparison.Ordinal);
        (status, text) = await waiting;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("none had room within", text, StringComparison.Ordinal);
        _goOn.Release(100);
        Assert.Equal(HttpStatusCode.OK, await running);
        AssertAtRest(proxy);
    }

    [Fact]
    public async Task ClientThatLeavesTheQueue_LeavesNoSlotTaken()
    {
        await using RawUpstream upstream = Upstream();
        await using RunningProxy proxy = await StartAsync([Account("up", upstream, 1)]);
        Task<HttpStatusCode> running = AskAsync(proxy, "greedy");
        await Until.TrueAsync(() => _order.Count == 1, TimeSpan.FromSeconds(30));
        using CancellationTokenSource leave = new();
        Task<HttpResponseMessage>[] waiting = [.. Enumerable.Range(0, 5).Select(i => proxy.Client.SendAsync(Request(i == 0 ? "greedy" : "modest"), leave.Token))];
        await WaitingAsync(proxy, 5);
        await leave.CancelAsync();
        await WaitingAsync(proxy, 0);
        foreach (Task<HttpResponseMessage> one in waiting) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one);
        _goOn.Release(100);
        Assert.Equal(HttpStatusCode.OK, await running);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(proxy, "modest"));
        AssertAtRest(proxy);
    }

    [Fact]
    public async Task LimitThatIsRaised_LetsTheWaitingIn()
    {
        await using RawUpstream upstream = Upstream();
        await using RunningProxy proxy = await StartAsync([Account("up", upstream, 1)]);
        Task<HttpStatusCode>[] asked = [.. Enumerable.Range(0, 4).Select(_ => AskAsync(proxy, "greedy"))];
        await WaitingAsync(proxy, 3);
        proxy.Runtime.Apply(proxy.Runtime.Snapshot with { Accounts = [Account("up", upstream, 3)] });
        await Until.TrueAsync(() => _order.Count == 3, TimeSpan.FromSeconds(30));
        _goOn.Release(100);
        Assert.All(await Task.WhenAll(asked), status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(3, _most);
        AssertAtRest(proxy);
    }

    [Fact]
    public async Task UpstreamThatRefusesMoreThanThree_AnswersABurstOfTwentyInTheEnd()
    {
        int running = 0;
        int refused = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            try
            {
                if (Interlocked.Increment(ref running) > 3)
                {
                    Interlocked.Increment(ref refused);
                    await exchange.SendAsync(RawUpstream.Json(429, "{\"error\":{\"message\":\"concurrency allocated quota exceeded\",\"code\":\"insufficient_quota\"}}"));
                    return;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
                await exchange.SendAsync(RawUpstream.Sse(Answer));
            }
            finally
            {
                Interlocked.Decrement(ref running);
            }
        });
        await using RunningProxy proxy = await StartAsync([RunningProxy.Account("up", upstream.BaseUrl)]);
        HttpStatusCode[] statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => AskAsync(proxy, i % 2 == 0 ? "greedy" : "modest")));
        Assert.All(statuses, status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.True(refused > 0);
        Assert.NotNull(proxy.Runtime.Router.Pool.LimitOf("up"));
        AssertAtRest(proxy);
    }

    private RawUpstream Upstream() => new(async exchange =>
    {
        _order.Enqueue(exchange.Body.AsSpan().IndexOf("modest"u8) >= 0 ? "modest" : "greedy");
        int now = Interlocked.Increment(ref _running);
        for (int most = _most; now > most; most = _most) Interlocked.CompareExchange(ref _most, now, most);
        await _goOn.WaitAsync();
        Interlocked.Decrement(ref _running);
        await exchange.SendAsync(RawUpstream.Sse(Answer));
    });

    private static AccountSnapshot Account(string name, RawUpstream upstream, int slots) => RunningProxy.Account(name, upstream.BaseUrl) with { MaxConcurrent = slots };

    private static Task<RunningProxy> StartAsync(AccountSnapshot[] accounts, Func<LimitsSnapshot, LimitsSnapshot>? limits = null) => RunningProxy.StartAsync(new ProxySnapshot
    {
        Accounts = [.. accounts],
        Clients = [new ClientSnapshot("greedy", new Secret("sk-greedy")), new ClientSnapshot("modest", new Secret("sk-modest"))],
        Limits = limits?.Invoke(new LimitsSnapshot()) ?? new LimitsSnapshot(),
    });

    private static HttpRequestMessage Request(string client)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true, question: client)) };
        request.Headers.Add("x-api-key", "sk-" + client);
        return request;
    }

    private static async Task<HttpStatusCode> AskAsync(RunningProxy proxy, string client) => (await TellAsync(proxy, client)).Status;

    private static async Task<(HttpStatusCode Status, string Text)> TellAsync(RunningProxy proxy, string client)
    {
        using HttpResponseMessage response = await proxy.Client.SendAsync(Request(client));
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static Task WaitingAsync(RunningProxy proxy, int count) => Until.TrueAsync(() => proxy.Runtime.Router.Pool.Waiting == count, TimeSpan.FromSeconds(30));

    private static void AssertAtRest(RunningProxy proxy) =>
        Assert.Equal((0, 0, 0), (proxy.Runtime.Router.Pool.LeasesOut, proxy.Runtime.Router.Pool.Waiting, proxy.Runtime.Router.Pool.LoadOf("up") + proxy.Runtime.Router.Pool.LoadOf("first")));
}
