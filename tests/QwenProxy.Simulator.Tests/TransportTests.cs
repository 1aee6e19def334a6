using System.IO.Compression;
using System.Net.Sockets;
using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Testing;

namespace QwenProxy.Simulator.Tests;

public sealed class TransportTests
{
    [Fact]
    public async Task CutByReset_EventsArriveThenTheClientSeesAReset()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        (byte[] bytes, SocketException? fault) = await upstream.RawAsync(Ask.Stream, "cut?events=5&how=rst");
        Assert.Equal(SocketError.ConnectionReset, fault?.SocketErrorCode);
        Assert.Equal(5, Count(bytes, "data: "));
    }

    [Fact]
    public async Task CutByFin_EventsArriveThenTheStreamEndsWithoutALastChunk()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        (byte[] bytes, SocketException? fault) = await upstream.RawAsync(Ask.Stream, "cut?events=5&how=fin");
        Assert.Null(fault);
        Assert.Equal(5, Count(bytes, "data: "));
        Assert.DoesNotContain("\r\n0\r\n", Encoding.ASCII.GetString(bytes));
    }

    [Fact]
    public async Task CutByFin_IsAnErrorForAnHttpClient()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, "cut?events=2&how=fin");
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Upstream.Stop));
        await WaitAsync(upstream.Server.Requests[0].Ended);
        Assert.False(upstream.Server.Requests[0].ClientAborted);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(57)]
    public async Task CutAfterBytes_SendsExactlySoMany(int count)
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Seed = 3, Time = new FakeClock() });
        (byte[] bytes, _) = await upstream.RawAsync(Ask.Stream, $"cut?bytes={count}&how=rst");
        string body = Encoding.UTF8.GetString(bytes);
        int start = body.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        string chunk = body[(body.IndexOf("\r\n", start, StringComparison.Ordinal) + 2)..];
        Assert.Equal(count, chunk.TrimEnd('\r', '\n').Length);
    }

    [Fact]
    public async Task CutOfAWholeBody_KeepsTheLengthItPromised()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Plain, "cut?how=fin");
        Assert.True(response.Content.Headers.ContentLength > 100);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Upstream.Stop));
    }

    [Fact]
    public async Task ResetBeforeHeaders_NoByteArrives()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        (byte[] bytes, SocketException? fault) = await upstream.RawAsync(Ask.Stream, "reset-before-headers");
        Assert.Empty(bytes);
        Assert.Equal(SocketError.ConnectionReset, fault?.SocketErrorCode);
    }

    [Fact]
    public async Task CloseBeforeHeaders_NoByteArrives()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        (byte[] bytes, SocketException? fault) = await upstream.RawAsync(Ask.Stream, "close-before-headers");
        Assert.Empty(bytes);
        Assert.Null(fault);
    }

    [Theory]
    [InlineData("slow-drip")]
    [InlineData("split-utf8?gap=0")]
    [InlineData("crlf?with=slow-drip")]
    public async Task SplitBytes_AddUpToTheSameAnswer(string scenario)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        Assert.Equal(SimulatedAnswers.Meant("healthy", Ask.Stream.Bytes()).Text, (await upstream.ReadStreamAsync(Ask.Stream, scenario)).Content);
    }

    [Fact]
    public async Task SplitUtf8_NoChunkOfTheBodyEndsOnAWholeCharacter()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        (byte[] bytes, _) = await upstream.RawAsync("""{"model":"m","stream":true,"messages":[]}""",
            "text?say=%E6%B5%B7%F0%9F%9A%A2&with=split-utf8&gap=0");
        // 海 is cut after its first byte, 🚢 likewise: both lead bytes stand right before the end of a chunk.
        Assert.True(bytes.AsSpan().IndexOf((byte[])[0xE6, (byte)'\r', (byte)'\n']) > 0);
        Assert.True(bytes.AsSpan().IndexOf((byte[])[0xF0, (byte)'\r', (byte)'\n']) > 0);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task CompressedStream_EachEventCanBeReadAsItComes(string encoding)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, $"{encoding}?with=stall&events=2");
        Assert.Equal(encoding, Assert.Single(response.Content.Headers.ContentEncoding));
        await using Stream raw = await response.Content.ReadAsStreamAsync(Upstream.Stop);
        await using Stream plain = encoding == "br" ? new BrotliStream(raw, CompressionMode.Decompress)
            : new GZipStream(raw, CompressionMode.Decompress);
        using StreamReader lines = new(plain);
        Assert.StartsWith("data: {", await lines.ReadLineAsync(Upstream.Stop));
    }

    [Theory]
    [InlineData("stall?events=2", 2)]
    [InlineData("headers-then-silence", 0)]
    [InlineData("comments-only?every=1", 0)]
    public async Task HangingStream_ClientThatLeavesIsRecorded(string scenario, int events)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, scenario);
        await using Stream body = await response.Content.ReadAsStreamAsync(Upstream.Stop);
        using StreamReader lines = new(body);
        for (int i = 0; i < events; i++)
        {
            Assert.StartsWith("data: {", await lines.ReadLineAsync(Upstream.Stop));
            Assert.Equal("", await lines.ReadLineAsync(Upstream.Stop));
        }

        if (scenario.StartsWith("comments", StringComparison.Ordinal)) Assert.Equal(": keep-alive", await lines.ReadLineAsync(Upstream.Stop));
        Assert.False(upstream.Server.Requests[0].ClientAborted);
        response.Dispose();
        await WaitAsync(upstream.Server.Requests[0].Aborted);
        await WaitAsync(upstream.Server.Requests[0].Ended);
    }

    [Fact]
    public async Task Silence_NoHeadersUntilTheClientLeaves()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(Upstream.Stop);
        HttpRequestMessage request = new(HttpMethod.Post, "chat/completions") { Content = new StringContent(Ask.Stream) };
        request.Headers.Add("x-simulator-scenario", "silence");
        Task<HttpResponseMessage> asking = upstream.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave.Token);
        await upstream.Server.WaitForRequestsAsync(1, Upstream.Stop);
        Assert.False(asking.IsCompleted);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await WaitAsync(upstream.Server.Requests[0].Aborted);
    }

    [Fact]
    public async Task EventGap_EachEventWaitsForTheClock()
    {
        FakeClock clock = new();
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Time = clock, EventGap = TimeSpan.FromSeconds(10) });
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream);
        using StreamReader lines = new(await response.Content.ReadAsStreamAsync(Upstream.Stop));
        Assert.StartsWith("data: {", await lines.ReadLineAsync(Upstream.Stop));
        await lines.ReadLineAsync(Upstream.Stop);
        Task<string?> next = lines.ReadLineAsync(Upstream.Stop).AsTask();
        while (clock.ArmedTimers == 0) await Task.Yield();
        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.False(next.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.StartsWith("data: {", await next);
    }

    [Fact]
    public async Task Delay_HeadersWaitForTheClock()
    {
        FakeClock clock = new();
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Time = clock });
        Task<HttpResponseMessage> asking = upstream.PostAsync("chat/completions", Ask.Plain, "delay?ms=5000");
        while (clock.ArmedTimers == 0) await Task.Yield();
        Assert.False(asking.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(5));
        using HttpResponseMessage response = await asking;
        Assert.True(response.IsSuccessStatusCode);
    }

    [Fact]
    public async Task EventsScenario_AddsUpToItsText()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        foreach (string scenario in new[] { "events?count=300&bytes=40", "events?count=300&bytes=40&gap=0", "events?count=300&bytes=40&with=crlf" })
        {
            StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, scenario);
            Assert.Equal(SimulatedAnswers.EventsText(300, 40), stream.Content);
            Assert.Equal(304, stream.Data.Count);
        }

        StreamReading paced = await upstream.ReadStreamAsync(Ask.Stream, "events?count=20&gap=1");
        Assert.Equal(SimulatedAnswers.EventsText(20), paced.Content);
    }

    private static Task WaitAsync(Task task) => task.WaitAsync(TimeSpan.FromSeconds(60), Upstream.Stop);

    private static int Count(byte[] bytes, string text) => Encoding.UTF8.GetString(bytes).Split(text).Length - 1;
}
