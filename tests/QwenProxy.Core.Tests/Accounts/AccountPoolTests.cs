using System.Text;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Accounts;

public sealed class AccountPoolTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void SameAffinity_StaysOnOneAccountAndKeysSpread()
    {
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        RoutePlan plan = Plan(4);
        Dictionary<string, int> first = [];
        for (ulong key = 0; key < 4000; key++)
        {
            string account = First(pool, plan, key * 7919);
            Assert.Equal(account, First(pool, plan, key * 7919));
            first[account] = first.GetValueOrDefault(account) + 1;
        }

        Assert.Equal(4, first.Count);
        Assert.All(first.Values, count => Assert.InRange(count, 800, 1200));
    }

    [Fact]
    public void AccountTakenOut_MovesOnlyItsOwnConversations()
    {
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        for (ulong key = 0; key < 1000; key++)
        {
            string before = First(pool, Plan(4), key);
            string after = First(pool, Plan(3), key);
            if (before != "a3") Assert.Equal(before, after);
        }
    }

    [Fact]
    public void WithoutAffinity_TheLeastLoadedIsAsked()
    {
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        RoutePlan plan = Plan(3);
        List<Lease> leases = [];
        for (int i = 0; i < 9; i++)
        {
            Assert.True(pool.TryLease(First(pool, plan, null), "m", Now, out Lease? lease));
            leases.Add(lease);
        }

        Assert.Equal([3, 3, 3], Enumerable.Range(0, 3).Select(i => pool.LoadOf($"a{i}")));
        leases.ForEach(l => l.Settle(null, Now));
        leases.ForEach(l => l.Settle(null, Now));
        leases.ForEach(l => l.Dispose());
        Assert.Equal(0, pool.LeasesOut);
    }

    [Fact]
    public void LowerPriorityNumber_ComesFirstWhateverTheAffinity()
    {
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        RoutePlan plan = new RouteTable([Make("paygo", 2), Make("plan", 1)], [], new Dictionary<string, System.Collections.Immutable.ImmutableArray<string>>()).Resolve("m");
        for (ulong key = 0; key < 50; key++) Assert.Equal("plan", First(pool, plan, key));
    }

    [Fact]
    public void Probe_IsOneAtATimeAndDisposeFreesItWithoutAVerdict()
    {
        AccountPool pool = new(1, TimeSpan.FromSeconds(15));
        Assert.True(pool.TryLease("a0", "m", Now, out Lease? lease));
        Settlement settlement = lease.Settle(OwnErrors.Cut(), Now);
        Assert.Equal(BreakerState.Open, settlement.Breaker);
        Assert.False(pool.TryLease("a0", "m", Now.AddSeconds(14), out _));
        Assert.True(pool.TryLease("a0", "other", Now.AddSeconds(14), out Lease? other));
        other.Dispose();
        Assert.True(pool.TryLease("a0", "m", Now.AddSeconds(15), out Lease? probe));
        Assert.True(probe.IsProbe);
        Assert.False(pool.TryLease("a0", "m", Now.AddSeconds(16), out _));
        probe.Dispose();
        Assert.True(pool.TryLease("a0", "m", Now.AddSeconds(30), out probe));
        Assert.Equal(BreakerState.Closed, probe.Settle(null, Now.AddSeconds(31)).Breaker);
        Assert.Equal(0, pool.LeasesOut);
    }

    [Fact]
    public void ExportAndImport_KeepWhyRoutesAreSkipped()
    {
        AccountPool pool = new(1, TimeSpan.FromSeconds(15));
        Assert.True(pool.TryLease("a0", "m", Now, out Lease? lease));
        lease.Settle(OwnErrors.Cut(), Now);
        Assert.True(pool.TryLease("a1", "m", Now, out lease));
        lease.Settle(Resilience.World.Fail(FaultKind.RateLimited, 40), Now);
        pool.Isolate("a2");

        AccountPool restored = new(1, TimeSpan.FromSeconds(15));
        restored.Import(pool.Export(Now), Now.AddSeconds(1));
        IReadOnlyList<Candidate> candidates = restored.View(Plan(4), null, Now.AddSeconds(1))[0].Candidates;
        Assert.Equal(
            [("a0", CandidateState.BreakerOpen), ("a1", CandidateState.Cooling), ("a2", CandidateState.Isolated), ("a3", CandidateState.Ready)],
            candidates.Select(c => (c.Account, c.State)).Order());
        foreach (string account in new[] { "a0", "a1", "a2" }) restored.Reset(account, Now);
        Assert.All(restored.View(Plan(4), null, Now)[0].Candidates, c => Assert.Equal(CandidateState.Ready, c.State));
    }

    [Fact]
    public void RecordAsJson_ComesBackWhole()
    {
        PoolRecord record = new(
            [new BreakerRecord("a", "m\"x", BreakerState.Open, 10, Now.AddSeconds(5)), new BreakerRecord("b", "*", BreakerState.Isolated, 0, null)],
            [new Cooldown("a", null, FaultKind.QuotaExhausted, Now.AddHours(3), false, 429, "insufficient_quota", "spent 你好"),
                new Cooldown("a", "m", FaultKind.RateLimited, Now.AddSeconds(9), true, 429, null, "slow")]);
        System.Buffers.ArrayBufferWriter<byte> json = new();
        PoolRecordJson.Write(record, json);
        Assert.True(PoolRecordJson.TryRead(json.WrittenSpan, out PoolRecord back));
        Assert.Equal(record.Breakers, back.Breakers);
        Assert.Equal(record.Cooldowns, back.Cooldowns);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("{\"breakers\":[", false)]
    [InlineData("[]", false)]
    [InlineData("{}", true)]
    [InlineData("""{"breakers":[7,{"account":"a"},{"account":"a","model":"m","state":"Melted"}],"cooldowns":[{"account":"a","kind":"New","until":"2026-03-01T00:00:00Z"}]}""", true)]
    public void RecordThatCannotBeUnderstood_IsLeftOut(string json, bool read)
    {
        Assert.Equal(read, PoolRecordJson.TryRead(Encoding.UTF8.GetBytes(json), out PoolRecord record));
        Assert.Empty(record.Breakers);
        Assert.Empty(record.Cooldowns);
    }

    [Fact]
    public async Task ManyThreads_LeaveNoLeaseBehind()
    {
        AccountPool pool = new(3, TimeSpan.FromSeconds(15));
        RoutePlan plan = Plan(3);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
        {
            Random random = new(worker);
            for (int i = 0; i < 2000; i++)
            {
                string account = First(pool, plan, random.Next(2) == 0 ? null : (ulong)random.Next());
                if (!pool.TryLease(account, "m", Now.AddSeconds(i), out Lease? lease)) continue;
                if (random.Next(4) == 0) lease.Dispose();
                else lease.Settle(random.Next(2) == 0 ? null : OwnErrors.Cut(), Now.AddSeconds(i));
                lease.Dispose();
            }
        }, TestContext.Current.CancellationToken)));
        Assert.Equal(0, pool.LeasesOut);
        Assert.All(Enumerable.Range(0, 3), i => Assert.Equal(0, pool.LoadOf($"a{i}")));
    }

    [Fact]
    public void AffinityKey_IsTheSessionHeaderElseTheFrontOfTheConversation()
    {
        const string turnOne = """[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]""";
        const string turnTwo = """[ {"content":"be brief","role":"system"},{"role":"user","content":"hi"},{"role":"assistant","content":"yo"},{"role":"user","content":"more"}]""";
        const string other = """[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}]""";
        ulong? one = Key(null, turnOne);
        Assert.NotNull(one);
        Assert.Equal(one, Key(null, turnTwo));
        Assert.NotEqual(one, Key(null, other));
        Assert.Equal(Key("s-1", turnOne), Key("s-1", other));
        Assert.NotEqual(Key("s-1", turnOne), Key("s-2", turnOne));
        Assert.Null(Key(null, "[]"));
        Assert.Null(Key(null, "nonsense"));
        Assert.Null(Key(null, ""));
    }

    private static ulong? Key(string? session, string messages) =>
        AffinityKey.From(name => name == "x-session-id" ? session : null, Encoding.UTF8.GetBytes(messages));

    private static string First(AccountPool pool, RoutePlan plan, ulong? key) => pool.View(plan, key, Now)[0].Candidates[0].Account;

    private static RoutePlan Plan(int accounts) => new RouteTable(
        Enumerable.Range(0, accounts).Select(i => Make($"a{i}", 0)), [], new Dictionary<string, System.Collections.Immutable.ImmutableArray<string>>()).Resolve("m");

    private static AccountSnapshot Make(string name, int priority) => new() { Name = name, Profile = new UpstreamProfile("generic"), Priority = priority };
}
