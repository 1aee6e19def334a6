using System.Collections.Immutable;
using System.Globalization;

namespace QwenProxy.Core.Catalogue;

/// <summary>What a plan counts.</summary>
public enum QuotaUnit
{
    /// <summary>Calls of a model that upstream took on.</summary>
    Requests,

    /// <summary>Input and output tokens.</summary>
    Tokens,

    /// <summary>Tokens at a rate for each model.</summary>
    Credits,
}

/// <summary>When what was used no longer counts.</summary>
public enum QuotaPeriod
{
    /// <summary>So many hours after it was used.</summary>
    Hours,

    /// <summary>At midnight in China (UTC+8).</summary>
    Day,

    /// <summary>On Monday at midnight in China.</summary>
    Week,

    /// <summary>On the subscription's day of the month at midnight in China, or on the last day of a month that is shorter.</summary>
    Month,

    /// <summary>Never.</summary>
    Total,
}

/// <summary>Credits per million tokens for the models whose names fit; cached input costs as much as other input where nothing else is told.</summary>
public sealed record CreditRate(string Models, decimal Input, decimal Output)
{
    public decimal? Cached { get; init; }
}

/// <summary>One window of a plan: how much of what may be used within which time. Data; the counting is <c>Quotas</c>' matter.</summary>
public sealed record QuotaRule(QuotaUnit Counts, QuotaPeriod Period)
{
    private static readonly TimeSpan China = TimeSpan.FromHours(8);

    /// <summary>The length of a window of <see cref="QuotaPeriod.Hours"/>.</summary>
    public int Hours { get; init; }

    /// <summary>Null where it is not known.</summary>
    public long? Limit { get; init; }

    /// <summary>Where the limit stands: <c>plan</c> or <c>configuration</c>.</summary>
    public string LimitFrom { get; init; } = "plan";

    /// <summary>Each model has a window of its own.</summary>
    public bool EachModel { get; init; }

    /// <summary>
    /// The day on which a month begins. Null where it is not known: then the last 31 days count, which is never less than what upstream counts.
    /// </summary>
    public int? MonthStarts { get; init; }

    /// <summary>For credits; without any they cannot be counted here.</summary>
    public ImmutableArray<CreditRate> Rates { get; init; } = [];

    /// <summary>The response headers <c>…-limit</c> and <c>…-remaining</c> that tell this window; null for none.</summary>
    public string? Headers { get; init; }

    /// <summary>As people and the configuration call it: <c>5h</c>, <c>day</c>, <c>week</c>, <c>month</c>, <c>total</c>.</summary>
    public string Name => Period == QuotaPeriod.Hours ? string.Create(CultureInfo.InvariantCulture, $"{Hours}h") : Period.ToString().ToLowerInvariant();

    /// <summary>Tells the windows of an account apart, and stays the same when a limit changes.</summary>
    public string Key => $"{Counts.ToString().ToLowerInvariant()}/{Name}{(EachModel ? "/model" : "")}";

    /// <summary>What was used leaves bit by bit and not all at once.</summary>
    public bool Slides => Period == QuotaPeriod.Hours || (Period == QuotaPeriod.Month && MonthStarts is null);

    /// <summary>False where nothing tells how many credits a call takes.</summary>
    public bool IsCounted => Counts != QuotaUnit.Credits || !Rates.IsEmpty;

    public TimeSpan Length => Period switch
    {
        QuotaPeriod.Hours => TimeSpan.FromHours(Hours),
        QuotaPeriod.Day => TimeSpan.FromDays(1),
        QuotaPeriod.Week => TimeSpan.FromDays(7),
        QuotaPeriod.Month => TimeSpan.FromDays(31),
        _ => TimeSpan.FromDays(365),
    };

    /// <summary>Beginning and end of the window that <paramref name="now"/> is in; null for one that slides or never ends.</summary>
    public (DateTimeOffset Start, DateTimeOffset End)? Around(DateTimeOffset now)
    {
        if (Slides || Period == QuotaPeriod.Total) return null;
        DateTime day = now.ToOffset(China).Date;
        switch (Period)
        {
            case QuotaPeriod.Day:
                return (Midnight(day), Midnight(day.AddDays(1)));
            case QuotaPeriod.Week:
                DateTime monday = day.AddDays(-(((int)day.DayOfWeek + 6) % 7));
                return (Midnight(monday), Midnight(monday.AddDays(7)));
            default:
                DateTime month = new(day.Year, day.Month, 1);
                if (StartIn(month) > day) month = month.AddMonths(-1);
                return (Midnight(StartIn(month)), Midnight(StartIn(month.AddMonths(1))));
        }
    }

    private DateTime StartIn(DateTime month) => month.AddDays(Math.Min(MonthStarts!.Value, DateTime.DaysInMonth(month.Year, month.Month)) - 1);

    private static DateTimeOffset Midnight(DateTime day) => new(day, China);
}
