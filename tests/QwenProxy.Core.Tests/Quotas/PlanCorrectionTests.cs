using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Core.Tests.Resilience;
using static QwenProxy.Core.Tests.Quotas.PlanWorld;

namespace QwenProxy.Core.Tests.Quotas;

/// <summary>What upstream says counts more than the own count, and a restart or an edit loses neither.</summary>
public sealed class PlanCorrectionTests
{
    [Fact]
    public void Refusal_RaisesTheCountOfACalendarWindow()
    {
        World world = new(accounts: [With(Week), World.Account("paygo", 1)]);
        Ask(world, 3);
        Assert.Null(world.Run((account, _) => account == "plan" ? Exhausted("week allocated quota exceeded") : null));
        Assert.Equal(["plan/m", "paygo/m"], world.Asked);
        QuotaStanding week = world.Pool.Quotas(world.Now).Single();
        Assert.Equal((10m, true), (week.Used, week.IsUsedUp));
        world.Now = week.Resets!.Value;
        week = world.Pool.Quotas(world.Now).Single();
        Assert.Equal((0m, false), (week.Used, week.IsUsedUp));
    }

    [Fact]
    public void Refusal_TeachesALimitThatNobodyStatesWhereTheWholeWindowWasSeen()
    {
        World world = new(accounts: [With(FiveHours with { Limit = null }), World.Account("paygo", 1)]);
        ProxyError hour = Exhausted("hour allocated quota exceeded");
        Ask(world, 2);
        world.Run((account, _) => account == "plan" ? hour : null);
        Assert.Null(world.Pool.Quotas(world.Now).Single().Limit);
        world.Now += TimeSpan.FromHours(6);
        Ask(world, 8);
        world.Run((account, _) => account == "plan" ? hour : null);
        QuotaStanding learned = world.Pool.Quotas(world.Now).Single();
        Assert.Equal((8m, "learned"), (learned.Limit, learned.LimitFrom));
        // It holds nobody back: what upstream serves beyond it shows that it was wrong.
        world.Now += TimeSpan.FromMinutes(15);
        Assert.Equal(1, Ask(world, 1)["plan"]);
        Assert.Null(world.Pool.Quotas(world.Now).Single().Limit);
    }

    [Fact]
    public void ServedBeyondTheLimit_PutsTheCountRightAndWhenItGoesOnBeginsItAnew()
    {
        World world = new(accounts: [With(Week)]);
        Assert.Equal(20, Ask(world, 20)["plan"]);
        Assert.Equal(10, world.Pool.Quotas(world.Now).Single().Used);
        Ask(world, 3);
        Assert.Equal(3, world.Pool.Quotas(world.Now).Single().Used);
    }

    [Fact]
    public void UsedUpByTheOwnCount_IsLookedAtOnceADay()
    {
        World world = new(accounts: [With(new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Month) { Limit = 10 }), World.Account("paygo", 1)]);
        Ask(world, 12);
        world.Now += TimeSpan.FromHours(23);
        Assert.Equal(["paygo"], Ask(world, 3).Keys);
        world.Now += TimeSpan.FromHours(2);
        ProxyError month = Exhausted("month allocated quota exceeded");
        int looks = 0;
        for (int i = 0; i < 5; i++) world.Run((account, _) => account == "plan" && ++looks > 0 ? month : null);
        Assert.Equal(1, looks);
        world.Now += TimeSpan.FromHours(25);
        Assert.Equal(4, Ask(world, 4)["plan"]);
    }

    [Theory]
    [InlineData("month allocated quota exceeded", "2026-03-14T16:00:00Z", 24 * 60)]
    [InlineData("week allocated quota exceeded", "2026-03-01T16:00:00Z", 4 * 60)]
    [InlineData("hour allocated quota exceeded", "2026-03-01T16:05:00Z", (4 * 60) + 5)]
    public void Refusal_RestsUntilTheWindowsOwnReset(string words, string reset, int untilMinutes)
    {
        AccountPool pool = Pool(With(FiveHours, new QuotaRule(QuotaUnit.Requests, QuotaPeriod.Month) { Limit = 1000, MonthStarts = 15 }, Week with { Limit = 100 }));
        DateTimeOffset now = Now;
        for (int i = 0; i < 10; i++)
        {
            Assert.True(pool.TryLease("plan", "m", now.AddHours(-1), out Lease? lease));
            lease.Settle(null, now.AddHours(-1));
        }

        Assert.True(pool.TryLease("plan", "m", now, out Lease? last, lastResort: true));
        last.Settle(Exhausted(words), now);
        Cooldown rest = Assert.Single(pool.Export(now).Cooldowns);
        Assert.Equal(DateTimeOffset.Parse(reset, System.Globalization.CultureInfo.InvariantCulture), rest.Ends);
        Assert.Equal(now.AddMinutes(untilMinutes), rest.Until);
    }

    [Fact]
    public void Headers_SetCountAndLimit()
    {
        AccountPool pool = Pool(new AccountSnapshot { Name = "plan", Profile = Profiles.ModelScope });
        Assert.True(pool.TryLease("plan", "m", Now, out Lease? lease));
        lease.HasBegun = true;
        pool.TellQuota("plan", "m", name => name switch
        {
            "modelscope-ratelimit-requests-limit" => 1500,
            "modelscope-ratelimit-requests-remaining" => 1400,
            "modelscope-ratelimit-model-requests-limit" => 200,
            "modelscope-ratelimit-model-requests-remaining" => 0,
            _ => null,
        }, Now);
        lease.Settle(null, Now);
        Assert.Equal([("", 1500m, 100m, "upstream"), ("m", 200m, 200m, "upstream")], pool.Quotas(Now).Select(q => (q.Model ?? "", q.Limit!.Value, q.Used!.Value, q.LimitFrom!)).Order());
        Assert.False(pool.TryLease("plan", "m", Now, out _));
        Assert.True(pool.TryLease("plan", "n", Now, out _));
    }

    [Fact]
    public void Restart_LosesNothing()
    {
        AccountSnapshot[] accounts = [With(FiveHours with { Limit = 20 }, Week with { Limit = 40 }, new QuotaRule(QuotaUnit.Credits, QuotaPeriod.Month) { MonthStarts = 1, Rates = [new("*", 1, 1)] })];
        AccountPool pool = Pool(accounts);
        for (int i = 0; i < 19; i++)
        {
            Assert.True(pool.TryLease("plan", "m", Now.AddMinutes(i), out Lease? lease));
            lease.Settle(null, Now.AddMinutes(i), new TokenCounts(1_500_000, 0));
        }

        DateTimeOffset now = Now.AddMinutes(20);
        Assert.True(pool.TryLease("plan", "m", now, out Lease? running));
        AccountPool restored = Pool(accounts);
        restored.Import(Read(pool.Export(now, withCounts: true)), now);
        running.Settle(null, now, new TokenCounts(0, 0));
        Assert.Equal(pool.Quotas(now).Take(2), restored.Quotas(now).Take(2));
        Assert.Equal(28.5m, restored.Quotas(now).Last().Used);
        Assert.False(restored.TryLease("plan", "m", now, out _));
        // What was warned of before is not warned of again.
        Assert.True(restored.TryLease("plan", "m", now, out Lease? last, lastResort: true));
        Assert.Empty(last.Settle(World.Fail(FaultKind.InvalidRequest), now).Marks);
    }

    [Fact]
    public void EditOfTheConfiguration_KeepsCountsAndRunningCalls()
    {
        AccountPool pool = Pool(With(Week));
        Assert.True(pool.TryLease("plan", "m", Now, out Lease? running));
        pool.ConfigureQuotas([]);
        Assert.Empty(pool.Quotas(Now));
        pool.ConfigureQuotas([With(Week with { Limit = 20 }, FiveHours)]);
        running.Settle(null, Now);
        Assert.Equal([("5h", 0m, 10m), ("week", 1m, 20m)], pool.Quotas(Now).Select(q => (q.Window, q.Used!.Value, q.Limit!.Value)).Order());
    }

    [Fact]
    public void ReplicasCounts_AddUp()
    {
        AccountPool first = Pool(With(FiveHours)), second = Pool(With(FiveHours)), both = Pool(With(FiveHours));
        foreach (AccountPool pool in (AccountPool[])[first, second, second])
        {
            Assert.True(pool.TryLease("plan", "m", Now, out Lease? lease));
            lease.Settle(null, Now);
        }

        both.Import(Read(first.Export(Now, withCounts: true)), Now);
        both.Import(Read(second.Export(Now, withCounts: true)), Now);
        Assert.Equal(3, both.Quotas(Now).Single().Used);
    }

    [Fact]
    public void Reset_AsksAnAccountAgainThatIsUsedUp()
    {
        World world = new(accounts: [With(Week), World.Account("paygo", 1)]);
        Ask(world, 11);
        world.Pool.Reset("plan", world.Now);
        Assert.Equal(["plan"], Ask(world, 5).Keys);
    }
}
