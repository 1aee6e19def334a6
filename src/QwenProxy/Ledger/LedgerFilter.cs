using QwenProxy.Core.Ledger;

namespace QwenProxy.Ledger;

/// <summary>Which requests are wanted; what is not set asks for nothing.</summary>
internal sealed record LedgerFilter
{
    public const int MaxLimit = 10_000;

    public DateTimeOffset? Since { get; init; }

    /// <summary>Only those that ended before.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Only those that did not end complete.</summary>
    public bool Failed { get; init; }

    /// <summary>Only those in which repair changed something.</summary>
    public bool Repaired { get; init; }

    /// <summary>Only those whose stream broke and was continued.</summary>
    public bool Resumed { get; init; }

    /// <summary>Only those whose first byte took so long, or that had none for so long.</summary>
    public TimeSpan? Slow { get; init; }

    /// <summary>The model asked for or the one that answered.</summary>
    public string? Model { get; init; }

    public string? Account { get; init; }

    public string? Client { get; init; }

    public string? Dialect { get; init; }

    public string? RequestId { get; init; }

    /// <summary>The newest so many.</summary>
    public int Limit { get; init; } = 50;

    public bool Fits(LedgerEntry entry) =>
        (Since is not { } since || entry.Time >= since) && (Until is not { } until || entry.Time < until)
        && (!Failed || entry.End != "complete") && (!Repaired || entry.Repaired > 0) && (!Resumed || entry.Resumes > 0)
        && (Slow is not { } slow || (entry.FirstByte ?? entry.Duration) >= slow)
        && (Model is null || entry.AskedModel == Model || entry.ServedModel == Model) && Is(Account, entry.Account) && Is(Client, entry.Client)
        && Is(Dialect, entry.Dialect) && Is(RequestId, entry.RequestId);

    private static bool Is(string? wanted, string? value) => wanted is null || wanted == value;
}

/// <summary>How many answers of an hour or a day lie in one step of <see cref="LatencyScale"/>.</summary>
/// <param name="Time">A moment in that hour or day.</param>
/// <param name="Measure"><c>first</c>, <c>whole</c> or <c>speed</c>.</param>
internal readonly record struct LatencyCount(DateTimeOffset Time, string Measure, long Step, long Count)
{
    /// <summary>A shorter answer tells nothing of the speed.</summary>
    private const double LeastStreamMs = 200;

    /// <summary>What one request adds, by the same rules as the kept counts.</summary>
    public static IEnumerable<LatencyCount> Of(LedgerEntry entry)
    {
        if (entry.End != "complete") yield break;
        double whole = entry.Duration.TotalMilliseconds;
        yield return new LatencyCount(entry.Time, "whole", LatencyScale.StepOf(whole), 1);
        if (entry.FirstByte?.TotalMilliseconds is not { } first) yield break;
        yield return new LatencyCount(entry.Time, "first", LatencyScale.StepOf(first), 1);
        if (entry.Tokens is { Output: > 0 } tokens && whole - first >= LeastStreamMs) yield return new LatencyCount(entry.Time, "speed", LatencyScale.StepOf(tokens.Output * 1000.0 / (whole - first)), 1);
    }
}
