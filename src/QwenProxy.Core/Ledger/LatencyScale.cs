namespace QwenProxy.Core.Ledger;

/// <summary>
/// Times and speeds counted on a scale of four steps to each doubling, so that percentiles over any stretch of time come from small sums: within 10 % of the
/// value, from 1 to beyond 2^40.
/// </summary>
public static class LatencyScale
{
    private const double StepsPerDoubling = 4;

    /// <summary>The step in which a value lies; all below 1 are in the first.</summary>
    public static long StepOf(double value) => value <= 1 ? 0 : (long)Math.Floor(Math.Log2(value) * StepsPerDoubling);

    /// <summary>The middle of a step.</summary>
    public static double ValueOf(long step) => Math.Pow(2, (step + 0.5) / StepsPerDoubling);

    /// <summary>The value below which so many per cent lie; null where nothing was counted.</summary>
    /// <param name="counts">How many lie in each step.</param>
    /// <param name="percent">From 0 to 100.</param>
    public static double? Percentile(IReadOnlyDictionary<long, long> counts, double percent)
    {
        ArgumentNullException.ThrowIfNull(counts);
        long wanted = (long)Math.Ceiling(counts.Values.Sum() * percent / 100);
        long seen = 0;
        foreach ((long step, long count) in counts.OrderBy(c => c.Key))
        {
            seen += count;
            if (seen >= wanted) return ValueOf(step);
        }

        return null;
    }
}
