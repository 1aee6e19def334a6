using System.Net;
using System.Text.Json;

namespace QwenProxy.Simulator.Tests;

public sealed class ErrorTests
{
    public static TheoryData<string> Rows => [.. SimulatedAnswers.Scenarios.Where(s => s.Group == "errors" && s.Name != "status")
        .Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(Rows))]
    public async Task ErrorRow_HasTheStatusOfItsName(string name)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, name);
        string digits = new([.. name.Where(char.IsAsciiDigit)]);
        Assert.Equal(int.Parse(digits), (int)response.StatusCode);
        string body = await response.Content.ReadAsStringAsync(Upstream.Stop);
        if (response.Content.Headers.ContentType?.MediaType == "application/json") Assert.Equal(JsonValueKind.Object, body.Json().ValueKind);
        else Assert.True(body.Length == 0 || body.StartsWith("<html>", StringComparison.Ordinal));
    }

    [Fact]
    public async Task NestedError_HasTheCompatibleModesBytes()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, "error-429-rate?retryAfter=3");
        string id = Assert.Single(response.Headers.GetValues("x-request-id"));
        Assert.Equal(TimeSpan.FromSeconds(3), response.Headers.RetryAfter?.Delta);
        Assert.Equal(
            """{"error":{"message":"You exceeded your current requests list.","type":"limit_requests","param":null,"code":"limit_requests"},"""
            + $"\"request_id\":\"{id}\"}}", await response.Content.ReadAsStringAsync(Upstream.Stop));
    }

    [Fact]
    public async Task Gate_ErrorIsAString()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        Assert.Equal("""{"error":"Coding Plan is currently only available for Coding Agents"}""",
            await upstream.ChatAsync(Ask.Stream, "error-405-gate"));
    }

    [Fact]
    public async Task FreeStatus_TakesItsParameters()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream,
            "status?code=418&message=tea%20time&shape=flat&error=Teapot");
        Assert.Equal(418, (int)response.StatusCode);
        JsonElement body = (await response.Content.ReadAsStringAsync(Upstream.Stop)).Json();
        Assert.Equal("Teapot", body.GetProperty("code").GetString());
        Assert.Equal("tea time", body.GetProperty("message").GetString());
    }

    [Fact]
    public async Task StreamErrorDashScope_IsFourLines()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        string body = await upstream.ChatAsync(Ask.Stream, "stream-error-dashscope");
        Assert.StartsWith("id:1\nevent:error\n:HTTP_STATUS/429\ndata:{\"request_id\":\"", body);
        Assert.EndsWith("\"code\":\"Throttling.AllocationQuota\",\"message\":\"Allocated quota exceeded, please increase your quota limit.\"}\n\n",
            body);
    }

    [Theory]
    [InlineData("stream-error-object?events=4", 4)]
    [InlineData("stream-error-object?events=2&done=1", 2)]
    [InlineData("stream-error-vllm", 3)]
    [InlineData("stream-error-choice", 3)]
    [InlineData("stream-error-bare", 3)]
    [InlineData("stream-error-anthropic", 3)]
    public async Task StreamError_ComesAfterSomeEvents(string scenario, int events)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, scenario);
        Assert.Contains("\"error\":{", stream.Data[events]);
        Assert.DoesNotContain("error", stream.Data[events - 1]);
        Assert.Equal(scenario.Contains("done") || scenario.Contains("vllm"), stream.Done);
    }

    [Fact]
    public async Task OddFramings_AreWhatTheySay()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        async Task<(HttpStatusCode, string?, string)> Get(string scenario)
        {
            using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, scenario);
            return (response.StatusCode, response.Content.Headers.ContentType?.MediaType, await response.Content.ReadAsStringAsync(Upstream.Stop));
        }

        (HttpStatusCode status, string? type, string body) = await Get("error-sse-body-400");
        Assert.Equal((HttpStatusCode.BadRequest, "text/event-stream"), (status, type));
        Assert.StartsWith("event:error\ndata:{\"code\":\"InvalidParameter\"", body);
        Assert.Equal((HttpStatusCode.OK, "text/event-stream", ""), await Get("empty-200"));
        Assert.Equal((HttpStatusCode.OK, "text/event-stream", "data: [DONE]\n\n"), await Get("done-only"));
        (status, type, body) = await Get("json-200");
        Assert.Equal((HttpStatusCode.OK, "application/json"), (status, type));
        Assert.Equal("chat.completion", body.Json().GetProperty("object").GetString());
        (status, type, body) = await Get("html-200");
        Assert.Equal((HttpStatusCode.OK, "text/html"), (status, type));
        Assert.StartsWith("<!DOCTYPE html>", body);
        (status, _, body) = await Get("error-200-json");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.True(body.Json().TryGetProperty("error", out _));
        Assert.Equal(HttpStatusCode.RedirectKeepVerb, (await Get("redirect")).Item1);
    }

    [Theory]
    [InlineData("no-such")]
    [InlineData("cut?with=no-such")]
    [InlineData("cut?events=many")]
    [InlineData("agent")]
    [InlineData("sequence:")]
    public async Task ImpossibleScenario_IsAFaultThatSaysSo(string scenario)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, scenario);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        JsonElement error = (await response.Content.ReadAsStringAsync(Upstream.Stop)).Json().GetProperty("error");
        Assert.Equal("simulator_fault", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task ImpossibleStartScenario_DoesNotStart() =>
        await Assert.ThrowsAsync<Scenarios.ScenarioException>(() =>
            SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:healthy|nope" }, Upstream.Stop));
}
