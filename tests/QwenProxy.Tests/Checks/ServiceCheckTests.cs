using System.Globalization;
using QwenProxy.Simulator;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Checks;

/// <summary>Endpoint, clock, key and models of an account with an API key, each passing and failing.</summary>
public sealed class ServiceCheckTests : IDisposable
{
    private readonly DoctorRun _doctor = new();

    public void Dispose() => _doctor.Dispose();

    [Theory]
    [InlineData("error-401-key", "key", "fault", "HTTP 401", "put a valid key")]
    [InlineData("error-403-access", "key", "fault", "HTTP 403", "permissions")]
    [InlineData("error-403-unpurchased", "key", "fault", "HTTP 403", "Renew the plan")]
    [InlineData("error-403-free-tier", "key", "fault", "free tier", "free tier only")]
    [InlineData("error-400-arrearage", "key", "fault", "good standing", "settle the bill")]
    [InlineData("error-429-quota-month", "key", "fault", "month allocated quota exceeded", "wait for its reset")]
    [InlineData("error-500", "endpoint", "fault", "HTTP 500: the service fails", "try again")]
    [InlineData("error-502-html", "endpoint", "fault", "HTTP 502: the service fails", "check baseUrl")]
    public async Task Refusal_IsAFaultOfItsCheckWithAFix(string scenario, string check, string result, string says, string fix)
    {
        await using SimulatorServer upstream = await AnsweringAsync(scenario);
        _doctor.Configure(upstream.BaseUrl);
        (string gotResult, string gotSays, string? gotFix) = await _doctor.CheckAsync(check, exitCode: 2);
        Assert.Equal(result, gotResult);
        Assert.Contains(says, gotSays, StringComparison.Ordinal);
        Assert.Contains(fix, gotFix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("error-429-rate", "key", "note", "at its limit")]
    [InlineData("error-405-gate", "key", "skipped", "coding agents only")]
    [InlineData("error-empty-404", "endpoint", "note", "or the path is wrong")]
    public async Task AnswerThatProvesNoFault_IsNone(string scenario, string check, string result, string says)
    {
        await using SimulatorServer upstream = await AnsweringAsync(scenario);
        _doctor.Configure(upstream.BaseUrl);
        (string gotResult, string gotSays, _) = await _doctor.CheckAsync(check, exitCode: 0);
        Assert.Equal(result, gotResult);
        Assert.Contains(says, gotSays, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WrongPathOfAKnownKindOfServer_IsAFault()
    {
        await using SimulatorServer upstream = await AnsweringAsync("error-empty-404");
        _doctor.Configure(upstream.BaseUrl, """, "profile": "vllm" """);
        (string result, _, string? fix) = await _doctor.CheckAsync("endpoint", exitCode: 2);
        Assert.Equal("fault", result);
        Assert.Contains("end in /v1", fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><title>Hotel</title></html>", "such as a web page")]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.invalid/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "a redirect, which no key is sent after")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 500\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"data\"", "closed the connection without a whole answer")]
    public async Task AnswerOfNoApi_IsAFaultOfTheEndpoint(string response, string says)
    {
        await using RawUpstream upstream = RawUpstream.Always(response);
        _doctor.Configure(upstream.BaseUrl);
        (string result, string gotSays, string? fix) = await _doctor.CheckAsync("endpoint", exitCode: 2);
        Assert.Equal("fault", result);
        Assert.Contains(says, gotSays, StringComparison.Ordinal);
        Assert.Contains("baseUrl", fix, StringComparison.Ordinal);
        Assert.Single(upstream.Requests);
    }

    [Fact]
    public async Task NameThatResolvesNowhere_IsAFaultOfTheEndpoint()
    {
        _doctor.Configure(new Uri("http://no-such-host.invalid/v1"));
        (string result, string says, string? fix) = await _doctor.CheckAsync("endpoint", exitCode: 2);
        Assert.Equal("fault", result);
        Assert.Contains("no-such-host.invalid cannot be used", says, StringComparison.Ordinal);
        Assert.NotEmpty(fix!);
    }

    [Fact]
    public async Task OpenList_ProvesNothingOfTheKey()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        _doctor.Configure(upstream.BaseUrl);
        (string result, string says, _) = await _doctor.CheckAsync("key", exitCode: 0);
        Assert.Equal("skipped", result);
        Assert.Contains("to anyone", says, StringComparison.Ordinal);
        Assert.Equal(["Bearer the-right-key", null], upstream.Requests.Select(r => r.Headers.GetValueOrDefault("Authorization")));
    }

    [Fact]
    public async Task AccountWithoutKey_PassesWhereNoneIsAskedForAndFailsWhereOneIs()
    {
        await using SimulatorServer open = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using SimulatorServer closed = await SimulatorServer.StartAsync(new SimulatorOptions { ApiKey = "k" });
        _doctor.Configure($$"""{ "accounts": [ { "name": "open", "baseUrl": "{{open.BaseUrl}}" }, { "name": "closed", "baseUrl": "{{closed.BaseUrl}}" } ] }""");
        Assert.Equal(2, await _doctor.RunAsync("doctor --json"));
        Assert.Equal("ok", _doctor.Find("key", "open").Result);
        Assert.Equal(("fault", "give 'closed' an apiKey"), (_doctor.Find("key", "closed").Result, _doctor.Find("key", "closed").Fix));
    }

    [Fact]
    public async Task KeyThatTheServiceRepeats_IsNotShown()
    {
        await using RawUpstream upstream = new(async exchange => await exchange.SendAsync(
            RawUpstream.Json(401, $$$"""{"error":{"code":"invalid_api_key","message":"Incorrect API key: {{{exchange.Header("authorization")}}} and {{{exchange.Header("x-tenant")}}}"}}""")));
        _doctor.Configure(upstream.BaseUrl, """, "headers": { "x-tenant": "tenant-secret" }""");
        (_, string says, _) = await _doctor.CheckAsync("key", exitCode: 2);
        Assert.Contains("Incorrect API key: Bearer *** and ***", says, StringComparison.Ordinal);
        Assert.DoesNotContain("the-right-key", _doctor.Out + _doctor.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("tenant-secret", _doctor.Out + _doctor.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-3600, 2, "fault", "60 min behind")]
    [InlineData(-58, 0, "ok", "behind this machine")]
    [InlineData(0, 0, "ok", "127.0.0.1 agrees with this machine (± 0.5 s; up to 60 s is fine)")]
    [InlineData(60, 0, "ok", "ahead of this machine")]
    [InlineData(62, 2, "fault", "62.5 s ahead of this machine")]
    public async Task Clock_IsAFaultBeyondAMinute(int secondsAhead, int exitCode, string result, string says)
    {
        FakeClock clock = new();
        using DoctorRun doctor = new() { Time = clock };
        string date = clock.GetUtcNow().AddSeconds(secondsAhead).ToString("R", CultureInfo.InvariantCulture);
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, """{"data":[{"id":"m"}]}""", $"Date: {date}\r\n"));
        doctor.Configure(upstream.BaseUrl);
        (string gotResult, string gotSays, string? fix) = await doctor.CheckAsync("clock", exitCode);
        Assert.Equal(result, gotResult);
        Assert.Contains(says, gotSays, StringComparison.Ordinal);
        Assert.Equal(result == "fault", fix?.Contains("timedatectl", StringComparison.Ordinal) ?? false);
    }

    [Fact]
    public async Task AnswerWithoutDate_LeavesTheClockUnchecked()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, """{"data":[{"id":"m"}]}"""));
        _doctor.Configure(upstream.BaseUrl);
        Assert.Equal("skipped", (await _doctor.CheckAsync("clock", exitCode: 0)).Result);
    }

    [Theory]
    [InlineData("qwen3-max", "write qwen3.7-max instead of qwen3-max")]
    [InlineData("qwen3.7-pluss", "write qwen3.7-plus instead of qwen3.7-pluss")]
    [InlineData("mistral", "take mistral out of the configuration")]
    [InlineData("glm-*", "take glm-* out of the configuration")]
    public async Task ModelThatIsNotOnOffer_IsAFaultThatNamesTheNextBest(string model, string fix)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { ApiKey = "the-right-key" });
        _doctor.Configure(upstream.BaseUrl, $$""", "models": ["qwen3.7-plus", "{{model}}"]""");
        (string result, string says, string? gotFix) = await _doctor.CheckAsync("models", exitCode: 2);
        Assert.Equal("fault", result);
        Assert.EndsWith(": " + model, says, StringComparison.Ordinal);
        Assert.Contains(fix, gotFix, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TargetOfAnAlias_IsCheckedWhereOnlyThisAccountServesIt()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using SimulatorServer other = await SimulatorServer.StartAsync(new SimulatorOptions());
        _doctor.Configure($$"""
            { "accounts": [ { "name": "up", "baseUrl": "{{upstream.BaseUrl}}" }, { "name": "other", "baseUrl": "{{other.BaseUrl}}" } ],
              "models": { "aliases": { "big": "up/gone-big", "small": "gone-small" }, "fallbacks": { "big": ["other/gone-other"] } } }
            """);
        (string result, string says, _) = await _doctor.CheckAsync("models", exitCode: 2);
        Assert.Equal("fault", result);
        Assert.EndsWith(": gone-big", says, StringComparison.Ordinal);
        Assert.EndsWith(": gone-other", _doctor.Find("models", "other").Says, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"object":"list","data":[]}""")]
    [InlineData("""{"object":"list","data":null}""")]
    public async Task EmptyList_IsAFault(string list)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, list));
        _doctor.Configure(upstream.BaseUrl);
        Assert.Equal(("fault", "the service lists no model"), ((await _doctor.CheckAsync("models", exitCode: 2)).Result, _doctor.Find("models").Says));
    }

    private static Task<SimulatorServer> AnsweringAsync(string scenario) => SimulatorServer.StartAsync(new SimulatorOptions { ChooseScenario = _ => scenario });
}
