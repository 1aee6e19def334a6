using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using static QwenProxy.Core.Tests.Resilience.World;

namespace QwenProxy.Core.Tests.Resilience;

public sealed class AttemptPolicyTests
{
    [Fact]
    public void MaxAttemptsOne_MeansNoRetryAndTheUpstreamsOwnError()
    {
        World world = new(maxAttempts: 1, accounts: [Account("a"), Account("b")]);
        ProxyError? told = world.Run((_, _) => Fail(FaultKind.ServerError));
        Assert.Equal("upstream says ServerError", told?.Message);
        Assert.Single(world.Asked);
    }

    [Fact]
    public void ServerErrorOnce_OneAccount_IsRetriedHereWithinBackoff()
    {
        World world = new(accounts: Account("a"));
        int calls = 0;
        Assert.Null(world.Run((_, _) => calls++ == 0 ? Fail(FaultKind.ServerError) : null));
        Assert.Equal(["a/m", "a/m"], world.Asked);
        Assert.InRange(world.Waited, TimeSpan.Zero, Backoff.Longest(1));
    }

    [Theory]
    [InlineData(FaultKind.RateLimited)]
    [InlineData(FaultKind.ConcurrencyLimited)]
    public void LimitWithoutATime_OneAccount_IsAskedAgainAfterHalfASecondAndMoreEachTime(FaultKind kind)
    {
        for (int run = 0; run < 20; run++)
        {
            World world = new(accounts: Account("a"));
            List<DateTimeOffset> asked = [];
            world.Run((_, _) =>
            {
                asked.Add(world.Now);
                return Fail(kind);
            });
            Assert.Equal(4, asked.Count);
            double[] waits = [.. asked.Zip(asked.Skip(1), (before, after) => (after - before).TotalSeconds)];
            Assert.InRange(waits[0], 0.5, 0.75);
            Assert.InRange(waits[1], 1, 1.5);
            Assert.InRange(waits[2], 2, 3);
        }
    }

    [Fact]
    public void LimitWithoutATime_HoldsBackTheNextRequestToo_ButNotAnotherAccount()
    {
        World world = new(maxAttempts: 1, accounts: Account("a"));
        world.Run((_, _) => Fail(FaultKind.RateLimited));
        DateTimeOffset limited = world.Now;
        world.Now += TimeSpan.FromMilliseconds(100);
        Assert.Null(world.Run((_, _) => null));
        Assert.Equal(limited.AddMilliseconds(500), world.Now);

        World two = new(maxAttempts: 1, accounts: [Account("a", 1), Account("b", 2)]);
        two.Run((_, _) => Fail(FaultKind.RateLimited));
        Assert.Null(two.Run((_, _) => null));
        Assert.Equal(["b/m"], two.Asked);
        Assert.Equal(TimeSpan.Zero, two.Waited);
    }

    [Fact]
    public void ServerErrorAlways_StopsAtMaxAttemptsWithTheUpstreamsError()
    {
        World world = new(maxAttempts: 3, accounts: Account("a"));
        Assert.Equal(500, world.Run((_, _) => Fail(FaultKind.ServerError))?.Status);
        Assert.Equal(3, world.Asked.Count);
    }

    [Fact]
    public void MaxAttempts_CountsPerModel()
    {
        World world = new(maxAttempts: 2, accounts: Account("a"));
        world.Fallbacks["m"] = ["n", "o"];
        Assert.Equal(500, world.Run((_, _) => Fail(FaultKind.ServerError))?.Status);
        Assert.Equal(["a/m", "a/m", "a/n", "a/n", "a/o", "a/o"], world.Asked);
    }

    [Fact]
    public void RateLimit_AnotherAccountIsAskedAtOnce()
    {
        World world = new(accounts: [Account("a", 1), Account("b", 2)]);
        Assert.Null(world.Run((account, _) => account == "a" ? Fail(FaultKind.RateLimited, retryAfter: 9) : null));
        Assert.Equal(["a/m", "b/m"], world.Asked);
        Assert.Equal(TimeSpan.Zero, world.Waited);
        Assert.Null(world.Run((_, _) => null));
        Assert.Equal(["b/m"], world.Asked);
        world.Now += TimeSpan.FromSeconds(10);
        world.Run((_, _) => null);
        Assert.Equal(["a/m"], world.Asked);
    }

    [Fact]
    public void RetryAfterThatFits_OneAccount_WaitsAndSoDoLaterCallers()
    {
        World world = new(accounts: Account("a"));
        DateTimeOffset start = world.Now;
        int calls = 0;
        Assert.Null(world.Run((_, _) => calls++ == 0 ? Fail(FaultKind.RateLimited, retryAfter: 8) : null));
        Assert.Equal(start.AddSeconds(8), world.Now);

        world.Now = start.AddSeconds(3);
        Assert.Null(world.Run((_, _) => null));
        Assert.Equal(start.AddSeconds(8), world.Now);
    }

    [Fact]
    public void RetryAfterTooLong_OneAccount_IsToldAtOnceAs429ToEveryCaller()
    {
        World world = new(accounts: Account("a"));
        ProxyError? told = world.Run((_, _) => Fail(FaultKind.RateLimited, retryAfter: 60));
        Assert.Equal((429, TimeSpan.FromSeconds(60)), (told!.Status, told.RetryAfter!.Value));
        Assert.Equal(TimeSpan.Zero, world.Waited);
        Assert.Single(world.Asked);

        world.Now += TimeSpan.FromSeconds(10);
        told = world.Run((_, _) => null);
        Assert.Equal((429, TimeSpan.FromSeconds(50)), (told!.Status, told.RetryAfter!.Value));
        Assert.Equal("upstream says RateLimited", told.Message);
        Assert.Empty(world.Asked);
    }

    [Fact]
    public void OneAccountWithModelAndFallbackCooling_StillTells429()
    {
        World world = new(accounts: Account("a"));
        world.Fallbacks["m"] = ["n"];
        world.Run((_, model) => Fail(FaultKind.RateLimited, retryAfter: model == "m" ? 60 : 50));
        ProxyError? told = world.Run((_, _) => null);
        Assert.Equal((429, TimeSpan.FromSeconds(50)), (told!.Status, told.RetryAfter!.Value));
    }

    [Fact]
    public void AllAccountsCooling_TellsTheEarliestReturn()
    {
        World world = new(accounts: [Account("a"), Account("b")]);
        ProxyError? told = world.Run((account, _) => Fail(FaultKind.RateLimited, retryAfter: account == "a" ? 90 : 40));
        Assert.Equal((429, TimeSpan.FromSeconds(40)), (told!.Status, told.RetryAfter!.Value));
        world.Now += TimeSpan.FromSeconds(10);
        told = world.Run((_, _) => null);
        Assert.Equal(("all_accounts_cooling", 503, TimeSpan.FromSeconds(30)), (told!.Code, told.Status, told.RetryAfter!.Value));
    }

    [Fact]
    public void RetryAfterTooLong_FallbackModelReady_IsUsedAtOnce()
    {
        World world = new(accounts: Account("a"));
        world.Fallbacks["m"] = ["n"];
        Assert.Null(world.Run((_, model) => model == "m" ? Fail(FaultKind.RateLimited, retryAfter: 12) : null));
        Assert.Equal(["a/m", "a/n"], world.Asked);
        Assert.Equal(TimeSpan.Zero, world.Waited);
    }

    [Fact]
    public void TooLong_GoesToTheFallbackModelAndNeverToAnotherAccount()
    {
        World world = new(accounts: [Account("a"), Account("b")]);
        world.Fallbacks["m"] = ["big"];
        Assert.Null(world.Run((_, model) => model == "m" ? Fail(FaultKind.ContextTooLong) : null));
        Assert.Equal(["a/m", "a/big"], world.Asked);
    }

    [Fact]
    public void TooLong_WithoutFallback_IsToldAfterOneAttempt()
    {
        World world = new(accounts: [Account("a"), Account("b")]);
        Assert.Equal(400, world.Run((_, _) => Fail(FaultKind.ContextTooLong))?.Status);
        Assert.Single(world.Asked);
    }

    [Fact]
    public void TooLongForFallbackToo_TellsTheErrorOfTheModelAskedFor()
    {
        World world = new(accounts: Account("a"));
        world.Fallbacks["m"] = ["n"];
        Assert.Equal("upstream says ContextTooLong", world.Run((_, model) => Fail(model == "m" ? FaultKind.ContextTooLong : FaultKind.ModelNotFound))?.Message);
    }

    [Theory]
    [InlineData(FaultKind.ContentFilter)]
    [InlineData(FaultKind.InvalidRequest)]
    [InlineData(FaultKind.RequestTooLarge)]
    [InlineData(FaultKind.LifetimeLimit)]
    public void FinalFaults_AreNeverRoutedAround(FaultKind kind)
    {
        World world = new(accounts: [Account("a"), Account("b")]);
        world.Fallbacks["m"] = ["n"];
        Assert.Equal(kind, world.Run((_, _) => Fail(kind))?.Kind);
        Assert.Single(world.Asked);
    }

    [Theory]
    [InlineData(FaultKind.FirstTokenTimeout)]
    [InlineData(FaultKind.IdleTimeout)]
    [InlineData(FaultKind.ConnectTimeout)]
    public void Silence_WithOnlyAFallbackModel_GoesThereAtOnce(FaultKind kind)
    {
        World world = new(accounts: Account("a"));
        world.Fallbacks["m"] = ["n"];
        Assert.Null(world.Run((_, model) => model == "m" ? Fail(kind) : null));
        Assert.Equal(["a/m", "a/n"], world.Asked);
        Assert.Equal(TimeSpan.Zero, world.Waited);
    }

    [Fact]
    public void Silence_WithNobodyElse_IsToldAfterOneAttempt()
    {
        World world = new(accounts: Account("a"));
        Assert.Equal(504, world.Run((_, _) => Fail(FaultKind.FirstTokenTimeout))?.Status);
        Assert.Single(world.Asked);
    }

    [Theory]
    [InlineData(FaultKind.InvalidKey)]
    [InlineData(FaultKind.PermissionDenied)]
    [InlineData(FaultKind.QuotaExhausted)]
    [InlineData(FaultKind.Billing)]
    public void AccountThatSaidNo_IsNotAskedAgainWhileAnotherCanServe(FaultKind kind)
    {
        World world = new(accounts: [Account("a", 1), Account("b", 2), Account("c", 3)]);
        Assert.Null(world.Run((account, _) => account == "a" ? Fail(kind) : account == "b" ? Fail(FaultKind.ServerError) : null));
        Assert.Equal(["a/m", "b/m", "c/m"], world.Asked);
        Assert.Null(world.Run((_, _) => null));
        Assert.Equal(["b/m"], world.Asked);
    }

    [Fact]
    public void OnlyAccountThatSaidNo_IsAskedAgainByTheNextRequest()
    {
        World world = new(accounts: Account("a"));
        Assert.Equal(401, world.Run((_, _) => Fail(FaultKind.InvalidKey))?.Status);
        Assert.Single(world.Asked);
        Assert.Null(world.Run((_, _) => null));
        Assert.Null(world.Run((_, _) => null));
    }

    [Fact]
    public void BadKeyOnOneAccount_DoesNotHideTheOthersPassingFailure()
    {
        World world = new(accounts: [Account("a", 1), Account("b", 2)]);
        Assert.Equal(FaultKind.FirstTokenTimeout, world.Run((account, _) => Fail(account == "a" ? FaultKind.FirstTokenTimeout : FaultKind.InvalidKey))?.Kind);
    }

    [Fact]
    public void BannedAccountWithFallbackElsewhere_PrefersTheFallback()
    {
        World world = new(accounts: [Account("a", 1, "m"), Account("b", 1, "n")]);
        world.Fallbacks["m"] = ["n"];
        world.Run((account, _) => account == "a" ? Fail(FaultKind.QuotaExhausted) : null);
        Assert.Null(world.Run((_, _) => null));
        Assert.Equal(["b/n"], world.Asked);
    }
}
