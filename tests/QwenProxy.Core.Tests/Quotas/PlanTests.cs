using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Core.Tests.Resilience;
using static QwenProxy.Core.Tests.Quotas.PlanWorld;

namespace QwenProxy.Core.Tests.Quotas;

/// <summary>Plans are counted by their rules, spent before the wall, kept for whom they are kept, and told.</summary>
public sealed class PlanTests
{
    [Fact]
    public void FullWindow_SpillsToTheNextAccountBeforeTheWallAndRestsUntilItsReset()
    {
        World world = new(accounts: [With(Week), World.Account("paygo", 1)]);
        Dictionary<string, int> asked = Ask(world, 25);
        Assert.Equal((10, 15), (asked["plan"], asked["paygo"]));
        QuotaStanding week = Assert.Single(world.Pool.Quotas(world.Now));
        Assert.Equal((10m, 0m, true, "used up", "plan"), (week.Used, week.Left, week.IsUsedUp, week.Level, week.LimitFrom));
        world.Now = week.Resets!.Value - TimeSpan.FromSeconds(1);
        Assert.Equal(["paygo"], Ask(world, 3).Keys);
        world.Now = week.Resets.Value;
        Assert.Equal(["plan"], Ask(world, 3).Keys);
        Assert.Equal(3, world.Pool.Quotas(world.Now).Single().Used);
    }

    [Fact]
    public void SlidingWindow_LetsGoOfUseNeverEarlyAndAtMostASixtiethLate()
    {
        World world = new(accounts: [With(FiveHours), World.Account("paygo", 1)]);
        Ask(world, 4);
        DateTimeOffset first = world.Now;
        world.Now += TimeSpan.FromHours(2);
        Ask(world, 6);
        world.Now = first + TimeSpan.FromHours(5) - TimeSpan.FromSeconds(1);
        Assert.Equal(["paygo"], Ask(world, 1).Keys);
        world.Now = first + TimeSpan.FromHours(5) + TimeSpan.FromMinutes(5);
        Dictionary<string, int> asked = Ask(world, 6);
        Assert.Equal((4, 2), (asked["plan"], asked["paygo"]));
    }

    [Theory]
    [InlineData(FaultKind.InvalidRequest, 0)]
    [InlineData(FaultKind.RateLimited, 0)]
    [InlineData(FaultKind.ConnectFailed, 0)]
    [InlineData(FaultKind.InvalidKey, 0)]
    [InlineData(FaultKind.ServerError, 1)]
    [InlineData(FaultKind.Reset, 1)]
    [InlineData(FaultKind.FirstTokenTimeout, 1)]
    [InlineData(FaultKind.ContentFilter, 1)]
    public void Failure_CountsOnlyWhereUpstreamTookTheCallOn(FaultKind kind, int counted)
    {
        World world = new(maxAttempts: 1, accounts: [With(Week)]);
        world.Run((_, _) => World.Fail(kind));
        Assert.Equal(counted, world.Pool.Quotas(world.Now).Single().Used);
    }

    [Fact]
    public void StreamThatBroke_AndClientThatLeft_AreCounted()
    {
        AccountPool pool = Pool(With(Week));
        Assert.True(pool.TryLease("plan", "m", Now, out Lease? broken));
        broken.HasBegun = true;
        broken.Settle(World.Fail(FaultKind.RateLimited), Now);
        Assert.True(pool.TryLease("plan", "m", Now, out Lease? left));
        left.Dispose();
        Assert.Equal(2, pool.Quotas(Now).Single().Used);
    }

    [Fact]
    public void Tokens_AreHeldByEstimateWhileACallRunsAndThenBookedAsCounted()
    {
        QuotaRule tokens = new(QuotaUnit.Tokens, QuotaPeriod.Total) { Limit = 1000, EachModel = true };
        AccountPool pool = Pool(With(tokens));
        QuotaClaim claim = new("", 0, 400);
        Assert.True(pool.TryLease("plan", "m", Now, out Lease? first, claim: claim));
        Assert.True(pool.TryLease("plan", "m", Now, out Lease? second, claim: claim));
        Assert.False(pool.TryLease("plan", "m", Now, out _, claim: claim));
        Assert.True(pool.TryLease("plan", "n", Now, out Lease? other, claim: claim));
        first.Settle(null, Now, new TokenCounts(300, 50));
        second.Settle(null, Now);
        other.Settle(null, Now, new TokenCounts(1, 1));
        Assert.Equal([("m", 750m), ("n", 2m)], pool.Quotas(Now).Select(q => (q.Model!, q.Used!.Value)).Order());
        Assert.All(pool.Quotas(Now), q => Assert.Null(q.Resets));
    }

    [Fact]
    public void Reserve_IsKeptForItsClientAndOthersAreToldUntilWhen()
    {
        AccountSnapshot plan = With(Week);
        World world = new(accounts: [plan with { Quota = plan.Quota! with { Reserve = new QuotaReserve(30, ["alice"], -5) } }]);
        Assert.Equal(7, Ask(world, 7)["plan"]);
        ProxyError? told = world.Run((_, _) => null);
        Assert.Equal((429, "quota_reserved"), (told!.Status, told.Code));
        Assert.Contains("The last 30 % of the week quota of the account 'plan' are kept for alice and clients of priority -5 or before until 2026-03-01 16:00 UTC", told.Message, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromHours(4), told.RetryAfter);
        world.Claim = new QuotaClaim("alice", 0, 0);
        Assert.Equal(2, Ask(world, 2)["plan"]);
        world.Claim = new QuotaClaim("build", -5, 0);
        Assert.Equal(1, Ask(world, 1)["plan"]);
        world.Claim = default;
        Assert.Equal(429, world.Run((_, _) => null)!.Status);
    }

    [Fact]
    public void Reserve_SendsOthersToTheNextAccount()
    {
        AccountSnapshot plan = With(Week);
        World world = new(accounts: [plan with { Quota = plan.Quota! with { Reserve = new QuotaReserve(50, ["alice"], null) } }, World.Account("paygo", 1)]);
        Dictionary<string, int> asked = Ask(world, 8);
        Assert.Equal((5, 3), (asked["plan"], asked["paygo"]));
    }

    [Fact]
    public void Marks_AreToldOnceForEachPassing()
    {
        AccountPool pool = Pool(With(FiveHours with { Limit = 20 }));
        List<int> marks = [];
        for (int i = 0; i < 20; i++)
        {
            Assert.True(pool.TryLease("plan", "m", Now, out Lease? lease));
            marks.AddRange(lease.Settle(null, Now).Marks.Select(m => m.Mark));
        }

        Assert.Equal([80, 95], marks);
        DateTimeOffset later = Now.AddHours(6);
        for (int i = 0; i < 16; i++)
        {
            Assert.True(pool.TryLease("plan", "m", later, out Lease? lease));
            marks.AddRange(lease.Settle(null, later).Marks.Select(m => m.Mark));
        }

        Assert.Equal([80, 95, 80], marks);
    }

    [Fact]
    public void Forecast_GoesByThePaceOfLate()
    {
        AccountPool pool = Pool(With(Week with { Limit = 100 }, FiveHours with { Limit = 1000 }));
        DateTimeOffset monday = new(2026, 3, 1, 16, 0, 0, TimeSpan.Zero);
        Assert.All(pool.Quotas(monday), q => Assert.Null(q.RunsOut));
        for (int hour = 0; hour < 10; hour++)
        {
            Assert.True(pool.TryLease("plan", "m", monday.AddHours(hour), out Lease? lease));
            lease.Settle(null, monday.AddHours(hour));
        }

        // One an hour: 90 more take 90 hours. In five hours there are never more than five.
        QuotaStanding[] quotas = [.. pool.Quotas(monday.AddHours(10))];
        Assert.InRange((quotas[0].RunsOut!.Value - monday.AddHours(100)).TotalHours, -2, 2);
        Assert.Null(quotas[1].RunsOut);
    }

    [Fact]
    public void State_TellsWhatIsNearlyUsedUpAndWhatIs()
    {
        World world = new(accounts: [With(Week)]);
        Ask(world, 8);
        Assert.Equal("ready, 80 % of the week quota used", State(world).Says);
        Ask(world, 2);
        AccountState state = State(world);
        Assert.Equal(("quota used up", "week quota used up until 16:00", "this proxy has counted 10 of 10 requests"), (state.Name, state.Says, state.Why));
    }
}
