using System.Net;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Hosting;

/// <summary>Stopping: nobody new is let in, who is in may finish, and who does not is told. And the swap of the configuration under way.</summary>
public sealed class DrainTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(Dialect.Chat)]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task Drain_RefusesNewRequestsAndLetsRunningOnesFinish(string dialect)
    {
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"first \"}}]}\n\n"));
            await goOn.Task;
            await exchange.SendAsync("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"last\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage running = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
        Task stopping = proxy.Server.StopAsync(TimeSpan.FromSeconds(60));
        await Until.TrueAsync(() => proxy.Runtime.Drain.IsDraining, Soon);

        using RawClient ready = await RawClient.ConnectAsync(proxy.Server.Address);
        await ready.SendAsync("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 503", (await ready.ReadToEndAsync()).Head, StringComparison.Ordinal);
        using RawClient late = await RawClient.ConnectAsync(proxy.Server.Address);
        await late.SendAsync(RawClient.Post(Dialect.Body(dialect, stream: true), Dialect.Path(dialect), "Connection: close\r\n"));
        RawResponse refused = await late.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 503", refused.Head, StringComparison.Ordinal);
        Assert.Contains("Retry-After: ", refused.Head, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("stopping", refused.Body, StringComparison.Ordinal);
        foreach (string path in new[] { "GET /v1/models", "GET /v1/models/m", "GET /v1/files", "GET /v1/responses/r" })
        {
            using RawClient other = await RawClient.ConnectAsync(proxy.Server.Address);
            await other.SendAsync($"{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            RawResponse no = await other.ReadToEndAsync();
            Assert.StartsWith("HTTP/1.1 503", no.Head, StringComparison.Ordinal);
            Assert.NotNull(no.Header("Retry-After"));
            Assert.Contains("draining", no.Body, StringComparison.Ordinal);
        }

        Assert.False(stopping.IsCompleted);
        goOn.SetResult();
        (string text, bool orderly) = await RunningProxy.ReadAsync(running);
        Assert.True(orderly && StreamText.IsComplete(text));
        Assert.Equal("first last", StreamText.Content(text));
        await stopping.WaitAsync(Soon);
    }

    [Theory]
    [InlineData(Dialect.Chat)]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task DrainThatRunsOut_EndsStreamsWithAnErrorEvent(string dialect)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "stall?events=3" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream: true), Dialect.Path(dialect)));
        string begun = await client.ReadUntilAsync("\r\n\r\n");
        Task stopping = proxy.Server.StopAsync(TimeSpan.FromMilliseconds(300));
        string rest = await client.ReadUntilAsync("The proxy is stopping and ended this answer before it was finished");
        await stopping.WaitAsync(Soon);
        Assert.StartsWith("HTTP/1.1 200", begun, StringComparison.Ordinal);
        Assert.False(StreamText.IsComplete(rest));
        await upstream.Requests[0].Aborted.WaitAsync(Soon);
    }

    [Fact]
    public async Task NewConfiguration_IsUsedByNewRequestsOnly()
    {
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream before = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"old \"}}]}\n\n"));
            await goOn.Task;
            await exchange.SendAsync("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"end\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        });
        await using RawUpstream after = RawUpstream.Always(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"new\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(before.BaseUrl);
        using HttpResponseMessage running = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        ProxySnapshot snapshot = proxy.Runtime.Snapshot;
        proxy.Runtime.Apply(snapshot with { Accounts = [RunningProxy.Account("other", after.BaseUrl)], Pool = new PoolSnapshot(1, 1, 5), Clients = [new ClientSnapshot("c", new QwenProxy.Core.Accounts.Secret("k"))] });

        using HttpResponseMessage unknown = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.Unauthorized, unknown.StatusCode);
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true)) };
        request.Headers.Add("api-key", "k");
        using HttpResponseMessage fresh = await proxy.Client.SendAsync(request);
        Assert.Equal("new", StreamText.Content((await RunningProxy.ReadAsync(fresh)).Text));
        Assert.Equal("other", Assert.Single(fresh.Headers.GetValues("x-qwen-proxy-account")));

        goOn.SetResult();
        (string text, bool orderly) = await RunningProxy.ReadAsync(running);
        Assert.Equal("old end", StreamText.Content(text));
        Assert.True(orderly);
    }

    [Fact]
    public async Task WithoutAnAccount_ReadyIs503AndEveryDialectIsTold()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot());
        using HttpResponseMessage ready = await proxy.Client.GetAsync("/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
            string text = await response.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Contains("qwen-proxy login", StreamText.Error(text)!.Value.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }
}
