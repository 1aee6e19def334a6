using System.Buffers;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;
using QwenProxy.Core.Tests.Resilience;

namespace QwenProxy.Core.Tests.Quotas;

/// <summary>Plans are counted, spent before the wall, put right by upstream and kept over a restart.</summary>
public sealed class PlanTests
{
    private static readonly QuotaRule FiveHours = new(QuotaUnit.Requests, QuotaPeriod.Hours) { Hours = 5, Limit = 10 };
    private static readonly QuotaRule Week = new(QuotaUnit.Requests, QuotaPeriod.Week) { Limit = 10 };

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
    public void ServedBeyondTheLimit_BeginsTheCountAnew()
    {
        World world = new(accounts: [With(Week)]);
        Assert.Equal(12, Ask(world, 12)["plan"]);
        Assert.Equal(2, world.Pool.Quotas(world.Now).Single().Used);
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

    private static DateTimeOffset Now { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private static AccountState State(World world) => AccountState.Of(world.Accounts[0], null, world.Pool.Export(world.Now), world.Now, TimeZoneInfo.Utc, world.Pool.Quotas(world.Now));

    private static AccountSnapshot With(params QuotaRule[] rules) => World.Account("plan") with { Quota = new QuotaSettings { Windows = [.. rules] } };

    private static AccountPool Pool(params AccountSnapshot[] accounts)
    {
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        pool.ConfigureQuotas(accounts);
        return pool;
    }

    private static ProxyError Exhausted(string words) => World.Fail(FaultKind.QuotaExhausted) with { Message = words };

    private static Dictionary<string, int> Ask(World world, int times)
    {
        Dictionary<string, int> asked = [];
        for (int i = 0; i < times; i++)
        {
            Assert.Null(world.Run((_, _) => null));
            string account = world.Asked[^1].Split('/')[0];
            asked[account] = asked.GetValueOrDefault(account) + 1;
        }

        return asked;
    }

    private static PoolRecord Read(PoolRecord record)
    {
        ArrayBufferWriter<byte> json = new();
        PoolRecordJson.Write(record, json);
        Assert.True(PoolRecordJson.TryRead(json.WrittenSpan, out PoolRecord read));
        return read;
    }
}
