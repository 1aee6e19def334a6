using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

/// <summary>What fails: refused tokens, a dead sign-in, a token endpoint in trouble.</summary>
public sealed class TokenBrokerFailureTests : IDisposable
{
    private readonly SignInWorld _world = new();

    public static TheoryData<string> Passing => [.. PassingFaults.Keys];

    public static TheoryData<string> Final => [.. FinalFaults.Keys];

    private static Dictionary<string, OAuthFault> PassingFaults => new()
    {
        ["html"] = OAuthFault.Html,
        ["bad gateway"] = OAuthFault.BadGateway,
        ["500"] = OAuthFault.ServerError,
        ["429"] = OAuthFault.RateLimited,
        ["slow_down"] = OAuthFault.SlowDown429,
        ["reset"] = OAuthFault.Reset,
        ["null token"] = OAuthFault.NullToken,
        ["empty"] = OAuthFault.EmptyOk,
        ["torn"] = OAuthFault.TornJson,
        ["error under 200"] = OAuthFault.ErrorUnder200,
    };

    private static Dictionary<string, OAuthFault> FinalFaults => new()
    {
        ["invalid_request"] = OAuthFault.RefusedRequest,
        ["invalid_grant"] = OAuthFault.RefusedGrant,
        ["401"] = OAuthFault.RefusedUnder401,
    };

    public void Dispose() => _world.Dispose();

    [Fact]
    public void RevokedToken_TwentyCallers_OneRefreshAndAllRetry() => _world.Run(async () =>
    {
        string old = _world.SignIn();
        _world.Server.RevokeAccess();
        TokenBroker broker = _world.Broker();
        bool[] recovered = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => broker.RecoverAsync(old, AuthFailure.Refused, CancellationToken.None).AsTask()));
        Assert.All(recovered, Assert.True);
        Assert.Equal(1, _world.Server.RefreshCalls);
        Assert.True(_world.Server.Accepts(await SignInWorld.TokenAsync(broker)));
    });

    [Fact]
    public void LateRefusalOfTheOldToken_RetriesWithTheNewOneWithoutARefresh() => _world.Run(async () =>
    {
        string old = _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        string current = await SignInWorld.TokenAsync(broker);
        Assert.True(await broker.RecoverAsync(old, AuthFailure.Refused, CancellationToken.None));
        Assert.Equal(current, await SignInWorld.TokenAsync(broker));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void GatewayTimeout_WithAFreshToken_RefreshesNothing() => _world.Run(async () =>
    {
        string token = _world.SignIn();
        TokenBroker broker = _world.Broker();
        Assert.False(await broker.RecoverAsync(token, AuthFailure.GatewayTimeout, CancellationToken.None));
        Assert.Equal(0, _world.Server.RefreshCalls);
    });

    [Fact]
    public void GatewayTimeout_InTheLeadWindow_RefreshesOnce() => _world.Run(async () =>
    {
        string token = _world.SignIn(200);
        TokenBroker broker = _world.Broker();
        Assert.True(await broker.RecoverAsync(token, AuthFailure.GatewayTimeout, CancellationToken.None));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void GatewayTimeout_AfterTheFileChanged_RetriesWithThatToken() => _world.Run(async () =>
    {
        string token = _world.SignIn();
        TokenBroker broker = _world.Broker();
        await SignInWorld.TokenAsync(broker);
        string newer = _world.SignIn();
        Assert.True(await broker.RecoverAsync(token, AuthFailure.GatewayTimeout, CancellationToken.None));
        Assert.Equal(newer, await SignInWorld.TokenAsync(broker));
        Assert.Equal(0, _world.Server.RefreshCalls);
    });

    [Theory]
    [MemberData(nameof(Passing))]
    public void PassingFault_OfTenCallers_MakesFewTriesAndNeverSignsOut(string fault) => _world.Run(async () =>
    {
        _world.SignIn(-10);
        byte[] before = File.ReadAllBytes(_world.Path);
        _world.Server.Stand(OAuthCall.Refresh, PassingFaults[fault]);
        TokenBroker broker = _world.Broker();
        broker.Start();
        AccessTokenResult[] results = await Task.WhenAll(
            Enumerable.Range(0, 10).Select(_ => broker.GetValidAccessTokenAsync(CancellationToken.None).AsTask()));
        Assert.All(results, r => Assert.Equal(("upstream_unreachable", 502, false), (r.Error!.Code, r.Error.Status, r.IsSignedOut)));
        Assert.InRange(_world.Server.RefreshCalls, 1, 2);
        for (int i = 0; i < 20; i++)
        {
            Assert.False((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
            await _world.PassAsync(0.3);
        }

        Assert.InRange(_world.Server.RefreshCalls, 1, 4);
        Assert.Equal(CredentialStateKind.Expired, broker.State.Kind);
        Assert.Equal(before, File.ReadAllBytes(_world.Path));
        await broker.DisposeAsync();
    });

    [Theory]
    [MemberData(nameof(Passing))]
    public void PassingFault_OnceOnly_IsNotSeenByTheCaller(string fault) => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.Plan(OAuthCall.Refresh, PassingFaults[fault]);
        Assert.True(_world.Server.Accepts(await SignInWorld.TokenAsync(_world.Broker())));
        Assert.Equal(2, _world.Server.RefreshCalls);
    });

    [Theory]
    [InlineData(5)]
    [InlineData(100)]
    [InlineData(590)]
    public void EndpointThatComesBack_IsNoticedWithinFifteenSeconds(int outage) => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.Stand(OAuthCall.Refresh, OAuthFault.BadGateway);
        TokenBroker broker = _world.Broker();
        broker.Start();
        await _world.PassAsync(outage);
        _world.Server.Stand(OAuthCall.Refresh, null);
        await _world.PassAsync(15);
        Assert.True(broker.State.CanServe);
        await broker.DisposeAsync();
    });

    [Fact]
    public void LongOutage_IsAskedAboutSeldomWhenNobodyWaitsAndSoonWhenSomebodyDoes() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.Stand(OAuthCall.Refresh, OAuthFault.BadGateway);
        TokenBroker broker = _world.Broker();
        broker.Start();
        await _world.PassAsync(1000);
        int before = _world.Server.RefreshCalls;
        await _world.PassAsync(3600);
        Assert.InRange(_world.Server.RefreshCalls - before, 30, 130);
        _world.Server.Stand(OAuthCall.Refresh, null);
        DateTimeOffset back = _world.Clock.GetUtcNow();
        while ((await broker.GetValidAccessTokenAsync(CancellationToken.None)).Error is not null) await _world.PassAsync(1);
        Assert.InRange((_world.Clock.GetUtcNow() - back).TotalSeconds, 0, 15);
        await broker.DisposeAsync();
    });

    [Theory]
    [MemberData(nameof(Final))]
    public void RefusedRefresh_IsAskedOnceInAllAndSignsOut(string fault) => _world.Run(async () =>
    {
        _world.SignIn(-10);
        byte[] before = File.ReadAllBytes(_world.Path);
        _world.Server.Stand(OAuthCall.Refresh, FinalFaults[fault]);
        TokenBroker broker = _world.Broker();
        broker.Start();
        for (int i = 0; i < 50; i++)
        {
            AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
            Assert.True(result.IsSignedOut);
            Assert.Contains("`qwen-proxy login`", result.Error!.Message);
            Assert.Contains("API key", result.Error.Message);
            await _world.PassAsync(60);
        }

        Assert.Equal(1, _world.Server.RefreshCalls);
        Assert.Equal(CredentialStateKind.SignedOut, broker.State.Kind);
        Assert.Equal(before, File.ReadAllBytes(_world.Path));
        await broker.DisposeAsync();
    });

    [Fact]
    public void RevokedSignIn_TwentyCallers_OneRefreshAndSignedOut() => _world.Run(async () =>
    {
        string token = _world.SignIn();
        _world.Server.RevokeAccess();
        _world.Server.RevokeRefresh();
        TokenBroker broker = _world.Broker();
        bool[] recovered = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => broker.RecoverAsync(token, AuthFailure.Refused, CancellationToken.None).AsTask()));
        Assert.DoesNotContain(true, recovered);
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        Assert.False(await broker.RecoverAsync(token, AuthFailure.Refused, CancellationToken.None));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void RefusedRefreshInTheLeadWindow_LeavesTheTokenServingToItsEnd() => _world.Run(async () =>
    {
        string token = _world.SignIn(200);
        _world.Server.RevokeRefresh();
        TokenBroker broker = _world.Broker();
        broker.Start();
        await _world.PassAsync(150);
        Assert.Equal(token, await SignInWorld.TokenAsync(broker));
        Assert.Contains("still works", broker.State.Why);
        await _world.PassAsync(60);
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        Assert.Equal(1, _world.Server.RefreshCalls);
        await broker.DisposeAsync();
    });

    [Fact]
    public void ServiceThatRefusesEvenFreshTokens_IsNoRefreshLoop() => _world.Run(async () =>
    {
        _world.SignIn();
        TokenBroker broker = _world.Broker();
        broker.Start();
        int asked = 0;
        for (int i = 0; i < 1800; i++)
        {
            AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
            if (result.Token is { } token)
            {
                asked++;
                if (await broker.RecoverAsync(token.Reveal(), AuthFailure.Refused, CancellationToken.None)) asked++;
            }
            else
            {
                Assert.True(result.IsSignedOut);
                Assert.Contains("2026-04-15", result.Error!.Message);
            }

            await _world.PassAsync(1);
        }

        Assert.Equal(2, _world.Server.RefreshCalls);
        Assert.InRange(asked, 3, 9);
        await broker.DisposeAsync();
    });

    [Fact]
    public void EndedService_RestsTheAccountAndTriesItAgainLater() => _world.Run(async () =>
    {
        string token = _world.SignIn();
        TokenBroker broker = _world.Broker();
        Assert.Equal(token, await SignInWorld.TokenAsync(broker));
        broker.ReportServiceEnded("Free allocated quota exceeded.");
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        Assert.Contains("Free allocated quota exceeded", broker.State.Why);
        await _world.PassAsync(61);
        Assert.Equal(CredentialStateKind.Ready, broker.State.Kind);
        Assert.Equal(token, await SignInWorld.TokenAsync(broker));
        Assert.Equal(0, _world.Server.RefreshCalls);
    });

    [Fact]
    public void SignInWithoutRefreshToken_EndsWithItsTokenAndAsksNobody() => _world.Run(async () =>
    {
        _world.Write("sim-lonely", null, 60);
        TokenBroker broker = _world.Broker();
        Assert.Equal("sim-lonely", await SignInWorld.TokenAsync(broker));
        await _world.PassAsync(61);
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.True(result.IsSignedOut);
        Assert.Contains("no refresh token", result.Error!.Message);
        Assert.Equal(0, _world.Server.RefreshCalls);
    });

    [Fact]
    public void Tokens_AppearInNoLogErrorOrState() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.Plan(
            OAuthCall.Refresh, OAuthFault.ServerError, OAuthFault.None, OAuthFault.Error(400, "invalid_request", "sim-refresh-000002 is used up"));
        TokenBroker broker = _world.Broker();
        string token = await SignInWorld.TokenAsync(broker);
        AccessTokenResult held = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        string printed = $"{held}{broker.State}";
        await broker.RecoverAsync(token, AuthFailure.Refused, CancellationToken.None);
        AccessTokenResult dead = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.True(dead.IsSignedOut);
        string all = printed + _world.Log.Text + dead + dead.Error!.Message + broker.State;
        Assert.Contains("***", all);
        Assert.DoesNotContain("sim-access", all);
        Assert.DoesNotContain("sim-refresh", all);
    });
}
