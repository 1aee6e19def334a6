using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

/// <summary>One refresh among programs: the lock file's rules, and what they are for.</summary>
public sealed class CredentialsLockTests : IDisposable
{
    private readonly SignInWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void HeldLock_IsAFileWithAUniqueBodyAndGoesWithItsHolder() => _world.Run(async () =>
    {
        using (LockAttempt attempt = await NewLock().AcquireAsync(() => false, CancellationToken.None))
        {
            Assert.Equal(LockOutcome.Held, attempt.Outcome);
            Assert.StartsWith("id-", File.ReadAllText(_world.LockPath));
        }

        Assert.False(File.Exists(_world.LockPath));
    });

    [Fact]
    public void SecondProgram_WaitsForTheFirst() => _world.Run(async () =>
    {
        LockAttempt first = await NewLock().AcquireAsync(() => false, CancellationToken.None);
        Task<LockAttempt> second = NewLock().AcquireAsync(() => false, CancellationToken.None);
        await _world.PassAsync(4);
        Assert.False(second.IsCompleted);
        first.Dispose();
        using LockAttempt got = await second;
        Assert.Equal(LockOutcome.Held, got.Outcome);
    });

    [Fact]
    public void LockOfADeadProgram_IsBrokenAfterThirtyFiveSeconds() => _world.Run(async () =>
    {
        WriteLock("of the dead", age: 36);
        using LockAttempt attempt = await NewLock().AcquireAsync(() => false, CancellationToken.None);
        Assert.Equal(LockOutcome.Held, attempt.Outcome);
        Assert.NotEqual("of the dead", File.ReadAllText(_world.LockPath));
        Assert.Single(Directory.GetFiles(_world.Folder));
    });

    [Theory]
    [InlineData(20, 14, 17)]
    [InlineData(-3600, 34, 38)]
    public void LockThatIsYetYoung_IsWaitedFor(int age, int atLeast, int atMost) => _world.Run(async () =>
    {
        // A time in the future comes from another clock; then what counts is how long it has not changed.
        WriteLock("of somebody", age);
        DateTimeOffset began = _world.Clock.GetUtcNow();
        using LockAttempt attempt = await NewLock().AcquireAsync(() => false, CancellationToken.None);
        Assert.Equal(LockOutcome.Held, attempt.Outcome);
        Assert.InRange((_world.Clock.GetUtcNow() - began).TotalSeconds, atLeast, atMost);
    });

    [Fact]
    public void HolderThatWaitsLong_KeepsItsLockYoung() => _world.Run(async () =>
    {
        using LockAttempt attempt = await NewLock().AcquireAsync(() => false, CancellationToken.None);
        for (int i = 0; i < 30; i++)
        {
            await _world.PassAsync(1);
            Assert.InRange((_world.Clock.GetUtcNow().UtcDateTime - File.GetLastWriteTimeUtc(_world.LockPath)).TotalSeconds, 0, 9);
        }
    });

    [Fact]
    public void LockThatWasTakenOver_IsNotRemovedByItsFormerOwner() => _world.Run(async () =>
    {
        LockAttempt attempt = await NewLock().AcquireAsync(() => false, CancellationToken.None);
        WriteLock("of another", age: 0);
        attempt.Dispose();
        Assert.Equal("of another", File.ReadAllText(_world.LockPath));
    });

    [Fact]
    public void LockThatIsNoLongerNeeded_IsNotWaitedFor() => _world.Run(async () =>
    {
        WriteLock("of somebody", age: 0);
        using LockAttempt attempt = await NewLock().AcquireAsync(() => true, CancellationToken.None);
        Assert.Equal(LockOutcome.NotNeeded, attempt.Outcome);
        Assert.Equal("of somebody", File.ReadAllText(_world.LockPath));
    });

    [Fact]
    public void FolderThatTakesNoFile_IsSaidNotWaitedFor() => _world.Run(async () =>
    {
        CredentialsLock unwritable = new(_world.Folder, new FailingFiles { IsReadOnly = true }, _world.Clock, () => 0.5, _world.NewId);
        using LockAttempt attempt = await unwritable.AcquireAsync(() => false, CancellationToken.None);
        Assert.Equal(LockOutcome.Unavailable, attempt.Outcome);
    });

    [Fact]
    public void TwoPrograms_OneExpiredToken_OneRefresh() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        TokenBroker one = _world.Broker();
        TokenBroker two = _world.Broker();
        string[] tokens = await Task.WhenAll(SignInWorld.TokenAsync(one), SignInWorld.TokenAsync(two));
        Assert.Equal(tokens[0], tokens[1]);
        Assert.Equal((1, 0), (_world.Server.RefreshCalls, _world.Server.RefreshTokensReused));
    });

    [Fact]
    public void LockHeldByAProgramThatRefreshes_EndsInItsToken() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        WriteLock("of qwen-code", age: 0);
        Task<string> waiter = SignInWorld.TokenAsync(_world.Broker());
        await _world.PassAsync(2);
        Assert.False(waiter.IsCompleted);
        string theirs = _world.SignIn();
        Assert.Equal(theirs, await waiter);
        Assert.Equal(0, _world.Server.RefreshCalls);
        Assert.Equal("of qwen-code", File.ReadAllText(_world.LockPath));
    });

    [Fact]
    public void ProgramWithoutTheLock_ThatUsedTheTokenFirst_IsAdoptedNotDead() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        string theirs = "";
        _world.Server.RefreshDecided = _ => theirs = _world.SignIn();
        _world.Server.Plan(OAuthCall.Refresh, OAuthFault.RefusedRequest);
        Assert.NotEmpty(await SignInWorld.TokenAsync(_world.Broker()));
        Assert.Equal(theirs, _world.OnDisk().AccessToken.Reveal());
        Assert.Equal(1, _world.Server.RefreshCalls);
    });

    private CredentialsLock NewLock() => new(_world.Folder, new DurableFiles(), _world.Clock, () => 0.5, _world.NewId);

    private void WriteLock(string body, int age)
    {
        File.WriteAllText(_world.LockPath, body);
        File.SetLastWriteTimeUtc(_world.LockPath, _world.Clock.GetUtcNow().UtcDateTime.AddSeconds(-age));
    }
}
