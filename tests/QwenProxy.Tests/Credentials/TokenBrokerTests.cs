using QwenProxy.Core.Credentials;
using QwenProxy.Core.Errors;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

/// <summary>Handing out: validity, the lead window, one refresh for many callers.</summary>
public sealed class TokenBrokerTests : IDisposable
{
    private readonly SignInWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void ValidToken_IsHandedOutWithItsPlaceAndWithoutAskingAnybody() => _world.Run(async () =>
    {
        string token = _world.SignIn();
        TokenBroker broker = _world.Broker();
        Task<AccessTokenResult> pending = broker.GetValidAccessTokenAsync(CancellationToken.None).AsTask();
        Assert.True(pending.IsCompletedSuccessfully);
        AccessTokenResult result = await pending;
        Assert.Equal(token, result.Token!.Reveal());
        Assert.Equal("https://portal.qwen.ai/v1", result.BaseUrl!.AbsoluteUri);
        Assert.Equal(0, _world.Server.RefreshCalls);
        Assert.Equal(CredentialStateKind.Ready, broker.State.Kind);
    });

    [Fact]
    public async Task CallerDuringTheFirstLook_WaitsForItsResult()
    {
        string token = _world.SignIn();
        using SlowFiles files = new();
        TokenBroker broker = _world.Broker(o => o with { Files = files });
        Task<string> first = Task.Run(() => SignInWorld.TokenAsync(broker));
        files.Entered.Wait(TestContext.Current.CancellationToken);
        Task<string> second = Task.Run(() => SignInWorld.TokenAsync(broker));

        // One that does not wait has its wrong answer long before this.
        await Task.WhenAny(second, Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System));
        files.MayGoOn.Set();
        Assert.Equal((token, token), (await first, await second));
    }

    [Theory]
    [InlineData(200)]
    [InlineData(40)]
    public void LeadWindow_ServesTheOldTokenAtOnceAndRefreshesBehindIt(int left) => _world.Run(async () =>
    {
        string old = _world.SignIn(left);
        TokenBroker broker = _world.Broker();
        Task<AccessTokenResult> pending = broker.GetValidAccessTokenAsync(CancellationToken.None).AsTask();
        Assert.True(pending.IsCompletedSuccessfully);
        Assert.Equal(old, (await pending).Token!.Reveal());
        await _world.PassAsync(1);
        Assert.NotEqual(old, await SignInWorld.TokenAsync(broker));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void EndpointDown_TokenThatIsStillValidKeepsServingUntilItReallyEnds() => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Refresh, OAuthFault.BadGateway);
        string token = _world.SignIn(301);
        TokenBroker broker = _world.Broker();
        broker.Start();
        for (int second = 0; second < 299; second += 3)
        {
            Assert.Equal(token, await SignInWorld.TokenAsync(broker));
            await _world.PassAsync(3 - (_world.Clock.GetUtcNow().TimeOfDay.TotalSeconds % 3));
        }

        await _world.PassAsync(5);
        AccessTokenResult over = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal("upstream_unreachable", over.Error!.Code);
        Assert.False(over.IsSignedOut);
        Assert.NotNull(over.Error.RetryAfter);
        await broker.DisposeAsync();
    });

    [Fact]
    public void HungEndpoint_DoesNotHoldUpRequestsWithAValidToken() => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Refresh, OAuthFault.Hung);
        string token = _world.SignIn(120);
        TokenBroker broker = _world.Broker();
        for (int i = 0; i < 5; i++)
        {
            Task<AccessTokenResult> pending = broker.GetValidAccessTokenAsync(CancellationToken.None).AsTask();
            Assert.True(pending.IsCompletedSuccessfully);
            Assert.True((await pending).Token!.Matches(token));
            await _world.PassAsync(1);
        }
    });

    [Fact]
    public void HungEndpoint_EndsAfterThirtySeconds() => _world.Run(async () =>
    {
        _world.Server.Stand(OAuthCall.Refresh, OAuthFault.Hung);
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        DateTimeOffset began = _world.Clock.GetUtcNow();
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal(30, (_world.Clock.GetUtcNow() - began).TotalSeconds, 1.0);
        Assert.Equal("upstream_unreachable", result.Error!.Code);
        Assert.Contains("30 s", result.Error.Message);
        Assert.Equal(1, _world.Server.RefreshCalls);
        Assert.False(File.Exists(_world.LockPath));
    });

    [Fact]
    public void RequestBound_EndsTheWaitButNotTheRefresh() => _world.Run(async () =>
    {
        _world.Server.Plan(OAuthCall.Refresh, OAuthFault.Slow(TimeSpan.FromSeconds(20)));
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker(o => o with { RequestBound = TimeSpan.FromSeconds(5) });
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal(("upstream_timeout", 504), (result.Error!.Code, result.Error.Status));
        await _world.PassAsync(16);
        Assert.NotNull(await SignInWorld.TokenAsync(broker));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void ManyCallersOfAnExpiredToken_ShareOneRefreshAndGetItsToken() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        string[] tokens = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => SignInWorld.TokenAsync(broker)));
        Assert.Single(tokens.Distinct());
        Assert.True(_world.Server.Accepts(tokens[0]));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void CallerThatLeaves_CancelsOnlyItsOwnWait() => _world.Run(async () =>
    {
        _world.Server.Plan(OAuthCall.Refresh, OAuthFault.Slow(TimeSpan.FromSeconds(10)));
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        using CancellationTokenSource leaver = new();
        Task<AccessTokenResult> first = broker.GetValidAccessTokenAsync(leaver.Token).AsTask();
        Task<string> second = SignInWorld.TokenAsync(broker);
        await _world.PassAsync(1);
        leaver.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.True(_world.Server.Accepts(await second));
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void OnlyCallerThatLeaves_LeavesTheRefreshRunning() => _world.Run(async () =>
    {
        _world.Server.Plan(OAuthCall.Refresh, OAuthFault.Slow(TimeSpan.FromSeconds(10)));
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        using CancellationTokenSource leaver = new();
        Task<AccessTokenResult> only = broker.GetValidAccessTokenAsync(leaver.Token).AsTask();
        await _world.PassAsync(1);
        leaver.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => only);
        await _world.PassAsync(10);
        Assert.True(_world.Server.Accepts(_world.OnDisk().AccessToken.Reveal()));
        Assert.True(broker.GetValidAccessTokenAsync(CancellationToken.None).AsTask().IsCompletedSuccessfully);
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    [Fact]
    public void MissingExpiresIn_IsShortLivedButNotRefreshedAtEveryRequest() => _world.Run(async () =>
    {
        _world.Server.Options.Lifetime = null;
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        for (int i = 0; i < 30; i++)
        {
            await SignInWorld.TokenAsync(broker);
            await _world.PassAsync(10);
        }

        Assert.Equal(1, _world.Server.RefreshCalls);
        await _world.PassAsync(320);
        await SignInWorld.TokenAsync(broker);
        await _world.PassAsync(1);
        Assert.Equal(2, _world.Server.RefreshCalls);
    });

    [Fact]
    public void ShortLivedTokens_AreRefreshedOncePerLife() => _world.Run(async () =>
    {
        _world.Server.Options.Lifetime = TimeSpan.FromSeconds(60);
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        broker.Start();
        for (int i = 0; i < 600; i++)
        {
            Assert.True(_world.Server.Accepts(await SignInWorld.TokenAsync(broker)));
            await _world.PassAsync(1);
        }

        Assert.InRange(_world.Server.RefreshCalls, 10, 17);
        await broker.DisposeAsync();
    });

    [Theory]
    [InlineData(3)]
    [InlineData(-3)]
    public void SkewedClocks_RefreshOncePerExpiryAndAreReported(int hours) => _world.Run(async () =>
    {
        _world.Server.Options.ClockSkew = TimeSpan.FromHours(hours);
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        broker.Start();
        for (int minute = 0; minute < 120; minute++)
        {
            Assert.True(_world.Server.Accepts(await SignInWorld.TokenAsync(broker)));
            await _world.PassAsync(60);
        }

        Assert.Equal(3, _world.Server.RefreshCalls);
        Assert.Equal(hours, broker.State.ClockSkew!.Value.TotalHours, 0.01);
        Assert.Contains("clock", _world.Log.Text);
        await broker.DisposeAsync();
    });

    [Fact]
    public void RefreshedEndpoint_OnAForeignHost_GetsNoTokenAndTheOldOneStays() => _world.Run(async () =>
    {
        _world.Server.Options.ResourceUrl = "https://evil.example";
        _world.SignIn(-10);
        TokenBroker broker = _world.Broker();
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal("https://portal.qwen.ai/v1", result.BaseUrl!.AbsoluteUri);
        Assert.Equal("portal.qwen.ai", _world.OnDisk().ResourceUrl);
        Assert.Contains("evil.example", _world.Log.Text);
    });

    [Theory]
    [InlineData("http://portal.qwen.ai")]
    [InlineData("evil.example")]
    public void EndpointInTheFile_ThatIsNotAllowed_GetsNoToken(string resource) => _world.Run(async () =>
    {
        _world.SignIn(resource: resource);
        TokenBroker broker = _world.Broker();
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Null(result.Token);
        Assert.Equal(FaultKind.AccountSignedOut, result.Error!.Kind);
        Assert.Equal(CredentialStateKind.SignedOut, broker.State.Kind);
    });

    [Fact]
    public void NoFile_IsSignedOutAndSaysWhatToDo() => _world.Run(async () =>
    {
        TokenBroker broker = _world.Broker(o => o with { LoginCommand = "qwen-proxy login work" });
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(CancellationToken.None);
        Assert.Equal((401, "account_signed_out"), (result.Error!.Status, result.Error.Code));
        Assert.Contains("`qwen-proxy login work`", result.Error.Message);
    });

    /// <summary>A disk whose first answer takes as long as the test wants.</summary>
    private sealed class SlowFiles : DurableFiles, IDisposable
    {
        public ManualResetEventSlim Entered { get; } = new();

        public ManualResetEventSlim MayGoOn { get; } = new();

        public override FileStamp? Stamp(string path)
        {
            Entered.Set();
            MayGoOn.Wait();
            return base.Stamp(path);
        }

        public void Dispose()
        {
            Entered.Dispose();
            MayGoOn.Dispose();
        }
    }
}
