using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Accounts;

/// <summary>What holds an account back from all its models, in a person's words; the rest is resting models.</summary>
public sealed class AccountStateTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 10, 11, 59, 30, TimeSpan.Zero);

    [Theory]
    [InlineData(FaultKind.InvalidKey, 401, "Incorrect API key provided.", null, "key refused", "key refused, next try 12:01")]
    [InlineData(FaultKind.QuotaExhausted, 429, "week allocated quota exceeded", null, "quota used up", "week quota used up until Sun 2026-03-15 16:00")]
    [InlineData(FaultKind.QuotaExhausted, 429, "day allocated quota exceeded", null, "quota used up", "day quota used up until 16:00")]
    [InlineData(FaultKind.QuotaExhausted, 429, "5-hour allocated quota exceeded", null, "quota used up", "hour quota used up for now, next try 12:15")]
    [InlineData(FaultKind.QuotaExhausted, 429, "quota exceeded, it will reset at 2026-03-20 09:30:00 UTC+8", null, "quota used up", "quota used up until Fri 2026-03-20 01:30")]
    [InlineData(FaultKind.Billing, 403, "Arrearage", null, "bill unpaid", "bill unpaid or plan ended, next try 12:10")]
    public void WholeAccountHeldBack_IsSaidWithItsTime(FaultKind kind, int status, string message, int? retryAfter, string name, string says)
    {
        AccountState state = StateAfter(Account(), ("m", Error(kind, status, message, retryAfter)));
        Assert.Equal((name, says, false), (state.Name, state.Says, state.IsReady));
        Assert.NotNull(state.Until);
        Assert.Contains(message, state.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void OneModelAtItsLimit_LeavesTheAccountReady()
    {
        AccountState state = StateAfter(Account(), ("m", Error(FaultKind.RateLimited, 429, "slow down", 900)), ("n", Error(FaultKind.PermissionDenied, 403, "not for you", null)));
        Assert.Equal(("ready", "ready, 2 models resting", 2, true), (state.Name, state.Says, state.RestingModels, state.IsReady));
    }

    [Fact]
    public void EveryModelOfAListAtItsLimit_HoldsTheAccountBack()
    {
        AccountSnapshot account = Account() with { Models = ["m", "n"] };
        Assert.Equal("ready, 1 model resting", StateAfter(account, ("m", Error(FaultKind.RateLimited, 429, "slow down", 900))).Says);
        AccountState state = StateAfter(account, ("m", Error(FaultKind.RateLimited, 429, "slow down", 900)), ("n", Error(FaultKind.RateLimited, 429, "slow down", 300)));
        Assert.Equal("at its rate limit until 12:05", state.Says);
        Assert.False(state.IsReady);
    }

    [Fact]
    public void BreakerOfOneName_IsNotTheAccountsState()
    {
        Assert.Equal("ready, 1 model resting", StateAfter(Account(), [.. Enumerable.Repeat(("bad-name", Error(FaultKind.ServerError, 500, "oops", null)), 3)]).Says);
        AccountState state = StateAfter(Account() with { Models = ["bad-name"] }, [.. Enumerable.Repeat(("bad-name", Error(FaultKind.ServerError, 500, "oops", null)), 3)]);
        Assert.Equal(("circuit open", "failed too often in a row, next try 12:00"), (state.Name, state.Says));
    }

    [Fact]
    public void SignIn_DecidesBeforeAllElse()
    {
        Assert.Equal("dead", AccountState.Of(Account(), new AccountSignIn(true, true, "run `qwen-proxy login`"), PoolRecord.Empty, Now, TimeZoneInfo.Utc).Name);
        AccountState over = AccountState.Of(Account(), new AccountSignIn(false, true, null), PoolRecord.Empty, Now, TimeZoneInfo.Utc);
        Assert.Equal(("expired", false), (over.Name, over.IsReady));
        Assert.True(AccountState.Of(Account(), new AccountSignIn(false, false, null), PoolRecord.Empty, Now, TimeZoneInfo.Utc).IsReady);
    }

    [Fact]
    public void Isolated_IsSaid()
    {
        AccountPool pool = new(3, TimeSpan.FromSeconds(15));
        pool.Isolate("a");
        Assert.Equal("isolated", AccountState.Of(Account(), null, pool.Export(Now), Now, TimeZoneInfo.Utc).Name);
    }

    [Fact]
    public void NameThatNobodyEverServed_LeavesNoEntry()
    {
        AccountPool pool = new(3, TimeSpan.FromSeconds(15));
        for (int i = 0; i < 50; i++) Settle(pool, $"nope-{i}", Error(FaultKind.ModelNotFound, 404, "no such model", null));
        for (int i = 0; i < 50; i++) Settle(pool, $"nope-{i}", Error(FaultKind.ServerError, 500, "oops", null));
        Assert.Empty(pool.Export(Now).Cooldowns);
        Assert.Empty(pool.Export(Now).Breakers);
        Settle(pool, "m", null);
        Settle(pool, "m", Error(FaultKind.ModelNotFound, 404, "no such model", null));
        Assert.Single(pool.Export(Now).Cooldowns);
    }

    [Fact]
    public void WindowOfAWeek_IsLookedAtDailyAndToldInFull()
    {
        AccountPool pool = new(3, TimeSpan.FromSeconds(15));
        Settle(pool, "m", Error(FaultKind.QuotaExhausted, 429, "week allocated quota exceeded", null));
        Cooldown cooldown = Assert.Single(pool.Export(Now).Cooldowns);
        Assert.Equal(Now.AddDays(1), cooldown.Until);
        Assert.Equal(new DateTimeOffset(2026, 3, 15, 16, 0, 0, TimeSpan.Zero), cooldown.Ends);
        Assert.Equal(cooldown.Ends - Now, cooldown.ToError(Now).RetryAfter);
    }

    private static AccountSnapshot Account() => new() { Name = "a", BaseUrl = new Uri("http://h/v1"), Profile = Profiles.ByName("generic")! };

    private static ProxyError Error(FaultKind kind, int status, string message, int? retryAfter) => new()
    {
        Kind = kind,
        Source = FaultSource.Upstream,
        Status = status,
        Message = message,
        RetryAfter = retryAfter is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
    };

    private static AccountState StateAfter(AccountSnapshot account, params (string Model, ProxyError Error)[] failures)
    {
        AccountPool pool = new(3, TimeSpan.FromSeconds(15));
        foreach ((string model, ProxyError error) in failures) Settle(pool, model, error);
        return AccountState.Of(account, null, pool.Export(Now), Now, TimeZoneInfo.Utc);
    }

    private static void Settle(AccountPool pool, string model, ProxyError? error)
    {
        // A lease of its own pool may be refused by what stands already; what matters here is what a failure leaves.
        if (pool.TryLease("a", model, Now, out Lease? lease)) lease.Settle(error, Now);
    }
}
