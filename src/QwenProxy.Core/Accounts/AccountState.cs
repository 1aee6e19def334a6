using System.Globalization;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Accounts;

/// <summary>How the sign-in of an account stands, as far as it decides about the account.</summary>
/// <param name="IsDead">Only a new sign-in helps.</param>
/// <param name="IsOver">The token is over and could not be renewed yet.</param>
/// <param name="Why">In a person's words; null when there is nothing to say.</param>
public readonly record struct AccountSignIn(bool IsDead, bool IsOver, string? Why);

/// <summary>
/// The one state of an account: <c>ready</c>, or what holds it back from all its models. Every surface shows this value, and readiness counts by it.
/// </summary>
/// <param name="Name">A short word: <c>ready</c>, <c>dead</c>, <c>expired</c>, <c>isolated</c>, <c>key refused</c>, <c>bill unpaid</c>, <c>quota used up</c>, <c>cooling</c>, <c>circuit open</c>.</param>
/// <param name="Says">The same in a person's words with its time, such as <c>week quota used up until 16:00</c> or <c>ready, 2 models resting</c>.</param>
public sealed record AccountState(string Name, string Says)
{
    /// <summary>When it changes by itself; null when it is ready or nobody knows.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>What upstream or the sign-in said; null when nobody said anything.</summary>
    public string? Why { get; init; }

    /// <summary>Models that rest while others are served.</summary>
    public int RestingModels { get; init; }

    public bool IsReady => Name == Ready;

    private const string Ready = "ready";

    /// <summary>From everything that holds the account back. Times are told as the clock of <paramref name="zone"/> shows them.</summary>
    public static AccountState Of(AccountSnapshot account, AccountSignIn? signIn, PoolRecord pool, DateTimeOffset now, TimeZoneInfo zone, IReadOnlyList<QuotaStanding>? quotas = null)
    {
        ArgumentNullException.ThrowIfNull(account);
        ArgumentNullException.ThrowIfNull(pool);
        if (signIn is { IsDead: true } dead) return new AccountState("dead", $"signed out: {dead.Why ?? "sign in again"}") { Why = dead.Why };
        if (pool.Breakers.Any(b => b.Account == account.Name && b is { State: BreakerState.Isolated, Model: "*" }))
            return new AccountState("isolated", "switched off by command until it is resumed");
        Cooldown[] cooldowns = [.. pool.Cooldowns.Where(c => c.Account == account.Name && c.Until > now)];
        Cooldown? whole = cooldowns.Where(c => c.Model is null).OrderByDescending(c => c.Ends ?? c.Until).FirstOrDefault();
        if (whole is not null) return OfCooldown(whole, now, zone);
        if (quotas?.Where(q => q is { Model: null, IsUsedUp: true }).MaxBy(q => q.Resets ?? DateTimeOffset.MaxValue) is { } spent) return OfQuota(spent, now, zone);
        if (signIn is { IsOver: true } over) return new AccountState("expired", $"token expired, being renewed: {over.Why ?? "the sign-in server has not answered yet"}") { Why = over.Why };
        BreakerRecord[] open = [.. pool.Breakers.Where(b => b.Account == account.Name && b.Model != "*" && b.State is not BreakerState.Closed)];
        string[] resting = [.. cooldowns.Where(c => c.Hard || ErrorPolicy.For(c.Kind).Bans).Select(c => c.Model!).Concat(open.Select(b => b.Model)).Distinct(StringComparer.Ordinal)];
        if (account.Models.Length > 0 && account.Models.All(m => resting.Contains(m, StringComparer.Ordinal))) return OfAllModels(account, cooldowns, open, now, zone);
        string models = resting.Length == 0 ? "" : $", {resting.Length} {(resting.Length == 1 ? "model" : "models")} resting";
        QuotaStanding? near = quotas?.Where(q => q.Model is null && q.Mark > 0).MaxBy(q => q.Percent);
        return new AccountState(Ready, Ready + models + (near is null ? "" : string.Create(CultureInfo.InvariantCulture, $", {near.Percent:0} % of the {near.Window} quota used"))) { RestingModels = resting.Length };
    }

    private static AccountState OfQuota(QuotaStanding spent, DateTimeOffset now, TimeZoneInfo zone) =>
        new("quota used up", $"{spent.Window} quota used up{(spent.Resets is { } end ? $" until {Clock(end, now, zone)}" : "")}")
        {
            Until = spent.Resets,
            Why = string.Create(CultureInfo.InvariantCulture, $"this proxy has counted {spent.Used:0} of {spent.Limit:0} {spent.Counts}"),
        };

    /// <summary>Every model that the account may serve is held back, each by itself: the first to be free again frees the account.</summary>
    private static AccountState OfAllModels(AccountSnapshot account, Cooldown[] cooldowns, BreakerRecord[] open, DateTimeOffset now, TimeZoneInfo zone)
    {
        Cooldown? first = cooldowns.Where(c => account.Models.Contains(c.Model!)).MinBy(c => c.Ends ?? c.Until);
        BreakerRecord? breaker = open.Where(b => account.Models.Contains(b.Model)).MinBy(b => b.NextProbe ?? now);
        if (first is not null && (breaker is null || (breaker.NextProbe ?? now) > first.Until)) return OfCooldown(first, now, zone);
        return new AccountState("circuit open", $"failed too often in a row{Next(breaker?.NextProbe, now, zone)}") { Until = breaker?.NextProbe };
    }

    private static AccountState OfCooldown(Cooldown cooldown, DateTimeOffset now, TimeZoneInfo zone)
    {
        DateTimeOffset end = cooldown.Ends ?? cooldown.Until;
        (string name, string says) = cooldown.Kind switch
        {
            FaultKind.InvalidKey => ("key refused", $"key refused{Next(cooldown.Until, now, zone)}"),
            FaultKind.AccountSignedOut => ("dead", "signed out: sign in again"),
            FaultKind.PermissionDenied => ("access refused", $"access refused{Next(cooldown.Until, now, zone)}"),
            FaultKind.ModelNotFound => ("models missing", $"its models are not on offer{Next(cooldown.Until, now, zone)}"),
            FaultKind.Billing => ("bill unpaid", $"bill unpaid or plan ended{Next(cooldown.Until, now, zone)}"),
            FaultKind.QuotaExhausted => ("quota used up", $"{QuotaWindow.NameOf(cooldown.Message)} used up {(cooldown.Ends is null ? $"for now{Next(cooldown.Until, now, zone)}" : $"until {Clock(end, now, zone)}")}"),
            FaultKind.RateLimited or FaultKind.ConcurrencyLimited => ("cooling", $"at its rate limit until {Clock(end, now, zone)}"),
            _ => ("cooling", $"left alone until {Clock(end, now, zone)}"),
        };
        return new AccountState(name, says) { Until = end, Why = $"{cooldown.Status} {cooldown.Message}" };
    }

    private static string Next(DateTimeOffset? at, DateTimeOffset now, TimeZoneInfo zone) => at is { } time && time > now ? $", next try {Clock(time, now, zone)}" : ", next try now";

    /// <summary>The hour and minute, with the day before them when it is another one. Seconds are rounded up: before the time told nothing has changed yet.</summary>
    private static string Clock(DateTimeOffset time, DateTimeOffset now, TimeZoneInfo zone)
    {
        TimeSpan minute = TimeSpan.FromMinutes(1);
        DateTimeOffset up = new((time.Ticks + minute.Ticks - 1) / minute.Ticks * minute.Ticks, time.Offset);
        DateTimeOffset there = TimeZoneInfo.ConvertTime(up, zone);
        bool isToday = there.Date == TimeZoneInfo.ConvertTime(now, zone).Date;
        return there.ToString(isToday ? "HH:mm" : "ddd yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
    }
}
