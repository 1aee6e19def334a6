using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Any other <c>/v1/…</c> goes to the account that serves the model, with its key, and otherwise as it came.</summary>
public sealed class ForwardingTests
{
    [Theory]
    [InlineData("/v1/embeddings?x=%2F&y=a+b", """{ "input" : ["\u4f60", 1.0], "model" : "m", "zz":1E3 }""")]
    [InlineData("/v1/completions", """{"model":"m","prompt":"x"}""")]
    [InlineData("/v1/rerank", """{"model":"m","documents":[]}""")]
    [InlineData("/v1/audio/speech?a", "[1,2,3]")]
    public async Task Post_CrossesUntouched(string target, string body)
    {
        const string answer = """{ "data":[1.50], "model":"m" , "\u0041":"é" }""";
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(201, answer, "X-Ratelimit-Left: 3\r\nSet-Cookie: a=b\r\n"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(body, target);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.Equal(answer, await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("Set-Cookie"));
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.Equal($"POST {target} HTTP/1.1", seen.RequestLine);
        Assert.Equal(body, seen.BodyText);
        Assert.Equal("Bearer key-of-up", seen.Header("authorization"));
        Assert.StartsWith("application/json", seen.Header("content-type"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task MultipartBody_CrossesByteForByte()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{\"text\":\"ok\"}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        byte[] file = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 31))];
        using MultipartFormDataContent form = new("the-boundary") { { new ByteArrayContent(file), "file", "a.wav" }, { new StringContent("m"), "model" } };
        byte[] sent = await form.ReadAsByteArrayAsync();
        using HttpResponseMessage response = await proxy.Client.PostAsync("/v1/audio/transcriptions", form);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.True(seen.Body.AsSpan().SequenceEqual(sent));
        Assert.Equal("multipart/form-data; boundary=\"the-boundary\"", seen.Header("content-type"));
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("DELETE")]
    public async Task RequestWithoutABody_HasNoneUpstream(string method)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{\"id\":\"f\"}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), "/v1/files/f-1?after=%C3%A9"));
        Assert.Equal("{\"id\":\"f\"}", await response.Content.ReadAsStringAsync());
        RawExchange seen = Assert.Single(upstream.Requests);
        Assert.Equal($"{method} /v1/files/f-1?after=%C3%A9 HTTP/1.1", seen.RequestLine);
        Assert.Null(seen.Header("content-type"));
        Assert.Empty(seen.Body);
    }

    [Theory]
    [InlineData("/v1/files/a%2Fb")]
    [InlineData("/v1/files/a%20b")]
    [InlineData("/v1/files/a%3Fb%23c")]
    [InlineData("/v1/files/50%25?x=%3F")]
    [InlineData("/v1/files/%E4%BD%A0")]
    public async Task EscapedPath_StaysEscaped(string path)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        await client.ReadToEndAsync();
        Assert.Equal($"GET {path} HTTP/1.1", Assert.Single(upstream.Requests).RequestLine);
    }

    [Fact]
    public async Task Path_CannotLeaveTheApi()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (string path in new[] { "/v1/../admin", "/v1/%2e%2e/admin", "/v1/x/..%2f..%2fadmin" })
        {
            using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            await client.ReadToEndAsync();
        }

        Assert.All(upstream.Requests, r => Assert.StartsWith("GET /v1/", r.RequestLine, StringComparison.Ordinal));
        Assert.All(upstream.Requests, r => Assert.DoesNotContain("/../", r.RequestLine, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Alias_ChangesTheModelsNameAndNothingElse()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Models = s.Models with { Aliases = [new("text-embedding-3-*", "text-embedding-v4")] } });
        using HttpResponseMessage response = await proxy.PostAsync("""{ "input":"x" , "model" :"text-embedding-3-small", "dimensions":1.0}""", "/v1/embeddings");
        Assert.Equal("""{ "input":"x" , "model" :"text-embedding-v4", "dimensions":1.0}""", Assert.Single(upstream.Requests).BodyText);
        Assert.Equal("text-embedding-v4", Assert.Single(response.Headers.GetValues("x-qwen-proxy-model")));
    }

    [Theory]
    [InlineData("error-400-parameter", 400, "invalid_parameter_error")]
    [InlineData("error-401-key-flat", 401, "InvalidApiKey")]
    [InlineData("error-429-quota-month", 429, "insufficient_quota")]
    [InlineData("error-502-html", 502, null)]
    [InlineData("error-empty-404", 404, null)]
    public async Task UpstreamError_IsTheClientsAsJson(string scenario, int status, string? code)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"m","input":"x"}""", "/v1/embeddings");
        Assert.Equal(status, (int)response.StatusCode);
        JsonElement error = StreamText.Error(await response.Content.ReadAsStringAsync())!.Value;
        if (code is not null) Assert.Equal(code, error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Failure_IsTriedAgainBeforeTheFirstByte()
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => "reset-before-headers" });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(FailoverTests.Two(first, second));
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"m","input":"x"}""", "/v1/embeddings");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("b", Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")));
    }

    [Fact]
    public async Task Stream_ArrivesPieceByPieceAndACutClosesTheConnection()
    {
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
            await goOn.Task;
            await exchange.SendAsync("9\r\ndata: 2\n\n\r\n5\r\nda");
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync(RawClient.Post("""{"model":"m","prompt":"x","stream":true}""", "/v1/completions"));
        string begin = await client.ReadUntilAsync("data: 1\n\n");
        Assert.StartsWith("HTTP/1.1 200", begin, StringComparison.Ordinal);
        Assert.Contains("text/event-stream", begin, StringComparison.Ordinal);
        goOn.SetResult();
        string rest = await client.ReadUntilAsync("data: 2\n\n");
        (_, bool fin) = await EndAsync(client);
        Assert.True(fin);
        Assert.DoesNotContain("0\r\n\r\n", rest, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("silence")]
    [InlineData("headers-then-silence")]
    public async Task Silence_Is504(string scenario)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => ErrorTests.OneAttempt(s) with { Timeouts = s.Timeouts with { Idle = TimeSpan.FromMilliseconds(300) } });
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"m","input":"x"}""", "/v1/embeddings");
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("upstream_timeout", StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("code").GetString());
    }

    [Fact]
    public async Task SilenceOfAForwardedRequest_IsBoundedByTheRequestTimeout()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => "silence" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Timeouts = s.Timeouts with { Request = TimeSpan.FromMilliseconds(300) } });
        using HttpResponseMessage response = await proxy.PostAsync("""{"model":"m","input":"x"}""", "/v1/embeddings");
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Contains("REQUEST_TIMEOUT_SECONDS", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PackedBody_IsForwardedAsTheBodyItIs()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using MemoryStream packed = new();
        using (System.IO.Compression.GZipStream zip = new(packed, System.IO.Compression.CompressionLevel.Fastest, true)) zip.Write("""{"model":"m","input":"x"}"""u8);
        ByteArrayContent content = new(packed.ToArray());
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        content.Headers.ContentEncoding.Add("gzip");
        using HttpResponseMessage response = await proxy.Client.PostAsync("/v1/embeddings", content);
        RawExchange seen = Assert.Single(upstream.Requests);
        // Unpacked to find the model, so it goes on unpacked and does not claim to be packed.
        Assert.Null(seen.Header("content-encoding"));
        Assert.Equal("""{"model":"m","input":"x"}""", seen.BodyText);
    }

    private static async Task<(string Text, bool Fin)> EndAsync(RawClient client)
    {
        byte[] buffer = new byte[4096];
        StringBuilder text = new();
        try
        {
            int read;
            while ((read = await client.ReadAsync(buffer)) > 0) text.Append(Encoding.Latin1.GetString(buffer, 0, read));
            return (text.ToString(), true);
        }
        catch (System.Net.Sockets.SocketException)
        {
            return (text.ToString(), false);
        }
    }
}
