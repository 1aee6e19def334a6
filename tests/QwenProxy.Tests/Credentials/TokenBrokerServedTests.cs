using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;

namespace QwenProxy.Tests.Credentials;

/// <summary>An account is given up only for tokens that were refused before they ever served.</summary>
public sealed class TokenBrokerServedTests : IDisposable
{
    private readonly SignInWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void TokensThatServeAndAreRefusedSoonAfter_AreRefreshedEachTime() => _world.Run(async () =>
    {
        _world.SignIn();
        TokenBroker broker = _world.Broker();
        for (int i = 1; i <= 12; i++)
        {
            string token = await SignInWorld.TokenAsync(broker);
            broker.NoteServed(token);
            await _world.PassAsync(3);
            _world.Server.RevokeAccess(token);
            Assert.True(await broker.RecoverAsync(token, AuthFailure.Refused, CancellationToken.None));
            Assert.Equal(i, _world.Server.RefreshCalls);
            Assert.NotEqual(CredentialStateKind.SignedOut, broker.State.Kind);
        }
    });

    [Fact]
    public void TwoFreshTokensRefusedBeforeTheyServed_CondemnTheAccount_WithoutALoop() => _world.Run(async () =>
    {
        string old = _world.SignIn();
        TokenBroker broker = _world.Broker();
        broker.NoteServed(old);
        Assert.True(await broker.RecoverAsync(old, AuthFailure.Refused, CancellationToken.None));
        string second = await SignInWorld.TokenAsync(broker);
        bool[] recovered = await Task.WhenAll(Enumerable.Range(0, 9).Select(_ => broker.RecoverAsync(second, AuthFailure.Refused, CancellationToken.None).AsTask()));
        Assert.All(recovered, Assert.True);
        string third = await SignInWorld.TokenAsync(broker);
        for (int i = 0; i < 5; i++) Assert.False(await broker.RecoverAsync(third, AuthFailure.Refused, CancellationToken.None));
        Assert.Equal(2, _world.Server.RefreshCalls);
        Assert.Equal(CredentialStateKind.SignedOut, broker.State.Kind);
    });

    [Fact]
    public void CondemnedToken_ThatServesAfterAll_SetsTheAccountFree() => _world.Run(async () =>
    {
        string old = _world.SignIn();
        TokenBroker broker = _world.Broker();
        for (int i = 0; i < 2; i++) Assert.True(await broker.RecoverAsync(await SignInWorld.TokenAsync(broker), AuthFailure.Refused, CancellationToken.None));
        string fresh = await SignInWorld.TokenAsync(broker);
        Assert.False(await broker.RecoverAsync(fresh, AuthFailure.Refused, CancellationToken.None));

        // An answer to the old token proves nothing; one to the token at hand does.
        broker.NoteServed(old);
        Assert.Equal(CredentialStateKind.SignedOut, broker.State.Kind);
        broker.NoteServed(fresh);
        Assert.Equal(CredentialStateKind.Ready, broker.State.Kind);
        Assert.Equal(fresh, await SignInWorld.TokenAsync(broker));
    });
}
