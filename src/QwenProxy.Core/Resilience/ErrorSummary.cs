using System.Globalization;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>
/// What a client is told when several accounts were asked, or could have been: what each of them said, in the order in which they were asked, so that the
/// cause comes first and not what happened to fail last.
/// </summary>
public static class ErrorSummary
{
    private const int LongestPart = 300;

    /// <param name="told">The failure whose status, code and time the client gets.</param>
    /// <param name="failures">All failures on the model asked for, the oldest first.</param>
    public static ProxyError OfAttempts(ProxyError told, IReadOnlyList<FailedAttempt> failures, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(told);
        ArgumentNullException.ThrowIfNull(failures);
        told = WithTimeInFix(told, now);
        // Of a fault of the request itself every account would say the same, and agents look for its words.
        if (!ErrorPolicy.For(told.Kind).Elsewhere) return told;
        IGrouping<string, FailedAttempt>[] accounts = [.. failures.GroupBy(f => f.Account)];
        if (accounts.Length < 2) return told;
        return told with { Message = string.Join("; ", accounts.Select(a => $"{a.Key}: {Part(a.Last().Error)}")) };
    }

    /// <param name="told">Why nobody was asked.</param>
    /// <param name="candidates">Those that could have been.</param>
    public static ProxyError OfCandidates(ProxyError told, IReadOnlyList<Candidate> candidates)
    {
        ArgumentNullException.ThrowIfNull(told);
        ArgumentNullException.ThrowIfNull(candidates);
        if (candidates.Select(c => c.Account).Distinct().Count() < 2) return told;
        return told with { Message = $"{told.Message} ({string.Join("; ", candidates.DistinctBy(c => c.Account).Select(c => $"{c.Account}: {Word(c)}"))})" };
    }

    /// <summary>In short, without upstream's words: <c>plan 401 invalid_api_key, paygo 429 rate_limited</c>; null for no failure.</summary>
    public static string? InShort(IReadOnlyList<FailedAttempt> failures)
    {
        ArgumentNullException.ThrowIfNull(failures);
        return failures.Count == 0 ? null : string.Join(", ", failures.GroupBy(f => (f.Account, f.Error.Status, f.Error.Kind))
            .Select(g => $"{g.Key.Account} {g.Key.Status} {Snake(g.Key.Kind)}{(g.Count() > 1 ? string.Create(CultureInfo.InvariantCulture, $" ×{g.Count()}") : "")}"));
    }

    /// <summary>The name of a kind as it is written everywhere outside: <c>rate_limited</c>.</summary>
    public static string Snake(FaultKind kind) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());

    private static string Part(ProxyError error)
    {
        string message = error.Message.Length > LongestPart ? error.Message[..LongestPart] + "…" : error.Message.TrimEnd('.');
        return $"{error.Status} {message}";
    }

    private static string Word(Candidate candidate) => candidate.State switch
    {
        CandidateState.Isolated => "switched off by command",
        CandidateState.BreakerOpen => "failed too often in a row",
        _ when candidate.Reason is { } reason => Part(reason),
        _ => "ready",
    };

    private static ProxyError WithTimeInFix(ProxyError told, DateTimeOffset now)
    {
        if (told is not { Kind: FaultKind.QuotaExhausted, RetryAfter: { } wait }) return told;
        string end = (now + wait).UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        return told with { Fix = $"The {QuotaWindow.NameOf(told.Message)} is used up until {end} UTC: wait for that, or add another account." };
    }
}
