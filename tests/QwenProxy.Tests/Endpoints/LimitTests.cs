using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>Each limit has a clear error, in the dialect, as JSON.</summary>
public sealed class LimitTests
{
    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    [InlineData("zstd")]
    public async Task PackedBody_IsUnpackedAndItsUnpackedSizeIsLimited(string encoding)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Limits = s.Limits with { BodyBytes = 1024 * 1024 } });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            string body = Dialect.Body(dialect, stream: false);
            using HttpResponseMessage fine = await SendAsync(proxy, dialect, Pack(encoding, Encoding.UTF8.GetBytes(body)), encoding);
            Assert.Equal(HttpStatusCode.OK, fine.StatusCode);

            using HttpResponseMessage bomb = await SendAsync(proxy, dialect, Pack(encoding, new byte[30 * 1024 * 1024]), encoding);
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, bomb.StatusCode);
            AssertCode(dialect, await bomb.Content.ReadAsStringAsync(), "request_too_large");

            using HttpResponseMessage broken = await SendAsync(proxy, dialect, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20], encoding);
            Assert.Equal(HttpStatusCode.BadRequest, broken.StatusCode);
            AssertCode(dialect, await broken.Content.ReadAsStringAsync(), "invalid_request");
        }

        Assert.Equal(3, upstream.Requests.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task PlainBodyBeyondTheLimit_Is413(bool declared)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Limits = s.Limits with { BodyBytes = 100_000 } });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpRequestMessage request = new(HttpMethod.Post, Dialect.Path(dialect)) { Content = RunningProxy.Json(Dialect.Body(dialect, true, question: new string('x', 100_001))) };
            request.Headers.TransferEncodingChunked = !declared;
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
            AssertCode(dialect, await response.Content.ReadAsStringAsync(), "request_too_large");
        }

        Assert.Empty(upstream.Requests);
    }

    [Fact]
    public async Task ZstdBodyThatIsCut_Is400()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        byte[] whole = Pack("zstd", Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: false)));
        using HttpResponseMessage response = await SendAsync(proxy, Dialect.Chat, whole[..^5], "zstd");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("cannot be unpacked", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task EncodingNobodyKnows_Is415()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using HttpResponseMessage response = await SendAsync(proxy, Dialect.Chat, [1, 2, 3], "lzma");
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        AssertCode(Dialect.Chat, await response.Content.ReadAsStringAsync(), "invalid_request");
    }

    [Theory]
    [InlineData(33 * 1024)]
    [InlineData(200 * 1024)]
    public async Task HeadersBeyondTheLimit_Are431WithJson(int bytes)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpRequestMessage request = new(HttpMethod.Post, Dialect.Path(dialect)) { Content = RunningProxy.Json(Dialect.Body(dialect, true)) };
            request.Headers.TryAddWithoutValidation("x-much", new string('h', bytes));
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            Assert.Equal(431, (int)response.StatusCode);
            AssertCode(dialect, await response.Content.ReadAsStringAsync(), "request_too_large");
        }
    }

    [Fact]
    public async Task HeadersBelowTheLimit_Pass()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, true)) };
        request.Headers.TryAddWithoutValidation("x-much", new string('h', 31 * 1024));
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"model\":\"m\",\"messages\":[")]
    [InlineData("{\"model\":5,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} trailing")]
    public async Task BodyThatIsNoRequest_Is400InvalidRequestInTheDialect(string body)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(body, Dialect.Path(dialect));
            string text = await response.Content.ReadAsStringAsync();
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{dialect}: {(int)response.StatusCode} {text}");
            AssertCode(dialect, text, "invalid_request");
        }

        Assert.Empty(upstream.Requests);
    }

    [Fact]
    public async Task MoreRequestsThanTheLimit_Are503WithRetryAfter()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "stall?events=2" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Limits = s.Limits with { ConcurrentRequests = 2 } });
        using HttpResponseMessage first = await proxy.PostAsync(Dialect.Body(Dialect.Chat, true));
        using HttpResponseMessage second = await proxy.PostAsync(Dialect.Body(Dialect.Chat, true));
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage refused = await proxy.PostAsync(Dialect.Body(dialect, true), Dialect.Path(dialect));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.True(refused.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
            Assert.NotNull(StreamText.Error(await refused.Content.ReadAsStringAsync()));
        }

        using HttpResponseMessage alive = await proxy.Client.GetAsync("/healthz");
        Assert.Equal(HttpStatusCode.OK, alive.StatusCode);
        first.Dispose();
        await Until.TrueAsync(() => proxy.Runtime.Drain.Active == 1, TimeSpan.FromSeconds(20));
        using HttpResponseMessage third = await proxy.PostAsync(Dialect.Body(Dialect.Chat, true));
        Assert.Equal(HttpStatusCode.OK, third.StatusCode);
    }

    private static Task<HttpResponseMessage> SendAsync(RunningProxy proxy, string dialect, byte[] body, string encoding)
    {
        ByteArrayContent content = new(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        content.Headers.ContentEncoding.Add(encoding);
        return proxy.Client.PostAsync(Dialect.Path(dialect), content);
    }

    private static byte[] Pack(string encoding, byte[] bytes)
    {
        using MemoryStream packed = new();
        using (Stream zip = encoding switch
        {
            "br" => new BrotliStream(packed, CompressionLevel.Fastest, true),
            "zstd" => new ZstdSharp.CompressionStream(packed, 3, leaveOpen: true),
            "deflate" => new ZLibStream(packed, CompressionLevel.Fastest, true),
            _ => new GZipStream(packed, CompressionLevel.Fastest, true),
        }) zip.Write(bytes);
        return packed.ToArray();
    }

    private static void AssertCode(string dialect, string text, string code)
    {
        using JsonDocument json = JsonDocument.Parse(text);
        JsonElement error = json.RootElement.GetProperty("error");
        Assert.False(string.IsNullOrEmpty(error.GetProperty("message").GetString()));
        if (dialect == Dialect.Messages) Assert.Equal("error", json.RootElement.GetProperty("type").GetString());
        else Assert.Equal(code, error.GetProperty("code").GetString());
    }
}
