using System.Collections.Immutable;
using System.Net;
using System.Text;
using QwenProxy.Configuration;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Before the first byte anything may be tried again: here what is tried, where, and what the client learns of it.</summary>
public sealed class FailoverTests
{
    private static readonly string Wanted = SimulatedAnswers.Meant("healthy", Encoding.UTF8.GetBytes(Dialect.Body(Dialect.Chat, stream: true))).Text;

    public static TheoryData<string> Repairable =>
        ["status?code=500", "status?code=503", "status?code=502&shape=html", "reset-before-headers", "close-before-headers", "empty-200", "html-200", "error-200-json", "stream-error-dashscope?status=500&code=InternalError"];

    [Theory]
    [MemberData(nameof(Repairable))]
    public async Task FailsOnce_ThenServes_TheClientSeesTheAnswer(string fault)
    {
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            foreach (bool stream in new[] { true, false })
            {
                await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = $"sequence:{fault}|healthy" });
                await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream), Dialect.Path(dialect));
                (string text, bool orderly) = await RunningProxy.ReadAsync(response);
                Assert.True(orderly && response.StatusCode == HttpStatusCode.OK, text);
                Assert.Equal(Wanted, stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
                Assert.Equal("2", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
                Assert.Equal(2, upstream.Requests.Count);
            }
        }
    }

    [Theory]
    [InlineData("error-429-rate?retryAfter=30")]
    [InlineData("error-429-concurrency")]
    [InlineData("error-429-quota-month")]
    [InlineData("error-401-key")]
    [InlineData("error-403-access")]
    [InlineData("error-400-arrearage")]
    [InlineData("error-405-gate")]
    [InlineData("error-404-model")]
    [InlineData("silence")]
    [InlineData("headers-then-silence")]
    [InlineData("comments-only?every=50")]
    public async Task AccountThatCannot_IsLeftForTheOtherAtOnce(string fault)
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = fault });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(first, second), s => s with { Timeouts = s.Timeouts with { FirstToken = TimeSpan.FromSeconds(1.5) } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && response.StatusCode == HttpStatusCode.OK, text);
        Assert.Equal(Wanted, StreamText.Content(text));
        Assert.Equal("b", Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")));
        Assert.Equal("2", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
        Assert.Single(first.Requests);
        // The same request, with the other account's key.
        Assert.Equal(first.Requests[0].BodyText, second.Requests[0].BodyText);
        Assert.Equal("Bearer key-of-b", second.Requests[0].Headers["Authorization"]);
    }

    [Fact]
    public async Task RateLimit_IsWaitedForWhenItFits()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:error-429-rate?retryAfter=1|healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.True(upstream.Requests[1].At - upstream.Requests[0].At >= TimeSpan.FromMilliseconds(900));
    }

    [Fact]
    public async Task RateLimitThatIsTooLong_IsToldAtOnceToAllCallers()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-429-rate?retryAfter=120" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: i != 1)).WaitAsync(TimeSpan.FromSeconds(15));
            Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
            Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 90, 121);
            Assert.Equal("limit_requests", StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("code").GetString());
        }

        Assert.Single(upstream.Requests);
    }

    [Theory]
    [InlineData("error-400-range", true)]
    [InlineData("error-400-vllm", true)]
    [InlineData("error-400-inspection", false)]
    [InlineData("error-400-parameter", false)]
    [InlineData("error-413", false)]
    public async Task FaultOfTheRequest_GoesToNobodyElseButAContextFallback(string fault, bool fallsBack)
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = r => r.BodyText.Contains("\"m\"", StringComparison.Ordinal) ? fault : "healthy" });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = r => r.BodyText.Contains("\"m\"", StringComparison.Ordinal) ? fault : "healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(first, second), WithFallback);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        (string text, _) = await RunningProxy.ReadAsync(response);
        Assert.Equal(1, first.Requests.Concat(second.Requests).Count(r => r.BodyText.Contains("\"m\"", StringComparison.Ordinal)));
        Assert.Equal(fallsBack ? 2 : 1, first.Requests.Count + second.Requests.Count);
        Assert.Equal(fallsBack, response.StatusCode == HttpStatusCode.OK);
        if (!fallsBack) return;
        Assert.Equal(Wanted, StreamText.Content(text));
        Assert.Equal("larger", Assert.Single(response.Headers.GetValues("x-qwen-proxy-model")));
    }

    [Fact]
    public async Task RefusedAccount_IsNotAskedAgainWhileAnotherServes()
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-401-key" });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:status?code=500|status?code=500|healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(first, second));
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.Single(first.Requests);
        Assert.Equal(3, second.Requests.Count);
    }

    [Fact]
    public async Task SilenceWithOnlyAFallbackModelLeft_GoesThereAtOnce()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = r => r.BodyText.Contains("\"m\"", StringComparison.Ordinal) ? "silence" : "healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => WithFallback(s) with { Timeouts = s.Timeouts with { FirstToken = TimeSpan.FromSeconds(2) } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(Wanted, StreamText.Content((await RunningProxy.ReadAsync(response)).Text));
        Assert.Equal(2, upstream.Requests.Count);
    }

    [Fact]
    public async Task AllAttemptsFail_TheClientGetsUpstreamsOwnErrorAndTheirNumber()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-500" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Equal("internal_error", StreamText.Error(await response.Content.ReadAsStringAsync())!.Value.GetProperty("code").GetString());
        Assert.Equal("4", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
        Assert.Equal(4, upstream.Requests.Count);
    }

    [Fact]
    public async Task Breaker_OpensAfterItsFailuresAndAProbeClosesIt()
    {
        bool healed = false;
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => healed ? "healthy" : "error-500" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            upstream.BaseUrl, s => s with { Retry = s.Retry with { MaxAttempts = 1 }, Breaker = new BreakerSnapshot(Failures: 3, OpenSeconds: 2) });
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage failed = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
            Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        }

        using HttpResponseMessage open = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
        string text = await open.Content.ReadAsStringAsync();
        // A loaded machine may have used up the two seconds; then the third failure's successor was already a probe.
        Assert.True(open.StatusCode == HttpStatusCode.ServiceUnavailable ? text.Contains("circuit_open", StringComparison.Ordinal) && open.Headers.RetryAfter is not null : upstream.Requests.Count == 4);
        healed = true;
        HttpStatusCode last = default;
        await Until.TrueAsync(
            () =>
            {
                using HttpResponseMessage probe = proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false)).GetAwaiter().GetResult();
                return (last = probe.StatusCode) == HttpStatusCode.OK;
            },
            TimeSpan.FromSeconds(30));
        Assert.Equal(HttpStatusCode.OK, last);
    }

    [Theory]
    [InlineData(Dialect.Chat, ": keep-alive\n\n")]
    [InlineData(Dialect.Messages, "event: ping\n")]
    [InlineData(Dialect.Responses, ": keep-alive\n\n")]
    public async Task KeepAlive_DoesNotCommitTheAnswer(string dialect, string sign)
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "silence" });
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "delay?ms=700" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(Two(first, second), s => s with { Timeouts = s.Timeouts with { FirstToken = TimeSpan.FromSeconds(3), KeepAlive = TimeSpan.FromMilliseconds(100) } });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true), Dialect.Path(dialect));
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.StartsWith(sign, text, StringComparison.Ordinal);
        Assert.Equal(Wanted, StreamText.Content(text));
        Assert.True(orderly && StreamText.IsComplete(text));
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
    }

    [Theory]
    [InlineData(Dialect.Chat)]
    [InlineData(Dialect.Messages)]
    [InlineData(Dialect.Responses)]
    public async Task FailureAfterAKeepAlive_IsAnErrorEvent(string dialect)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "error-400-range?with=delay&ms=700" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Timeouts = s.Timeouts with { KeepAlive = TimeSpan.FromMilliseconds(100) } });
        using RawClient client = await RawClient.ConnectAsync(proxy.Server.Address);
        await client.SendAsync(RawClient.Post(Dialect.Body(dialect, stream: true), Dialect.Path(dialect)));
        RawResponse response = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 200", response.Head, StringComparison.Ordinal);
        Assert.False(response.IsWhole);
        Assert.True(response.Fin);
        Assert.False(StreamText.IsComplete(response.Body));
        Assert.Contains("Range of input length", StreamText.Error(response.Body)!.Value.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    internal static ProxySnapshot Two(SimulatorServer first, SimulatorServer second) => new() { Accounts = [RunningProxy.Account("a", first.BaseUrl, 1), RunningProxy.Account("b", second.BaseUrl, 2)] };

    internal static ProxySnapshot WithFallback(ProxySnapshot s) =>
        s with { Models = s.Models with { Fallbacks = ImmutableDictionary<string, ImmutableArray<string>>.Empty.Add("m", ["larger"]) } };
}
