using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Which requests are asked in the client's own dialect, and what happens where that dialect is missing.</summary>
public sealed class NativeRoutingTests
{
    [Theory]
    [InlineData(404, """{"error":"no such path"}""")]
    [InlineData(405, "")]
    [InlineData(501, "")]
    public async Task UpstreamThatDoesNotSpeakIt_IsTranslatedForAndAskedOnce(int status, string body)
    {
        await using SimulatorServer chat = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });
        using HttpClient forward = new();
        await using RawUpstream upstream = new(async exchange =>
        {
            if (exchange.RequestLine.Contains("anthropic", StringComparison.Ordinal))
            {
                await exchange.SendAsync(RawUpstream.Json(status, body));
                return;
            }

            using HttpResponseMessage answer = await forward.PostAsync(chat.BaseUrl + "/chat/completions", RunningProxy.Json(exchange.BodyText), exchange.Stopped);
            await exchange.SendAsync(RawUpstream.Sse(await answer.Content.ReadAsStringAsync(exchange.Stopped)));
        });
        await using RunningProxy proxy = await StartAsync(upstream);
        for (int i = 0; i < 2; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, stream: true), "/v1/messages");
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly && StreamText.IsComplete(text), text);
        }

        Assert.Single(upstream.Requests, r => r.RequestLine.Contains("anthropic", StringComparison.Ordinal));
        Assert.Equal(3, upstream.Requests.Count);
        await LoggedAsync(proxy, l => l.Contains("native=False", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/v1/messages", """{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"qp1.AAAA"}]},{"role":"user","content":"hi"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"input":"hi"}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":"hi","tools":[{"type":"web_search"},{"type":"function","name":"f"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":"hi","tools":[{"type":"custom","name":"patch"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":[{"type":"reasoning","summary":[],"encrypted_content":"qp1:aGk="},{"role":"user","content":"hi"}]}""")]
    public async Task WhatNeedsTheProxy_IsTranslated(string path, string body)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(body, path);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.Equal("/v1/chat/completions", Assert.Single(upstream.Requests).Target);
    }

    /// <summary>A limit that upstream names is put into the request, of which nothing else changes, and remembered.</summary>
    [Theory]
    [InlineData("/v1/messages", "max_tokens")]
    [InlineData("/v1/responses", "max_output_tokens")]
    public async Task LimitOnTheAnswersLength_IsKeptNatively(string path, string field)
    {
        await using SimulatorServer model = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });
        using HttpClient forward = new();
        string asked = $$"""{ "store":false, "{{field}}" : 32000, "x":1.50,"stream":true,"model":"m","{{(path == "/v1/messages" ? "messages" : "input")}}":[{"role":"user","content":"hi"}]}""";
        string fitting = asked.Replace("32000", "8192", StringComparison.Ordinal);
        await using RawUpstream upstream = new(async exchange =>
        {
            if (exchange.BodyText.Contains("32000", StringComparison.Ordinal))
            {
                await exchange.SendAsync(RawUpstream.Json(400, """{"code":"InvalidParameter","message":"Range of max_tokens should be [1, 8192]","request_id":"r"}"""));
                return;
            }

            using HttpResponseMessage answer = await forward.PostAsync(model.BaseUrl.GetLeftPart(UriPartial.Authority) + path, RunningProxy.Json(exchange.BodyText), exchange.Stopped);
            await exchange.SendAsync(RawUpstream.Sse(await answer.Content.ReadAsStringAsync(exchange.Stopped)));
        });
        await using RunningProxy proxy = await StartAsync(upstream);
        foreach (string attempts in new[] { "2", "1" })
        {
            using HttpResponseMessage response = await proxy.PostAsync(asked, path);
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly && StreamText.IsComplete(text), text);
            Assert.Equal(attempts, Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
        }

        Assert.Equal([asked, fitting, fitting], upstream.Requests.Select(r => r.BodyText));
        Assert.All(upstream.Requests, r => Assert.DoesNotContain("chat", r.RequestLine, StringComparison.Ordinal));
    }

    [Fact]
    public async Task NativeOff_IsTranslated()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "stutter-s2" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, account => account with { Native = NativeMode.Never });
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, stream: true), "/v1/messages");
        Assert.True(StreamText.IsComplete(await response.Content.ReadAsStringAsync()));
        Assert.Equal("/v1/chat/completions", Assert.Single(upstream.Requests).Target);
    }

    [Fact]
    public async Task FailureBeforeTheFirstEvent_IsTriedAgainNatively()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:error-503|healthy" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, stream: true), "/v1/messages");
        (string text, bool orderly) = await RunningProxy.ReadAsync(response);
        Assert.True(orderly && StreamText.IsComplete(text), text);
        Assert.All(upstream.Requests, r => Assert.Equal("/apps/anthropic/v1/messages", r.Target));
        Assert.Equal(2, upstream.Requests.Count);
    }

    /// <summary>A request is logged when it is settled, which may be after the client has read its end.</summary>
    private static Task LoggedAsync(RunningProxy proxy, Func<string, bool> wanted) => Until.TrueAsync(() => proxy.Log.Lines.Any(wanted), TimeSpan.FromSeconds(20));

    private static Task<RunningProxy> StartAsync(RawUpstream upstream) => StartAsync(upstream.BaseUrl);

    private static Task<RunningProxy> StartAsync(Uri upstream, Func<AccountSnapshot, AccountSnapshot>? configure = null, Func<TimeoutsSnapshot, TimeoutsSnapshot>? timeouts = null)
    {
        AccountSnapshot account = RunningProxy.Account("up", upstream) with { Profile = Profiles.DashScope };
        return RunningProxy.StartAsync(new ProxySnapshot { Accounts = [configure?.Invoke(account) ?? account] }, s => s with { Timeouts = timeouts?.Invoke(s.Timeouts) ?? s.Timeouts });
    }
}
