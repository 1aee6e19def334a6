using System.Net;
using System.Text.Json;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>A prompt that is too long, in the form in which each dialect's agents act upon it instead of giving up.</summary>
public sealed class TooLongPromptTests
{
    /// <summary>As a status, and as the first event of a stream that said 200.</summary>
    public static TheoryData<string> Scenarios =>
    [
        "status?code=400&error=InvalidParameter&message=Range%20of%20input%20length%20should%20be%20%5B1%2C%20983616%5D",
        "stream-error-dashscope?events=0&status=400&code=InvalidParameter&message=Range%20of%20input%20length%20should%20be%20%5B1%2C%20983616%5D",
    ];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task ResponsesStream_EndsInOrderWithContextLengthExceeded(string scenario)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Responses, true), "/v1/responses");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        Assert.True(orderly, text);
        Assert.True(response.Headers.ConnectionClose);
        string[] frames = text.TrimEnd().Split("\n\n");
        Assert.StartsWith("event: response.created\n", frames[0], StringComparison.Ordinal);
        Assert.StartsWith("event: response.failed\n", frames[^1], StringComparison.Ordinal);
        using JsonDocument last = JsonDocument.Parse(frames[^1].Split("data: ")[1]);
        JsonElement error = last.RootElement.GetProperty("response").GetProperty("error");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Contains("Range of input length", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("1", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task WholeResponse_Is400WithContextLengthExceeded(string scenario)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Responses, false), "/v1/responses");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal("context_length_exceeded", json.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task MessagesClient_ReadsThatThePromptIsTooLong(string scenario)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (bool stream in new[] { true, false })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, stream), "/v1/messages");
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
            JsonElement error = json.RootElement.GetProperty("error");
            Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
            Assert.StartsWith("prompt is too long: ", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }
}
