using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Accounts;

/// <summary>Whose turn it is, simulated turn by turn.</summary>
public sealed class FairQueueTests
{
    private readonly FairQueue _queue = new(1000);

    [Fact]
    public void ClientWith500Requests_AddsOneTurnToTheWaitOfAnother()
    {
        for (int i = 0; i < 500; i++) Assert.True(_queue.TryAdd(new Waiter("greedy")));
        Random random = new(3);
        Dictionary<Waiter, int> turnsOfOthers = [];
        for (int turn = 0; turn < 1200 && _queue.Count > 0; turn++)
        {
            // The modest client asks now and then, at whatever point of a round.
            if (random.Next(3) == 0 && turnsOfOthers.All(w => w.Key.IsGranted))
            {
                Waiter modest = new("modest");
                Assert.True(_queue.TryAdd(modest));
                turnsOfOthers[modest] = 0;
            }

            Assert.True(_queue.TryTake("a", out ISlotWaiter? next));
            next.Grant("a");
            if (next.Client == "greedy")
            {
                foreach (Waiter waiting in turnsOfOthers.Keys.Where(w => !w.IsGranted).ToArray()) turnsOfOthers[waiting]++;
            }
        }

        Assert.InRange(turnsOfOthers.Count, 100, 500);
        Assert.All(turnsOfOthers, t => Assert.True(t.Key.IsGranted));
        Assert.Equal(1, turnsOfOthers.Values.Max());
    }

    [Fact]
    public void TwentyClientsOfUnlikeSize_HaveOneTurnEachInARound()
    {
        Random random = new(11);
        string[] clients = [.. Enumerable.Range(0, 20).Select(i => $"c{i}")];
        foreach (string client in clients)
        {
            for (int i = random.Next(10, 40); i > 0; i--) _queue.TryAdd(new Waiter(client));
        }

        for (int round = 0; round < 10; round++)
        {
            string[] served = [.. Enumerable.Range(0, 20).Select(_ => Take("a"))];
            Assert.Equal(clients.Order(StringComparer.Ordinal), served.Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void Priority_OrdersARoundAndStarvesNobody()
    {
        for (int i = 0; i < 3; i++)
        {
            _queue.TryAdd(new Waiter("low") { Priority = 9 });
            _queue.TryAdd(new Waiter("high") { Priority = -1 });
            _queue.TryAdd(new Waiter("middle"));
        }

        Assert.Equal("high middle low high middle low high middle low", string.Join(' ', Enumerable.Range(0, 9).Select(_ => Take("a"))));
    }

    [Fact]
    public void TurnThatFitsNoFreeAccount_IsKept()
    {
        _queue.TryAdd(new Waiter("b-only") { Account = "b" });
        _queue.TryAdd(new Waiter("any"));
        _queue.TryAdd(new Waiter("any"));
        Assert.Equal("any", Take("a"));
        _queue.TryAdd(new Waiter("late"));
        Assert.Equal("b-only", Take("b"));
        Assert.Equal("late", Take("a"));
    }

    [Fact]
    public void FullQueue_TakesRoomFromTheClientWithTheMost()
    {
        FairQueue queue = new(3);
        Waiter[] greedy = [.. Enumerable.Range(0, 3).Select(_ => new Waiter("greedy"))];
        foreach (Waiter waiter in greedy) Assert.True(queue.TryAdd(waiter));
        Assert.False(queue.TryAdd(new Waiter("greedy")));
        Assert.True(queue.TryAdd(new Waiter("modest")));
        Assert.Equal([false, false, true], greedy.Select(w => w.IsEvicted));
        Assert.Equal(3, queue.Count);
        // Two against one: taking one more would only turn the tables.
        Assert.False(queue.TryAdd(new Waiter("modest")));
    }

    [Fact]
    public void WhoGivesUp_LeavesNothingBehind()
    {
        Waiter[] waiters = [.. Enumerable.Range(0, 4).Select(i => new Waiter($"c{i % 2}"))];
        foreach (Waiter waiter in waiters) _queue.TryAdd(waiter);
        foreach (Waiter waiter in waiters) Assert.True(_queue.Remove(waiter));
        Assert.False(_queue.Remove(waiters[0]));
        Assert.Equal(0, _queue.Count);
        Assert.False(_queue.TryTake("a", out _));
    }

    [Fact]
    public void FreeSlot_IsHeldForWhomItWasGrantedTo()
    {
        DateTimeOffset now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        AccountSnapshot account = new() { Name = "a", Profile = new UpstreamProfile("generic"), MaxConcurrent = 1 };
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        pool.ConfigureSlots([account], 10);
        Assert.True(pool.TryLease("a", "m", now, out Lease? first));
        RoutePlan plan = new("m", "m", [new ModelAccounts("m", [account])]);
        Assert.Equal(CandidateState.Full, pool.View(plan, null, now)[0].Candidates[0].State);
        AttemptPolicy policy = new(new AttemptLimits(4, TimeSpan.FromSeconds(20)), new Random(1));
        Assert.Equal(["a"], Assert.IsType<NextStep.AwaitSlot>(policy.Decide(new AttemptHistory(), pool.View(plan, null, now), now)).Accounts);
        Waiter waiter = new("x");
        Assert.True(pool.TryWait(waiter, ["a"]));
        Assert.False(waiter.IsGranted);
        first.Settle(null, now);
        Assert.True(waiter.IsGranted);
        Assert.False(pool.TryLease("a", "m", now, out _));
        Assert.Equal(CandidateState.Ready, pool.View(plan, null, now, held: "a")[0].Candidates[0].State);
        Assert.True(pool.TryLease("a", "m", now, out Lease? second, holdsSlot: true));
        Assert.Equal(1, pool.LoadOf("a"));
        second.Dispose();
        Assert.Equal((0, 0, 0), (pool.LoadOf("a"), pool.LeasesOut, pool.Waiting));
    }

    [Fact]
    public void FullAccounts_AreWaitedForBeforeAFallbackModelButNotBeforeAFreeAccount()
    {
        DateTimeOffset now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        AttemptPolicy policy = new(new AttemptLimits(4, TimeSpan.FromSeconds(20)), new Random(1));
        ModelRoute fallback = new("f", [new Candidate("c", "f", CandidateState.Ready)]);
        ModelRoute full = new("m", [new Candidate("a", "m", CandidateState.Full), new Candidate("b", "m", CandidateState.Full)]);
        Assert.Equal(["a", "b"], Assert.IsType<NextStep.AwaitSlot>(policy.Decide(new AttemptHistory(), [full, fallback], now)).Accounts);
        ModelRoute half = new("m", [new Candidate("a", "m", CandidateState.Full), new Candidate("b", "m", CandidateState.Ready)]);
        Assert.Equal("b", Assert.IsType<NextStep.Ask>(policy.Decide(new AttemptHistory(), [half, fallback], now)).Account);
    }

    [Fact]
    public void RefusalForConcurrency_HalvesTheLimitOnceAndAnswersRaiseItByOneARound()
    {
        DateTimeOffset now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        pool.ConfigureSlots([new AccountSnapshot { Name = "a", Profile = new UpstreamProfile("generic") }], 10);
        ProxyError refusal = Resilience.World.Fail(FaultKind.ConcurrencyLimited);
        Lease[] burst = [.. Enumerable.Range(0, 8).Select(_ => Leased())];
        Assert.Null(pool.LimitOf("a"));
        foreach (Lease refused in burst[5..]) refused.Settle(refusal, now);
        Assert.Equal(4, pool.LimitOf("a"));
        Waiter waiter = new("x");
        Assert.True(pool.TryWait(waiter, ["a"]));
        burst[0].Settle(null, now);
        Assert.False(waiter.IsGranted);
        burst[1].Settle(null, now);
        // Two were answered at the limit, which grew by a half: three of four run, and who waited has the fourth slot.
        Assert.True(waiter.IsGranted);
        Assert.Equal(4, pool.LimitOf("a"));
        pool.ReturnSlot("a");
        foreach (Lease answered in burst[2..5]) answered.Settle(null, now);
        for (int round = 0; round < 3; round++)
        {
            int limit = pool.LimitOf("a")!.Value;
            Lease[] full = [.. Enumerable.Range(0, limit).Select(_ => Leased())];
            Assert.False(pool.TryLease("a", "m", now, out _));
            // Each is answered while all run: one goes, another takes its place.
            for (int i = 0; i < limit + 1; i++)
            {
                full[i % limit].Settle(null, now);
                full[i % limit] = Leased();
            }

            Assert.Equal(limit + 1, pool.LimitOf("a"));
            foreach (Lease lease in full) lease.Dispose();
        }

        pool.Reset("a", now);
        Assert.Null(pool.LimitOf("a"));
        Assert.Equal((0, 0), (pool.LoadOf("a"), pool.LeasesOut));

        Lease Leased()
        {
            Assert.True(pool.TryLease("a", "m", now, out Lease? lease));
            return lease;
        }
    }

    [Fact]
    public void LearnedLimit_NeverGoesBeyondTheConfiguredOneNorBelowOne()
    {
        DateTimeOffset now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        AccountPool pool = new(10, TimeSpan.FromSeconds(15));
        pool.ConfigureSlots([new AccountSnapshot { Name = "a", Profile = new UpstreamProfile("generic"), MaxConcurrent = 2 }], 10);
        for (int i = 0; i < 3; i++)
        {
            Assert.True(pool.TryLease("a", "m", now, out Lease? lease));
            lease.Settle(Resilience.World.Fail(FaultKind.ConcurrencyLimited), now);
            Assert.Equal(1, pool.LimitOf("a"));
        }

        for (int i = 0; i < 50; i++)
        {
            Lease[] full = [.. Enumerable.Range(0, pool.LimitOf("a")!.Value).Select(_ => pool.TryLease("a", "m", now, out Lease? lease) ? lease : throw new InvalidOperationException())];
            foreach (Lease lease in full) lease.Settle(null, now);
        }

        Assert.Equal(2, pool.LimitOf("a"));
    }

    private string Take(string account)
    {
        Assert.True(_queue.TryTake(account, out ISlotWaiter? next));
        return next.Client;
    }

    private sealed class Waiter(string client) : ISlotWaiter
    {
        public string Client => client;

        public int Priority { get; init; }

        public string? Account { get; init; }

        public bool IsGranted { get; private set; }

        public bool IsEvicted { get; private set; }

        public bool Accepts(string account) => Account is null || Account == account;

        public void Grant(string account) => IsGranted = true;

        public void Evict(int waiting) => IsEvicted = true;
    }
}
