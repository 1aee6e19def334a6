using System.IO.Compression;
using System.Net;
using System.Text;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>The same answer in every framing that upstreams use, cut anywhere: each client reads the same text.</summary>
public sealed class FramingTests
{
    public static TheoryData<string> Framings =>
    [
        "healthy", "bom", "comments", "cr", "crlf", "multi-data-lines", "native-lines", "no-last-newline", "no-space", "slow-drip", "split-utf8", "gzip", "br", "json-200",
        "no-done", "no-role", "role-on-every-chunk", "empty-choices", "empty-deltas", "double-finish", "sglang-nulls", "usage-on-every-chunk", "delay?ms=50",
        "crlf?with=gzip", "bom?with=slow-drip", "native-lines?with=br", "slow-drip?with=cr",
    ];

    [Theory]
    [MemberData(nameof(Framings))]
    public async Task EveryFraming_GivesTheSameTextInEveryDialect(string scenario)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        string wanted = SimulatedAnswers.Meant("healthy", Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: true))).Text;
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage streamed = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
            (string text, bool orderly) = await RunningProxy.ReadAsync(streamed);
            Assert.True(orderly && StreamText.IsComplete(text), text);
            Assert.Null(StreamText.Error(text));
            Assert.Equal(wanted, StreamText.Content(text));

            using HttpResponseMessage whole = await proxy.PostAsync(Dialect.Body(dialect, stream: false), Dialect.Path(dialect));
            Assert.Equal(HttpStatusCode.OK, whole.StatusCode);
            Assert.Equal(wanted, Dialect.TextOf(dialect, await whole.Content.ReadAsStringAsync()));
        }
    }

    [Fact]
    public async Task StreamSplitAtEveryByte_ReachesTheClientUnchanged()
    {
        const string events = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é你🙂\"}}]}\r\n\r\n: x\r\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n";
        byte[] bytes = Encoding.UTF8.GetBytes(events);
        int cut = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse(""));
            await exchange.SendAsync(bytes.AsMemory(0, cut));
            await Task.Yield();
            await exchange.SendAsync(bytes.AsMemory(cut));
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        for (cut = 1; cut < bytes.Length; cut++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly);
            Assert.Equal("é你🙂", StreamText.Content(text));
            Assert.True(StreamText.IsComplete(text));
        }
    }

    [Theory]
    [InlineData(Dialect.Chat)]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task EventOfSeveralMebibytes_Passes(string dialect)
    {
        const string scenario = "big-event?bytes=5000000";
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string wanted = SimulatedAnswers.Said(scenario, Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: true))).Text;
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly);
        string content = StreamText.Content(text);
        Assert.True(content.Length >= 5_000_000);
        if (wanted.Length >= 5_000_000) Assert.True(wanted == content);
        using HttpResponseMessage whole = await proxy.PostAsync(Dialect.Body(dialect, stream: false), Dialect.Path(dialect));
        Assert.True(content == Dialect.TextOf(dialect, await whole.Content.ReadAsStringAsync()));
    }

    [Theory]
    [InlineData(16 * 1024 * 1024 - 100, true)]
    [InlineData(16 * 1024 * 1024 + 1, false)]
    public async Task EventAtTheLimit_PassesAndBeyondIsRefused(int bytes, bool passes)
    {
        const string head = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
        string small = head + "a\"}}]}\n\n";
        string big = head + new string('x', bytes - head.Length) + "\"}}]}\n\n";
        string end = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(small + big + end));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => ErrorTests.OneAttempt(s) with { Resume = false });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.Equal(passes, orderly);
        Assert.Equal(passes, StreamText.IsComplete(text));
        if (!passes) Assert.Contains("larger than 16 MiB", StreamText.Error(text)!.Value.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task EncodingNobodyKnows_IsAProtocolError()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse("data: {}\n\n", "Content-Encoding: zstd\r\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
    }

    [Fact]
    public async Task PackedStreamCutInTheMiddle_NeverLooksComplete()
    {
        using MemoryStream packed = new();
        using (GZipStream zip = new(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            for (int i = 0; i < 500; i++) zip.Write(Encoding.UTF8.GetBytes($"data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{i * 7919 % 1009} \"}}}}]}}\n\n"));
        }

        byte[] half = packed.ToArray()[..(int)(packed.Length / 2)];
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse("", "Content-Encoding: gzip\r\n"));
            await exchange.SendAsync(half);
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => ErrorTests.OneAttempt(s) with { Resume = false });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(!orderly || response.StatusCode != HttpStatusCode.OK);
        Assert.False(StreamText.IsComplete(text));
    }
}
