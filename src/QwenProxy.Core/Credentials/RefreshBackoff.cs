namespace QwenProxy.Core.Credentials;

/// <summary>
/// How often a failing token endpoint is asked. One short second try hides a blip; after that a try every few seconds at most, whoever waits:
/// the pause is shared by all callers (a negative cache) and short enough that a recovered server is noticed within 15 s.
/// </summary>
public static class RefreshBackoff
{
    /// <summary>Tries in the first round; later rounds have one.</summary>
    public const int FirstRoundTries = 2;

    /// <summary>The longest pause while somebody needs a token.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(12);

    /// <summary>The longest pause when nobody has asked for a token since the failures began.</summary>
    public static readonly TimeSpan LongestUnattended = TimeSpan.FromSeconds(60);

    /// <summary>The pause before the second try of the first round. <paramref name="chance"/> is in [0, 1).</summary>
    public static TimeSpan BetweenTries(double chance) => TimeSpan.FromMilliseconds(250 + (250 * chance));

    /// <summary>
    /// The pause after a failed round, half of it jitter. <paramref name="rounds"/> counts failed rounds in a row, from 1; <paramref
    /// name="attended"/> is false when no caller waits. A server's Retry-After is obeyed up to 12 s: a longer one would keep a recovered sign-in
    /// waiting for nothing.
    /// </summary>
    public static TimeSpan After(int rounds, double chance, TimeSpan? retryAfter, bool attended)
    {
        double longest = Math.Min(LongestUnattended.TotalSeconds, 2.5 * Math.Pow(2, Math.Min(rounds, attended ? 2 : 20)));
        TimeSpan pause = TimeSpan.FromSeconds(longest * (0.5 + (0.5 * chance)));
        TimeSpan asked = retryAfter is { } wait ? TimeSpan.FromTicks(Math.Min(wait.Ticks, Longest.Ticks)) : TimeSpan.Zero;
        return pause > asked ? pause : asked;
    }
}
