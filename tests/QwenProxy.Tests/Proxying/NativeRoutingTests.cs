using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Simulator;
using QwenProxy.Testing;
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
        FakeClock clock = new();
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [DashScope(upstream.BaseUrl)] }, time: clock);
        // Both calls of the first request cost, and both count. For an hour nobody asks there again.
        foreach ((int minutes, string attempts) in new[] { (0, "2"), (0, "1"), (59, "1"), (2, "2"), (30, "1") })
        {
            clock.Advance(TimeSpan.FromMinutes(minutes));
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, stream: true), "/v1/messages");
            (string text, bool orderly) = await RunningProxy.ReadAsync(response);
            Assert.True(orderly && StreamText.IsComplete(text), text);
            Assert.Equal((minutes, attempts), (minutes, Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts"))));
        }

        Assert.Equal(2, upstream.Requests.Count(r => r.RequestLine.Contains("anthropic", StringComparison.Ordinal)));
        Assert.Equal(5, upstream.Requests.Count(r => r.RequestLine.Contains("chat", StringComparison.Ordinal)));
        await LoggedAsync(proxy, l => l.Contains("native=False", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/v1/messages", """{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"qp1.AAAA"}]},{"role":"user","content":"hi"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"input":[{"type":"item_reference","id":"msg_1"},{"role":"user","content":"hi"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":"hi","tools":[{"type":"web_search"},{"type":"function","name":"f"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":"hi","tools":[{"type":"custom","name":"patch"}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":"hi","tools":[{"type":"function","name":"exec"},{"type":"namespace","name":"agents","tools":[{"type":"function","name":"spawn"}]}]}""")]
    [InlineData("/v1/responses", """{"model":"m","stream":true,"store":false,"input":[{"type":"reasoning","summary":[],"encrypted_content":"qp1:aGk="},{"role":"user","content":"hi"}]}""")]
    public async Task WhatNeedsTheProxy_IsTranslated(string path, string body)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(body, path);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.Equal("/v1/chat/completions", Assert.Single(upstream.Requests).Target);
        Assert.Single(proxy.Log.Lines, l => l.Contains(" translation: not native: ", StringComparison.Ordinal));
    }

    /// <summary>What is to be remembered is remembered here, whoever answered; what refers to it is translated, since only this proxy knows it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ResponseToBeRemembered_IsAskedForNativelyAndContinued(bool stream)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "healthy" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl);
        using HttpResponseMessage first = await proxy.PostAsync(Dialect.Body(Dialect.Responses, stream), "/v1/responses");
        string text = await first.Content.ReadAsStringAsync();
        JsonElement answered = stream ? StreamText.Events(text)[^1].GetProperty("response") : JsonDocument.Parse(text).RootElement;
        string id = answered.GetProperty("id").GetString()!;
        using JsonDocument stored = JsonDocument.Parse(await proxy.Client.GetStringAsync($"/v1/responses/{id}"));
        Assert.True(JsonElement.DeepEquals(answered, stored.RootElement));
        using HttpResponseMessage second = await proxy.PostAsync($$"""{"model":"m","input":"and then?","previous_response_id":"{{id}}"}""", "/v1/responses");
        Assert.True(second.IsSuccessStatusCode, await second.Content.ReadAsStringAsync());
        Assert.Equal(["/api/v2/apps/protocols/compatible-mode/v1/responses", "/v1/chat/completions"], upstream.Requests.Select(r => r.Target));
        string said = answered.GetProperty("output").EnumerateArray().Last().GetProperty("content")[0].GetProperty("text").GetString()!;
        using JsonDocument asked = JsonDocument.Parse(upstream.Requests[1].Body);
        Assert.Equal(["hi", said, "and then?"], asked.RootElement.GetProperty("messages").EnumerateArray().Select(m => m.GetProperty("content").GetString()));
    }

    /// <summary>An upstream that does not care for <c>stream</c> has answered all the same.</summary>
    [Theory]
    [InlineData(Dialect.Messages, true)]
    [InlineData(Dialect.Messages, false)]
    [InlineData(Dialect.Responses, true)]
    [InlineData(Dialect.Responses, false)]
    public async Task WholeAnswerInsteadOfAStream_IsAnAnswer(string dialect, bool stream)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "json-200?answer=tool-after-text" });
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl);
        const string schema = """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""";
        string tools = dialect == Dialect.Messages ? $$""","tools":[{"name":"get_weather","input_schema":{{schema}}}]}""" : $$""","tools":[{"type":"function","name":"get_weather","parameters":{{schema}}}]}""";
        string body = Dialect.Body(dialect, stream)[..^1] + tools;
        using HttpResponseMessage response = await proxy.PostAsync(body, Dialect.Path(dialect));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        AnswerMeaning read = stream ? AnswerMeaning.OfStream(text) : AnswerMeaning.OfWhole(dialect, text);
        AnswerMeaning wanted = AnswerMeaning.OfWhole(dialect, await AskItselfAsync(upstream, dialect, body));
        Assert.Equal(wanted, read);
        Assert.NotEqual("", read.Text);
        Assert.NotEqual("", read.Calls);
        Assert.True(!stream || StreamText.IsComplete(text), text);
        Assert.Equal("1", Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
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

    /// <summary>Only a path that is not there says that nobody speaks the dialect there.</summary>
    [Theory]
    [InlineData("error-503")]
    [InlineData("empty-200")]
    [InlineData("reset-before-headers")]
    public async Task FailureBeforeTheFirstEvent_IsTriedAgainNatively(string fault)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = $"sequence:{fault}|healthy" });
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
        AccountSnapshot account = DashScope(upstream);
        return RunningProxy.StartAsync(new ProxySnapshot { Accounts = [configure?.Invoke(account) ?? account] }, s => s with { Timeouts = timeouts?.Invoke(s.Timeouts) ?? s.Timeouts });
    }

    private static AccountSnapshot DashScope(Uri upstream) => RunningProxy.Account("up", upstream) with { Profile = Profiles.DashScope };

    /// <summary>The answer without a proxy between.</summary>
    private static async Task<string> AskItselfAsync(SimulatorServer upstream, string dialect, string body)
    {
        using HttpClient client = new();
        using HttpResponseMessage response = await client.PostAsync(upstream.BaseUrl.GetLeftPart(UriPartial.Authority) + Dialect.Path(dialect), RunningProxy.Json(body));
        return await response.Content.ReadAsStringAsync();
    }
}
