using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using QwenProxy.Simulator.OAuth;
using QwenProxy.Testing;

namespace QwenProxy.Simulator.Tests.OAuth;

public sealed class OAuthSimulatorTests
{
    private const string Verifier = "0123456789012345678901234567890123456789abc";

    private readonly FakeClock _clock = new();
    private readonly OAuthSimulator _server;

    public OAuthSimulatorTests()
    {
        _server = new OAuthSimulator(_clock, new OAuthSimulatorOptions { ResourceUrl = "portal.qwen.ai", IntervalSeconds = 3 });
    }

    [Fact]
    public void Refresh_RotatesAndRefusesReuse()
    {
        (_, string first) = _server.Issue();
        JsonElement granted = Body(Refresh(first), 200);
        string second = granted.GetProperty("refresh_token").GetString()!;

        Assert.NotEqual(first, second);
        Assert.Equal(3600, granted.GetProperty("expires_in").GetInt32());
        Assert.Equal("portal.qwen.ai", granted.GetProperty("resource_url").GetString());
        Assert.Equal("invalid_request", Body(Refresh(first), 400).GetProperty("error").GetString());
        Body(Refresh(second), 200);
        Assert.Equal((3, 2, 1), (_server.RefreshCalls, _server.RefreshesGranted, _server.RefreshTokensReused));
    }

    [Fact]
    public void RefreshWithoutRotation_SendsNoRefreshTokenAndTakesTheOldOneAgain()
    {
        _server.Options.Rotates = false;
        _server.Options.ResourceUrlOnRefresh = false;
        _server.Options.Lifetime = null;
        (_, string token) = _server.Issue();
        JsonElement granted = Body(Refresh(token), 200);
        Assert.False(granted.TryGetProperty("refresh_token", out _));
        Assert.False(granted.TryGetProperty("resource_url", out _));
        Assert.False(granted.TryGetProperty("expires_in", out _));
        Body(Refresh(token), 200);
    }

    [Fact]
    public void AccessToken_EndsByTimeAndByRevocation()
    {
        (string first, _) = _server.Issue();
        (string second, _) = _server.Issue();
        Assert.True(_server.Accepts(first));
        _server.RevokeAccess(first);
        Assert.False(_server.Accepts(first));
        Assert.True(_server.Accepts(second));
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.False(_server.Accepts(second));
        Assert.False(_server.Accepts("unheard-of"));
    }

    [Fact]
    public void RevokedSignIn_RefusesItsRefreshToken()
    {
        (_, string token) = _server.Issue();
        _server.RevokeRefresh();
        Body(Refresh(token), 400);
        Assert.Equal(0, _server.RefreshTokensReused);
    }

    [Fact]
    public void PlannedFaults_ComeInOrderAndUseNothingUp()
    {
        (_, string token) = _server.Issue();
        _server.Plan(OAuthCall.Refresh, OAuthFault.Html, OAuthFault.None, OAuthFault.Hung);
        Assert.StartsWith("text/html", Refresh(token).ContentType);
        string next = Body(Refresh(token), 200).GetProperty("refresh_token").GetString()!;
        Assert.True(Refresh(next).Hangs);
        Body(Refresh(next), 200);
    }

    [Fact]
    public void StandingFault_LastsUntilItIsLifted()
    {
        (_, string token) = _server.Issue();
        _server.Stand(OAuthCall.Refresh, OAuthFault.ServerError);
        Body(Refresh(token), 500);
        Body(Refresh(token), 500);
        _server.Stand(OAuthCall.Refresh, null);
        Body(Refresh(token), 200);
    }

    [Fact]
    public void LostReply_UsesTheTokenUp()
    {
        (_, string token) = _server.Issue();
        _server.Plan(OAuthCall.Refresh, OAuthFault.ReplyLost);
        Assert.True(Refresh(token).Resets);
        Body(Refresh(token), 400);
    }

    [Fact]
    public void DeviceFlow_ConfirmedByThePerson_GivesTokensOnce()
    {
        JsonElement device = Body(StartDevice(), 200);
        string code = device.GetProperty("device_code").GetString()!;
        string userCode = device.GetProperty("user_code").GetString()!;
        Assert.Contains(userCode, device.GetProperty("verification_uri_complete").GetString());
        Assert.Equal(3, device.GetProperty("interval").GetInt32());
        Assert.Equal("authorization_pending", Body(Poll(code), 400).GetProperty("error").GetString());
        Assert.True(_server.Confirm(userCode));
        Assert.Equal("invalid_grant", Body(Poll(code, "another verifier"), 400).GetProperty("error").GetString());
        string access = Body(Poll(code), 200).GetProperty("access_token").GetString()!;
        Assert.True(_server.Accepts(access));
        Assert.Equal("expired_token", Body(Poll(code), 400).GetProperty("error").GetString());
    }

    [Fact]
    public void DeviceFlow_Denied_SaysSo()
    {
        JsonElement device = Body(StartDevice(), 200);
        Assert.True(_server.Deny(device.GetProperty("user_code").GetString()!));
        Assert.False(_server.Deny("SIM-none"));
        Assert.Equal("access_denied", Body(Poll(device.GetProperty("device_code").GetString()!), 400).GetProperty("error").GetString());
    }

    [Fact]
    public void DeviceFlow_TooLate_IsExpired()
    {
        string code = Body(StartDevice(), 200).GetProperty("device_code").GetString()!;
        _clock.Advance(TimeSpan.FromMinutes(15));
        Assert.Equal("expired_token", Body(Poll(code), 400).GetProperty("error").GetString());
    }

    [Fact]
    public void DeviceFlow_CanConfirmItselfAfterPolls()
    {
        _server.Options.ConfirmsAfterPolls = 2;
        string code = Body(StartDevice(), 200).GetProperty("device_code").GetString()!;
        Body(Poll(code), 400);
        Body(Poll(code), 400);
        Body(Poll(code), 200);
    }

    [Fact]
    public void UnknownClientGrantOrChallenge_IsRefused()
    {
        JsonElement unknown = Body(_server.Answer(false, new Dictionary<string, string> { ["grant_type"] = "password" }), 400);
        Assert.Equal("unsupported_grant_type", unknown.GetProperty("error").GetString());
        Body(_server.Answer(false, new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["client_id"] = "x" }), 401);
        Body(_server.Answer(true, new Dictionary<string, string> { ["client_id"] = OAuthSimulator.ClientId }), 400);
    }

    [Fact]
    public async Task Host_AnswersWithItsOwnClockAndGuardsItsModelPath()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        _server.Options.ClockSkew = TimeSpan.FromHours(2);
        await using OAuthSimulatorHost host = await OAuthSimulatorHost.StartAsync(_server, _clock, stop);
        (string access, string refresh) = _server.Issue();
        using HttpClient client = new() { BaseAddress = host.BaseUrl };
        using FormUrlEncodedContent form = new(RefreshForm(refresh));

        using HttpResponseMessage reply = await client.PostAsync(new Uri(OAuthSimulatorEndpoints.TokenPath, UriKind.Relative), form, stop);

        Assert.Equal(200, (int)reply.StatusCode);
        Assert.Equal(_clock.GetUtcNow().AddHours(2), reply.Headers.Date);
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/whoami");
        request.Headers.Authorization = new("Bearer", access);
        using HttpResponseMessage who = await client.SendAsync(request, stop);
        Assert.Equal(200, (int)who.StatusCode);
        using HttpResponseMessage nobody = await client.GetAsync(new Uri("/v1/whoami", UriKind.Relative), stop);
        Assert.Equal(401, (int)nobody.StatusCode);
    }

    [Fact]
    public async Task Host_HangsAndResetsAsPlanned()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using OAuthSimulatorHost host = await OAuthSimulatorHost.StartAsync(_server, _clock, stop);
        _server.Plan(OAuthCall.Refresh, OAuthFault.Reset, OAuthFault.Hung);
        using HttpClient client = new() { BaseAddress = host.BaseUrl };
        Uri path = new(OAuthSimulatorEndpoints.TokenPath, UriKind.Relative);

        using FormUrlEncodedContent first = new(RefreshForm("x"));
        await Assert.ThrowsAsync<HttpRequestException>(() => client.PostAsync(path, first, stop));

        using CancellationTokenSource hangUp = new();
        _server.RefreshDecided = _ => hangUp.Cancel();
        using FormUrlEncodedContent second = new(RefreshForm("x"));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.PostAsync(path, second, hangUp.Token));
    }

    private static Dictionary<string, string> RefreshForm(string token) =>
        new() { ["grant_type"] = "refresh_token", ["client_id"] = OAuthSimulator.ClientId, ["refresh_token"] = token };

    private OAuthAnswer Refresh(string token) => _server.Answer(false, RefreshForm(token));

    private OAuthAnswer StartDevice() => _server.Answer(true, new Dictionary<string, string>
    {
        ["client_id"] = OAuthSimulator.ClientId,
        ["code_challenge"] = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Verifier))),
        ["code_challenge_method"] = "S256",
    });

    private OAuthAnswer Poll(string code, string verifier = Verifier) => _server.Answer(false, new Dictionary<string, string>
    {
        ["grant_type"] = OAuthSimulator.DeviceGrant,
        ["client_id"] = OAuthSimulator.ClientId,
        ["device_code"] = code,
        ["code_verifier"] = verifier,
    });

    private static JsonElement Body(OAuthAnswer answer, int status)
    {
        Assert.Equal(status, answer.Status);
        return JsonElement.Parse(answer.Body);
    }
}
