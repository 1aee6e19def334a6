using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Accounts;

public sealed class SharedStatesTests
{
    private static readonly DateTimeOffset s_now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly List<SharedState> _rows = [];
    private readonly Side _a = new();
    private readonly Side _b = new();

    [Fact]
    public void CooldownOfOneReplica_HoldsForTheOtherAndIsForgivenForBoth()
    {
        Fail(_a, FaultKind.InvalidKey);
        Sync();
        Assert.Equal(FaultKind.InvalidKey, _b.Pool.Export(s_now).Cooldowns.Single().Kind);
        Serve(_b);
        Sync();
        Assert.Empty(_a.Pool.Export(s_now).Cooldowns);
        Assert.Empty(_rows);
    }

    [Fact]
    public void TwoTimesThatUpstreamNamed_EndAtTheLaterForBoth()
    {
        Fail(_a, FaultKind.RateLimited, 30);
        Fail(_b, FaultKind.RateLimited, 90);
        Sync();
        Sync();
        Assert.Equal(s_now.AddSeconds(90), _a.Pool.Export(s_now).Cooldowns.Single().Until);
        Assert.Equal(s_now.AddSeconds(90), _b.Pool.Export(s_now).Cooldowns.Single().Until);
        Assert.True(_a.States.Outgoing(_a.Pool.Export(s_now), s_now).IsEmpty);
    }

    [Fact]
    public void BreakerThatOpens_OpensEverywhereAndOneClaimLetsOneProbeThrough()
    {
        for (int i = 0; i < 3; i++) Fail(_a, FaultKind.ServerError);
        Sync();
        Assert.Equal(BreakerState.Open, _b.Pool.Export(s_now).Breakers.Single().State);
        DateTimeOffset due = s_now.AddSeconds(16);
        Assert.False(_b.Pool.TryLease("plan", "m", due, out _));
        Assert.Equal([("plan", "m")], _b.Pool.WantedProbes(due));
        Assert.Empty(_b.Pool.WantedProbes(due));
        _b.Pool.GrantProbe("plan", "m", due);
        Assert.True(_b.Pool.TryLease("plan", "m", due, out Lease? probe));
        Assert.True(probe.IsProbe);
        Assert.False(_b.Pool.TryLease("plan", "m", due, out _));
        Assert.False(_a.Pool.TryLease("plan", "m", due, out _));
        probe.Settle(null, due);
        Sync();
        Assert.Empty(_a.Pool.Export(due).Breakers);
        Assert.True(_a.Pool.TryLease("plan", "m", due, out _));
    }

    [Fact]
    public void DatabaseThatIsAway_LeavesProbesToEachReplica()
    {
        for (int i = 0; i < 3; i++) Fail(_a, FaultKind.ServerError);
        _a.Pool.Reach(isThere: false);
        Assert.True(_a.Pool.TryLease("plan", "m", s_now.AddSeconds(16), out Lease? probe));
        Assert.True(probe.IsProbe);
    }

    [Fact]
    public void AccountThatWasSwitchedOff_IsOffEverywhereUntilAnyoneSwitchesItOn()
    {
        _a.Pool.Isolate("plan");
        Sync();
        Assert.False(_b.Pool.TryLease("plan", "m", s_now, out _));
        _b.Pool.Reset("plan", s_now);
        Sync();
        Assert.True(_a.Pool.TryLease("plan", "m", s_now, out _));
    }

    [Fact]
    public void ReplicaThatSeesNoSignIn_DoesNotSpeakForTheOthers()
    {
        Fail(_a, FaultKind.AccountSignedOut);
        Sync();
        Assert.Empty(_b.Pool.Export(s_now).Cooldowns);
        Assert.Single(_a.Pool.Export(s_now).Cooldowns);
    }

    [Fact]
    public void CooldownThatEnded_IsNoNewsForAnybody()
    {
        Fail(_a, FaultKind.RateLimited, 30);
        Sync();
        DateTimeOffset later = s_now.AddMinutes(1);
        Assert.True(_a.States.Outgoing(_a.Pool.Export(later), later).IsEmpty);
        Assert.True(_b.States.Incoming(_rows, later).IsEmpty);
    }

    /// <summary>What nobody tells anybody: the order of the accounts for a conversation is the same at every replica.</summary>
    [Fact]
    public void Affinity_IsTheSameAtEveryReplicaWhateverItsLoad()
    {
        AccountSnapshot[] accounts = [.. Enumerable.Range(0, 5).Select(i => new AccountSnapshot { Name = $"account-{i}", Profile = new UpstreamProfile("generic") })];
        RoutePlan plan = new("m", "m", [new ModelAccounts("m", [.. accounts])]);
        for (ulong key = 1; key < 200; key++)
        {
            _a.Pool.TryLease(accounts[key % 5].Name, "m", s_now, out _);
            Assert.Equal(Order(_a, key), Order(_b, key));
        }

        string[] Order(Side side, ulong key) => [.. side.Pool.View(plan, key, s_now)[0].Candidates.Select(c => c.Account)];
    }

    private static void Fail(Side side, FaultKind kind, int? seconds = null)
    {
        Assert.True(side.Pool.TryLease("plan", "m", s_now, out Lease? lease));
        lease.Settle(new ProxyError { Kind = kind, Source = FaultSource.Upstream, Status = 429, Message = "no", RetryAfter = seconds is { } s ? TimeSpan.FromSeconds(s) : null }, s_now);
    }

    private static void Serve(Side side)
    {
        Assert.True(side.Pool.TryLease("plan", "m", s_now, out Lease? lease));
        lease.Settle(null, s_now);
    }

    /// <summary>Each tells and hears, as both do every moment.</summary>
    private void Sync()
    {
        foreach (Side side in new[] { _a, _b, _a })
        {
            SharedNews news = side.States.Outgoing(side.Pool.Export(s_now), s_now);
            _rows.RemoveAll(r => news.TakenBack.Concat(news.Found).Any(n => n.Key == r.Key));
            _rows.AddRange(news.Found);
            side.States.Told(news);
            foreach (Side reader in new[] { _a, _b })
            {
                SharedNews heard = reader.States.Incoming(_rows, s_now);
                reader.Pool.Merge(heard.Found, heard.TakenBack, s_now);
            }
        }
    }

    private sealed class Side
    {
        public Side() => Pool.Reach(isThere: true);

        public AccountPool Pool { get; } = new(3, TimeSpan.FromSeconds(15));

        public SharedStates States { get; } = new();
    }
}
