using System.Text;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Many streams, slow readers, idle streams: nothing is mixed up and nothing grows without bound.</summary>
[Collection(nameof(BackpressureTests))]
public sealed class BackpressureTests
{
    private const int PieceBytes = 4000;
    private const int Pieces = 8000;

    [Theory]
    [InlineData(Dialect.Chat)]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task SlowReader_SlowsUpstreamDownAndGetsEverything(string dialect)
    {
        long accepted = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(""));
            for (int i = 0; i < Pieces; i++)
            {
                byte[] piece = Encoding.UTF8.GetBytes(Event(i));
                await exchange.SendAsync(piece);
                Interlocked.Add(ref accepted, piece.Length);
            }

            await exchange.SendAsync("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address, receiveBufferBytes: 64 * 1024);
        await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream: true), Dialect.Path(dialect), "Connection: close\r\n"));
        // Upstream is held up when its count stands still; then all that lies between is the buffers of two sockets and the proxy.
        long last = -1;
        while (last != Interlocked.Read(ref accepted) || last == 0)
        {
            last = Interlocked.Read(ref accepted);
            await Task.Delay(TimeSpan.FromMilliseconds(700), TimeProvider.System);
        }

        Assert.InRange(last, 1, 16 * 1024 * 1024);
        RawResponse response = await client.ReadToEndAsync();
        Assert.True(response.IsWhole && StreamText.IsComplete(response.Body));
        Assert.True(StreamText.Content(response.Body) == string.Concat(Enumerable.Range(0, Pieces).Select(Piece)));
    }

    [Fact]
    public async Task FiveHundredStreamsAtOnce_AreAllExact()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { EventGap = TimeSpan.FromMilliseconds(5) });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        await Task.WhenAll(Enumerable.Range(0, 500).Select(async i =>
        {
            string dialect = (i % 5) switch { 3 => Dialect.Messages, 4 => Dialect.Responses, _ => Dialect.Chat };
            bool stream = i % 7 != 0;
            string wanted = SimulatedAnswers.Meant("healthy", Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream, question: $"question {i}"))).Text;
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream, question: $"question {i}"), Dialect.Path(dialect));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly);
            Assert.Equal(wanted, stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
            if (stream) Assert.True(StreamText.IsComplete(text));
        }));
        Assert.Equal(0, proxy.Runtime.Router.Pool.LeasesOut);
        await Until.TrueAsync(() => proxy.Runtime.Drain.Active == 0, TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task IdleStreams_AreCheap()
    {
        const int count = 300;
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"000001\"}}]}\n\n"));
            await exchange.WaitForHangUpAsync();
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        // The test's own client and upstream live in this process too: what they cost alone is taken off.
        long alone = await PerStreamAsync(upstream.BaseUrl, count);
        long behindProxy = await PerStreamAsync(proxy.Server.Address, count);
        Assert.True(behindProxy - alone < 64 * 1024, $"{behindProxy - alone} bytes per idle stream, besides {alone} of the test's own");
    }

    private static async Task<long> PerStreamAsync(Uri server, int count)
    {
        List<RawClient> clients = [];
        async Task OpenAsync(int more)
        {
            for (int i = 0; i < more; i++)
            {
                RawClient client = await RawClient.ConnectAsync(server);
                clients.Add(client);
                await client.SendAsync(RawClient.Post(Dialect.Body(Dialect.Chat, stream: true)));
                await client.ReadUntilAsync("000001");
            }
        }

        // The first ones pay for what is made once.
        await OpenAsync(50);
        long before = Managed();
        await OpenAsync(count);
        long perStream = (Managed() - before) / count;
        foreach (RawClient client in clients) client.Dispose();
        return perStream;
    }

    private static long Managed()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static string Event(int i) => $"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{Piece(i)}\"}}}}]}}\n\n";

    private static string Piece(int i) => $"{i:d6}".PadRight(PieceBytes, (char)('a' + (i % 26)));
}

/// <summary>Runs while no other test does: it weighs the memory of the process that all of them share.</summary>
[CollectionDefinition(nameof(BackpressureTests), DisableParallelization = true)]
public sealed class BackpressureTestsAlone;
