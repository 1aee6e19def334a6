using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Each time limit ends what it should and is named in the error. The upstreams stay silent for ever; the limits are short.</summary>
public sealed class TimeoutTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    [Theory]
    [InlineData("silence")]
    [InlineData("headers-then-silence")]
    [InlineData("comments-only?every=50")]
    public async Task NoFirstEvent_Is504NamedAfterTheFirstToken(string scenario)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => ErrorTests.OneAttempt(s) with { Timeouts = s.Timeouts with { FirstToken = Short } });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            foreach (bool stream in new[] { true, false })
            {
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
                string text = await response.Content.ReadAsStringAsync();
                Assert.True(response.StatusCode == HttpStatusCode.GatewayTimeout, text);
                Assert.Contains("firstTokenSeconds", text, StringComparison.Ordinal);
                Assert.Contains("0.3 s", text, StringComparison.Ordinal);
            }
        }

        await Task.WhenAll(upstream.Requests.Select(r => r.Aborted)).WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task NoFirstEvent_WithoutAnotherAccount_IsBoundedByTheReadTimeout()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "headers-then-silence" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Timeouts = s.Timeouts with { Idle = Short } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("upstream_timeout", StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("code").GetString());
        // Silence is not asked a second time when there is nobody else.
        Assert.Single(upstream.Requests);
    }

    [Fact]
    public async Task SilenceInsideTheAnswer_IsAnErrorEventNamedAfterIdle()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "stall?events=3" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Resume = false, Timeouts = s.Timeouts with { Idle = Short, FirstToken = TimeSpan.FromSeconds(30) } });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.False(orderly);
            Assert.False(StreamText.IsComplete(text));
            Assert.Contains("idleSeconds", StreamText.Error(text)!.Value.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task CommentsInsideTheAnswer_DoNotCountAsProgress()
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n"));
            while (!exchange.Stopped.IsCancellationRequested)
            {
                await exchange.SendAsync(": still here\n\n");
                await Task.Delay(30, exchange.Stopped);
            }
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Resume = false, Timeouts = s.Timeouts with { Idle = Short } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, _) = await RunningProxy.ReadAsync(response).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains("idleSeconds", StreamText.Error(text)!.Value.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task BytesOfOneGrowingEvent_CountAsProgress()
    {
        const string head = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(head + "first\"}}]}\n\n" + head));
            for (int i = 0; i < 30; i++)
            {
                await Task.Delay(50, exchange.Stopped);
                await exchange.SendAsync("x");
            }

            await exchange.SendAsync("\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        });
        // Thirty pieces take 1.5 s at least, longer than the limit of one silence.
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Resume = false, Timeouts = s.Timeouts with { Idle = TimeSpan.FromSeconds(1.2) } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly, text);
        Assert.Equal("first" + new string('x', 30), StreamText.Content(text));
    }

    [Fact]
    public async Task WholeStreamTooLong_IsAnErrorEventThatNamesTheSetting()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "long?characters=40000&gap=20" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Timeouts = s.Timeouts with { Streaming = TimeSpan.FromSeconds(1) } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.False(orderly, text);
        JsonElement error = StreamText.Error(text)!.Value;
        Assert.Equal("upstream_timeout", error.GetProperty("code").GetString());
        Assert.Contains("STREAMING_TIMEOUT_SECONDS", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Single(upstream.Requests);
        await upstream.Requests[0].Aborted.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task WholeRequestTooLong_IsA504ThatNamesTheSetting()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "long?characters=40000&gap=20" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Timeouts = s.Timeouts with { Request = TimeSpan.FromSeconds(1) } });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: false), Dialect.Path(dialect));
            string text = await response.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
            Assert.Contains("REQUEST_TIMEOUT_SECONDS", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task BodyThatNeverComes_IsBoundedByTheRequestTimeout()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse("data: [DONE]\n\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Timeouts = s.Timeouts with { Request = Short, Streaming = Short } });
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"model\":");
        string text = await client.ReadUntilAsync("\r\n\r\n").WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Matches("^HTTP/1.1 (408|504) ", text);
        Assert.Empty(upstream.Requests);
    }

    [Fact]
    public async Task NoConnection_Is504NamedAfterConnect()
    {
        // A listener whose queue is full and which accepts nobody: the kernel drops further SYNs, so connecting takes for ever.
        using Socket full = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        IPEndPoint end = (IPEndPoint)full.LocalEndPoint!;
        List<Socket> fillers = [];
        for (int i = 0; i < 4; i++)
        {
            Socket filler = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            fillers.Add(filler);
            _ = filler.ConnectAsync(end).ContinueWith(static t => _ = t.Exception, TaskScheduler.Default);
        }

        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri($"http://127.0.0.1:{end.Port}/v1"), s => ErrorTests.OneAttempt(s) with { Timeouts = s.Timeouts with { Connect = Short } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        string text = await response.Content.ReadAsStringAsync();
        foreach (Socket filler in fillers) filler.Dispose();
        Assert.True(response.StatusCode == HttpStatusCode.GatewayTimeout, text);
        Assert.Contains("connectSeconds", text, StringComparison.Ordinal);
        Assert.Contains("0.3 s", text, StringComparison.Ordinal);
    }
}
