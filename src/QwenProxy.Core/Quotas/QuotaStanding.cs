using System.Collections.Immutable;

namespace QwenProxy.Core.Quotas;

/// <summary>How one window stands at a moment, for people and machines to look at.</summary>
public sealed record QuotaStanding
{
    public required string Account { get; init; }

    /// <summary><c>5h</c>, <c>day</c>, <c>week</c>, <c>month</c> or <c>total</c>.</summary>
    public required string Window { get; init; }

    /// <summary><c>requests</c>, <c>tokens</c> or <c>credits</c>.</summary>
    public required string Counts { get; init; }

    /// <summary>The model that has this window to itself; null for the whole account.</summary>
    public string? Model { get; init; }

    public decimal? Limit { get; init; }

    /// <summary><c>plan</c>, <c>configuration</c>, <c>upstream</c> or <c>learned</c>; null without a limit.</summary>
    public string? LimitFrom { get; init; }

    /// <summary>Null where it cannot be counted here.</summary>
    public decimal? Used { get; init; }

    public decimal? Left => Limit is { } limit && Used is { } used ? Math.Max(0, limit - used) : null;

    public decimal? Percent => Limit is > 0 && Used is { } used ? 100 * used / Limit : null;

    /// <summary>When what is used becomes less: the window's end, or, where it slides, when the oldest use leaves it. Null when that is not known or nothing is used.</summary>
    public DateTimeOffset? Resets { get; init; }

    public bool Slides { get; init; }

    /// <summary>When it will be used up at the pace of late; null when it will not be, or nobody can tell.</summary>
    public DateTimeOffset? RunsOut { get; init; }

    /// <summary>Upstream said so, or it is used up by this proxy's own count.</summary>
    public bool IsUsedUp { get; init; }

    /// <summary>From here on it is kept for some; null where nothing is.</summary>
    public decimal? ReservedFrom { get; init; }

    /// <summary>0, 80 or 95 per cent: the highest mark that is reached.</summary>
    public int Mark => Percent switch
    {
        >= 95 => 95,
        >= 80 => 80,
        _ => 0,
    };

    /// <summary><c>ok</c>, <c>warning</c> (80 %), <c>critical</c> (95 %) or <c>used up</c>.</summary>
    public string Level => IsUsedUp ? "used up" : Mark switch
    {
        95 => "critical",
        80 => "warning",
        _ => "ok",
    };
}

/// <summary>How much was used in a stretch of time that begins at <paramref name="From"/>.</summary>
public sealed record QuotaCount(DateTimeOffset From, decimal Used);

/// <summary>
/// One window as it is written down: plain counts, so that those of several replicas add up.
/// </summary>
/// <param name="Account">The account's name.</param>
/// <param name="Key">Which window, as <c>QuotaRule.Key</c> writes it.</param>
/// <param name="Model">Null for the whole account.</param>
/// <param name="Since">Since when it is counted; of several replicas the earliest.</param>
/// <param name="Counts">The oldest first.</param>
public sealed record QuotaRecord(string Account, string Key, string? Model, DateTimeOffset Since, ImmutableArray<QuotaCount> Counts)
{
    /// <summary>What upstream's refusal taught where nobody states a limit.</summary>
    public decimal? Learned { get; init; }

    /// <summary>The limit as upstream's headers told it last.</summary>
    public decimal? Told { get; init; }

    /// <summary>When upstream said that it is used up; null when it did not, or has served since.</summary>
    public DateTimeOffset? Exhausted { get; init; }

    /// <summary>The mark that was warned of.</summary>
    public int Warned { get; init; }
}
