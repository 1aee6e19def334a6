namespace QwenProxy.Core.Resilience;

/// <summary>One request's budget.</summary>
/// <param name="MaxAttempts">Attempts per model; 1 means no retry.</param>
/// <param name="MaxWait">All waits of the request together.</param>
public sealed record AttemptLimits(int MaxAttempts, TimeSpan MaxWait)
{
    public static AttemptLimits Default { get; } = new(4, TimeSpan.FromSeconds(20));
}

/// <summary>
/// Exponential backoff: after a fault with full jitter, 100 ms doubled each time, at most 5 s, and then any part of it; after a limit that was
/// reached with the jitter above it, half a second doubled each time, at most 5 s, and up to half of that again.
/// </summary>
public static class Backoff
{
    public static readonly TimeSpan Base = TimeSpan.FromMilliseconds(100);
    public static readonly TimeSpan Cap = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan LeastForLimit = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest wait before retry number <paramref name="retry"/> (from 1).</summary>
    public static TimeSpan Longest(int retry) => Doubled(Base, retry);

    /// <param name="retry">From 1.</param>
    /// <param name="least">The shortest first wait; zero for full jitter.</param>
    /// <param name="random">Where the jitter comes from.</param>
    public static TimeSpan Wait(int retry, TimeSpan least, Random random) =>
        least > TimeSpan.Zero ? Doubled(least, retry) * (1 + (random.NextDouble() / 2)) : Longest(retry) * random.NextDouble();

    private static TimeSpan Doubled(TimeSpan first, int retry)
    {
        TimeSpan full = first * Math.Pow(2, Math.Clamp(retry - 1, 0, 20));
        return full < Cap ? full : Cap;
    }
}

/// <summary>How long an account may take to its first event.</summary>
public static class FirstTokenRule
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(45);

    /// <param name="configured">The user's own <c>firstTokenSeconds</c>; null for "auto".</param>
    /// <param name="anotherCouldServe">Another account or a fallback model is left to go to.</param>
    /// <param name="promptTokens">An estimate: see <see cref="EstimateTokens"/>.</param>
    /// <param name="readTimeout">READ_TIMEOUT_SECONDS.</param>
    public static TimeSpan Deadline(TimeSpan? configured, bool anotherCouldServe, long promptTokens, TimeSpan readTimeout)
    {
        if (configured is { } fixedDeadline) return fixedDeadline;
        // A long context may think for a minute before its first token, and with nowhere to go patience is all there is.
        TimeSpan patient = readTimeout + TimeSpan.FromSeconds(promptTokens / 2000.0);
        if (!anotherCouldServe) return patient;
        TimeSpan brisk = TimeSpan.FromSeconds(10 + (promptTokens / 4000.0));
        if (brisk > Longest) brisk = Longest;
        return brisk < patient ? brisk : patient;
    }

    /// <summary>About four bytes of request make a token, in English text, code and (at three bytes a character) Chinese alike.</summary>
    public static long EstimateTokens(long requestBytes) => requestBytes / 4;
}
