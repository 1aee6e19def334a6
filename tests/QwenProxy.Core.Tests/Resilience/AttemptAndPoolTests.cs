using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;
using static QwenProxy.Core.Tests.Resilience.World;

namespace QwenProxy.Core.Tests.Resilience;

/// <summary>The policy and the pool together, over several requests.</summary>
public sealed class AttemptAndPoolTests
{
    [Fact]
    public void AccountThatAnswersAgain_IsForgivenAndFirstAgain()
    {
        World world = new(accounts: [Account("a", 1), Account("b", 2)]);
        world.Run((_, _) => Fail(FaultKind.InvalidKey));
        Assert.Equal(["a/m", "b/m"], world.Asked);
        Assert.Equal(2, world.Pool.Export(world.Now).Cooldowns.Length);
        Assert.Null(world.Run((_, _) => null));
        Assert.Equal(["a/m"], world.Asked);
        Assert.Equal("b", Assert.Single(world.Pool.Export(world.Now).Cooldowns).Account);
    }

    [Fact]
    public void WindowOfASpentQuota_IsToldAsRetryAfter()
    {
        World world = new(accounts: Account("a"));
        ProxyError? told = world.Run((_, _) => Fail(FaultKind.QuotaExhausted) with { Message = "week allocated quota exceeded" });
        Assert.Equal((429, "week allocated quota exceeded", TimeSpan.FromHours(4)), (told!.Status, told.Message, told.RetryAfter!.Value));
    }

    [Fact]
    public void OpenBreaker_IsSkippedAndToldWhenNobodyElseServes()
    {
        World world = new(maxAttempts: 1, breakerFailures: 2, accounts: Account("a"));
        world.Run((_, _) => Fail(FaultKind.Reset));
        world.Run((_, _) => Fail(FaultKind.Reset));
        ProxyError? told = world.Run((_, _) => null);
        Assert.Equal(("circuit_open", 503, TimeSpan.FromSeconds(15)), (told!.Code, told.Status, told.RetryAfter!.Value));
        Assert.Empty(world.Asked);
        world.Now += TimeSpan.FromSeconds(15);
        Assert.Null(world.Run((_, _) => null));
    }

    [Fact]
    public void BreakerThatOpensDuringARequest_StillGivesTheUpstreamsError()
    {
        World world = new(maxAttempts: 4, breakerFailures: 2, accounts: Account("a"));
        Assert.Equal("upstream says ServerError", world.Run((_, _) => Fail(FaultKind.ServerError))?.Message);
        Assert.Equal(2, world.Asked.Count);
    }

    [Fact]
    public void RateLimitsAndClientFaults_NeverOpenTheBreaker()
    {
        World world = new(maxAttempts: 1, breakerFailures: 1, accounts: Account("a"));
        foreach (FaultKind kind in new[] { FaultKind.RateLimited, FaultKind.InvalidRequest, FaultKind.InvalidKey, FaultKind.QuotaExhausted, FaultKind.ClientGone })
        {
            Assert.Equal(kind, world.Run((_, _) => Fail(kind))?.Kind);
            Assert.DoesNotContain(world.Pool.Export(world.Now).Breakers, b => b.State != BreakerState.Closed);
        }
    }

    [Theory]
    [InlineData(FaultKind.RateLimited)]
    [InlineData(FaultKind.Overloaded)]
    public void StatusThatAsksToWait_AlwaysCarriesRetryAfter(FaultKind kind)
    {
        World world = new(accounts: Account("a"));
        Assert.NotNull(world.Run((_, _) => Fail(kind))?.RetryAfter);
    }

    [Fact]
    public void AnotherCouldServe_TellsWhetherAnybodyIsLeft()
    {
        World world = new(accounts: [Account("a", 1), Account("b", 2)]);
        world.Run((_, _) => null);
        Assert.True(world.AnotherCouldServe);
        world.Run((account, _) => account == "a" ? Fail(FaultKind.FirstTokenTimeout) : null);
        Assert.False(world.AnotherCouldServe);
        world.Fallbacks["m"] = ["n"];
        world.Run((_, _) => null);
        Assert.True(world.AnotherCouldServe);
    }

    [Theory]
    [InlineData("a", "b")]
    [InlineData("b", "a")]
    public void ResumeAvoidsTheBrokenAccount_ButAsksItWhenNobodyElseIsLeft(string broken, string next)
    {
        AttemptPolicy policy = new(new AttemptLimits(1, TimeSpan.Zero), new Random(1));
        ModelRoute both = new("m", [new Candidate("a", "m", CandidateState.Ready), new Candidate("b", "m", CandidateState.Ready)]);
        ModelRoute alone = new("m", [new Candidate(broken, "m", CandidateState.Ready)]);
        NextStep step = policy.Decide(new AttemptHistory().ForResume(broken, "m", Fail(FaultKind.Cut)), [both], new World().Now);
        Assert.Equal(next, Assert.IsType<NextStep.Ask>(step).Account);
        step = policy.Decide(new AttemptHistory().ForResume(broken, "m", Fail(FaultKind.Cut)), [alone], new World().Now);
        Assert.Equal((broken, TimeSpan.Zero), (Assert.IsType<NextStep.Ask>(step).Account, ((NextStep.Ask)step).Delay));
    }

    [Fact]
    public void EachResume_AsksFirstWhoHasNotFailedTheAnswer()
    {
        AttemptPolicy policy = new(AttemptLimits.Default, new Random(1));
        ModelRoute route = new("m", [.. new[] { "a", "b", "c" }.Select(name => new Candidate(name, "m", CandidateState.Ready))]);
        AttemptHistory history = new();
        List<string> asked = [];
        while (asked.Count < 6)
        {
            asked.Add(Assert.IsType<NextStep.Ask>(policy.Decide(history, [route], new World().Now)).Account);
            history = history.ForResume(asked[^1], "m", Fail(FaultKind.Cut));
        }

        Assert.Equal(["a", "b", "c", "a", "b", "c"], asked);

        // A refusal before the answer began counts like a broken stream.
        history = new AttemptHistory();
        history.Failed("b", "m", Fail(FaultKind.ServerError));
        history = history.ForResume("a", "m", Fail(FaultKind.Cut));
        Assert.Equal("c", Assert.IsType<NextStep.Ask>(policy.Decide(history, [route], new World().Now)).Account);
    }

    [Theory]
    [InlineData(FaultKind.IdleTimeout, "a/n")]
    [InlineData(FaultKind.Cut, "a/m")]
    public void ResumeAfterAStall_GoesToTheFallbackModelAtOnce(FaultKind broken, string next)
    {
        AttemptPolicy policy = new(AttemptLimits.Default, new Random(1));
        ModelRoute asked = new("m", [new Candidate("a", "m", CandidateState.Ready)]);
        ModelRoute fallback = new("n", [new Candidate("a", "n", CandidateState.Ready)]);
        NextStep.Ask step = Assert.IsType<NextStep.Ask>(policy.Decide(new AttemptHistory().ForResume("a", "m", Fail(broken)), [asked, fallback], new World().Now));
        Assert.Equal(next, $"{step.Account}/{step.Model}");
        // With nobody else the same account is better than none.
        step = Assert.IsType<NextStep.Ask>(policy.Decide(new AttemptHistory().ForResume("a", "m", Fail(broken)), [asked], new World().Now));
        Assert.Equal("a", step.Account);
    }

    [Fact]
    public void Hedge_IsAnotherReadyAccountWithinTheBudget()
    {
        AttemptPolicy policy = new(new AttemptLimits(3, TimeSpan.Zero), new Random(1));
        NextStep.Ask running = new("a", "m", TimeSpan.Zero, AnotherCouldServe: true);
        ModelRoute route = new("m", [new Candidate("a", "m", CandidateState.Ready), new Candidate("b", "m", CandidateState.Last), new Candidate("c", "m", CandidateState.Ready)]);
        AttemptHistory history = new();
        Assert.Equal("c", policy.Hedge(history, [route], running)?.Account);
        Assert.Null(policy.Hedge(history, [route with { Candidates = [route.Candidates[0], route.Candidates[1]] }, new ModelRoute("n", [new Candidate("c", "n", CandidateState.Ready)])], running));
        history.Failed("c", "m", Fail(FaultKind.ServerError));
        Assert.Null(policy.Hedge(history, [route], running));

        // Of three attempts one was withdrawn and one is under way: the third may be a hedge, a fourth may not.
        history = new AttemptHistory();
        history.Withdrawn("m");
        Assert.NotNull(policy.Hedge(history, [route], running));
        history.Withdrawn("m");
        Assert.Null(policy.Hedge(history, [route], running));
    }

    [Fact]
    public void AnyMixOfFaults_EndsWithinTheBudgetAndReturnsEveryLease()
    {
        Random random = new(42);
        FaultKind[] kinds = [.. Enum.GetValues<FaultKind>()];
        for (int seed = 0; seed < 3000; seed++)
        {
            AccountSnapshot[] accounts = [.. Enumerable.Range(0, 1 + random.Next(4)).Select(i => Account($"a{i}", random.Next(2)))];
            int maxAttempts = 1 + random.Next(4);
            World world = new(maxAttempts, maxWaitSeconds: 20, breakerFailures: 1 + random.Next(5), accounts);
            if (random.Next(2) == 0) world.Fallbacks["m"] = ["n"];
            for (int request = 0; request < 5; request++)
            {
                ProxyError? told = world.Run((_, _) => random.Next(3) == 0
                    ? null
                    : Fail(kinds[random.Next(kinds.Length)], random.Next(3) == 0 ? random.Next(60) : null));
                Assert.InRange(world.Asked.Count(a => a.EndsWith("/m", StringComparison.Ordinal)), 0, maxAttempts);
                Assert.InRange(world.Asked.Count(a => a.EndsWith("/n", StringComparison.Ordinal)), 0, maxAttempts);
                Assert.True(world.Waited <= TimeSpan.FromSeconds(20));
                if (told is { Status: 429 or 503 }) Assert.NotNull(told.RetryAfter);
                world.Now += TimeSpan.FromSeconds(random.Next(30));
            }

            Assert.Equal(0, world.Pool.LeasesOut);
            Assert.All(accounts, a => Assert.Equal(0, world.Pool.LoadOf(a.Name)));
        }
    }
}
