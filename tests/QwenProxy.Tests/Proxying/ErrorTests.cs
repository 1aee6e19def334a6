using System.Net;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Upstream fails in each of its ways before the first byte: the client gets its words, as JSON, with a status of 400 or more.</summary>
public sealed class ErrorTests
{
    public static TheoryData<string> ErrorScenarios => [.. SimulatedAnswers.Scenarios.Where(s => s.Group == "errors").Select(s => s.Name)];

    /// <summary>Scenario, status, code (null: any), a piece of the message.</summary>
    public static TheoryData<string, int, string?, string> Disguised => new()
    {
        { "error-200-json", 500, "internal_error", "An internal error has occured." },
        { "error-200-text", 502, null, "XML syntax error on line 4" },
        { "html-200", 502, "upstream_protocol_error", "web page" },
        { "empty-200", 502, "upstream_protocol_error", "" },
        { "done-only", 502, "upstream_protocol_error", "" },
        { "redirect", 502, "upstream_protocol_error", "" },
        { "error-sse-body-400", 400, "InvalidParameter", "Range of input length should be [1, 983616]" },
        { "stream-error-dashscope", 429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit." },
        { "stream-error-dashscope?status=503&code=ModelUnavailable", 503, "ModelUnavailable", "Allocated quota" },
        { "stream-error-object?events=0", 502, "KeyError", "'id'" },
        { "stream-error-vllm?events=0", 500, null, "EngineCore encountered an issue." },
        { "stream-error-choice?events=0", 502, null, "Provider disconnected unexpectedly" },
        { "stream-error-bare?events=0", 502, null, "Compute error." },
        { "stream-error-anthropic?events=0", 429, null, "Too many requests" },
        { "broken-event?events=0", 502, "upstream_protocol_error", "not JSON" },
        { "cut?events=0&how=fin", 502, null, "" },
        { "cut?events=0&how=rst", 502, null, "" },
        { "close-before-headers", 502, "upstream_unreachable", "" },
        { "reset-before-headers", 502, "upstream_unreachable", "" },
    };

    [Theory]
    [MemberData(nameof(ErrorScenarios))]
    public async Task UpstreamError_KeepsStatusCodeMessageAndRequestId(string scenario)
    {
        foreach (bool stream in new[] { true, false })
        {
            // Two simulators of one seed give the same request id to their first request.
            await using SimulatorServer alone = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
            using HttpClient direct = new();
            using HttpResponseMessage wanted = await direct.PostAsync(new Uri(alone.BaseUrl + "/chat/completions"), RunningProxy.Json(Dialect.Body(Dialect.Chat, stream)));
            (string? code, string? message, string? requestId) = ReadAny(await wanted.Content.ReadAsStringAsync());

            await using SimulatorServer behind = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
            await using RunningProxy proxy = await RunningProxy.StartAsync(behind.BaseUrl, OneAttempt);
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream));
            string text = await response.Content.ReadAsStringAsync();
            Assert.Equal(wanted.StatusCode, response.StatusCode);
            Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
            JsonElement error = StreamText.Error(text)!.Value;
            Assert.False(string.IsNullOrWhiteSpace(error.GetProperty("message").GetString()));
            if (!string.IsNullOrEmpty(code)) Assert.Equal(code, error.GetProperty("code").GetString());
            if (message is not null) Assert.Equal(message, error.GetProperty("message").GetString());
            if (requestId is not null) Assert.Contains(requestId, text, StringComparison.Ordinal);
            if (response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable) Assert.True(response.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
            Assert.Equal("up", Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")));
            Assert.Equal("1", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
            Assert.StartsWith("req_", Assert.Single(response.Headers.GetValues("x-request-id")), StringComparison.Ordinal);
            Assert.Single(behind.Requests);
        }
    }

    [Theory]
    [MemberData(nameof(Disguised))]
    public async Task FailureThatLooksLikeSuccess_IsAnError(string scenario, int status, string? code, string words)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, OneAttempt);
        foreach (bool stream in new[] { true, false })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream));
            string text = await response.Content.ReadAsStringAsync();
            Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode}: {text}");
            Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
            JsonElement error = StreamText.Error(text)!.Value;
            if (code is not null) Assert.Equal(code, error.GetProperty("code").GetString());
            Assert.Contains(words, error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("stream-error-object", "KeyError", "'id'")]
    [InlineData("stream-error-object?done=1", "KeyError", "'id'")]
    [InlineData("stream-error-vllm", null, "EngineCore encountered an issue.")]
    [InlineData("stream-error-choice", null, "Provider disconnected unexpectedly")]
    [InlineData("stream-error-bare", null, "Compute error.")]
    [InlineData("stream-error-anthropic", null, "Too many requests")]
    [InlineData("stream-error-dashscope?events=4", "Throttling.AllocationQuota", "Allocated quota exceeded")]
    [InlineData("broken-event", "upstream_protocol_error", "not JSON")]
    [InlineData("error-finish", null, "")]
    [InlineData("no-finish", "upstream_protocol_error", "before it was finished")]
    [InlineData("no-finish?done=1", "upstream_protocol_error", "before it was finished")]
    public async Task ErrorInsideTheStream_IsAnErrorEventAndAClosedConnection(string scenario, string? code, string words)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => OneAttempt(s) with { Resume = false });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
            await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream: true), Dialect.Path(dialect)));
            RawResponse response = await client.ReadToEndAsync();
            Assert.StartsWith("HTTP/1.1 200", response.Head, StringComparison.Ordinal);
            Assert.True(response.Fin, "The connection was reset: the client may lose the error event.");
            Assert.False(response.IsWhole, "The body ends in order, as if it were whole.");
            Assert.False(StreamText.IsComplete(response.Body), response.Body);
            JsonElement error = StreamText.Error(response.Body)!.Value;
            Assert.Contains(words, error.GetProperty("message").GetString(), StringComparison.Ordinal);
            if (code is not null && dialect == Dialect.Chat) Assert.Equal(code, error.GetProperty("code").GetString());
        }
    }

    [Theory]
    [InlineData("stream-error-object", 502)]
    [InlineData("stream-error-vllm", 500)]
    [InlineData("stream-error-dashscope?events=4", 429)]
    [InlineData("broken-event", 502)]
    [InlineData("no-finish", 502)]
    [InlineData("cut?how=rst", 502)]
    [InlineData("cut?how=fin", 502)]
    public async Task ErrorInsideTheStream_OfAWholeAnswer_IsAJsonError(string scenario, int status)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, OneAttempt);
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: false), Dialect.Path(dialect));
            string text = await response.Content.ReadAsStringAsync();
            Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode}: {text}");
            Assert.NotNull(StreamText.Error(text));
        }
    }

    [Fact]
    public async Task RetryAfterOfUpstream_ReachesTheClient()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-429-rate?retryAfter=77" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, OneAttempt);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 70, 78);
    }

    [Fact]
    public async Task RefusedConnection_IsUpstreamUnreachable()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), OneAttempt);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("upstream_unreachable", StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("code").GetString());
    }

    [Fact]
    public async Task UpstreamThatSpeaksNoHttp_IsAnError()
    {
        await using RawUpstream upstream = RawUpstream.Always("SSH-2.0-OpenSSH_9.9\r\n");
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, OneAttempt);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("upstream_protocol_error", StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("code").GetString());
    }

    internal static ProxySnapshot OneAttempt(ProxySnapshot s) => s with { Retry = s.Retry with { MaxAttempts = 1 }, Breaker = s.Breaker with { Failures = 100_000 } };

    private static (string? Code, string? Message, string? RequestId) ReadAny(string body)
    {
        if (!body.StartsWith('{')) return default;
        using JsonDocument json = JsonDocument.Parse(Encoding.UTF8.GetBytes(body));
        JsonElement root = json.RootElement;
        JsonElement holder = root.TryGetProperty("error", out JsonElement error) ? error : root;
        string? requestId = root.TryGetProperty("request_id", out JsonElement id) ? id.GetString() : null;
        if (holder.ValueKind == JsonValueKind.String) return (null, holder.GetString(), requestId);
        string? code = holder.TryGetProperty("code", out JsonElement c) && c.ValueKind == JsonValueKind.String ? c.GetString() : null;
        return (code, holder.GetProperty("message").GetString(), requestId);
    }
}
