using System.Globalization;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>
/// When a spent quota comes back, as far as upstream's words tell. The providers count days and weeks from midnight in China (UTC+8).
/// A window longer than a day is looked at again each day, since people top up.
/// </summary>
public static class QuotaWindow
{
    private static readonly TimeSpan China = TimeSpan.FromHours(8);
    private static readonly TimeSpan LongestSleep = TimeSpan.FromHours(24);

    /// <summary>How long to leave the account alone; <paramref name="otherwise"/> when nothing is named.</summary>
    /// <param name="error">What upstream said.</param>
    /// <param name="now">The time.</param>
    /// <param name="otherwise">For words that name nothing.</param>
    /// <param name="counted">When there is room again by what was counted of the account's plan; null when that is not known.</param>
    public static TimeSpan Length(ProxyError error, DateTimeOffset now, TimeSpan otherwise, DateTimeOffset? counted = null)
    {
        string words = error.Message.ToLowerInvariant();
        TimeSpan wait = error.RetryAfter ?? NamedReset(error.Message, now) ?? counted - now ?? ByWindow(words, now) ?? otherwise;
        return wait > LongestSleep ? LongestSleep : wait;
    }

    /// <summary>When the window is over, as far as upstream's words tell it for certain; null when they do not, and for one that slides.</summary>
    public static DateTimeOffset? End(ProxyError error, DateTimeOffset now, DateTimeOffset? counted = null)
    {
        if (error.RetryAfter is { } named) return now + named;
        if (NamedReset(error.Message, now) is { } reset) return now + reset;
        if (counted is not null) return counted;
        string words = error.Message.ToLowerInvariant();
        bool isSure = !words.Contains("month allocated", StringComparison.Ordinal) && !words.Contains("hour allocated", StringComparison.Ordinal);
        return isSure && ByWindow(words, now) is { } window ? now + window : null;
    }

    /// <summary>Which quota it is, in a person's words.</summary>
    public static string NameOf(string message)
    {
        ArgumentNullException.ThrowIfNull(message);
        foreach (string window in (string[])["week", "month", "day", "hour", "free"])
        {
            if (message.Contains(window + " allocated", StringComparison.OrdinalIgnoreCase)) return window + " quota";
        }

        return message.Contains("free", StringComparison.OrdinalIgnoreCase) ? "free quota" : "quota";
    }

    /// <summary>A free quota belongs to one model; every other quota to the whole account.</summary>
    public static CooldownScope Scope(ProxyError error) =>
        $"{error.Code} {error.Message}".Contains("free", StringComparison.OrdinalIgnoreCase)
            ? CooldownScope.Model
            : CooldownScope.Account;

    /// <summary>The next midnight UTC+8.</summary>
    public static DateTimeOffset NextDay(DateTimeOffset now)
    {
        DateTimeOffset there = now.ToOffset(China);
        return new DateTimeOffset(there.Date.AddDays(1), China);
    }

    /// <summary>The next Monday 00:00 UTC+8.</summary>
    public static DateTimeOffset NextWeek(DateTimeOffset now)
    {
        DateTimeOffset day = NextDay(now);
        while (day.DayOfWeek != DayOfWeek.Monday) day = day.AddDays(1);
        return day;
    }

    private static TimeSpan? ByWindow(string words, DateTimeOffset now)
    {
        if (Has("week allocated")) return NextWeek(now) - now;
        if (Has("month allocated")) return LongestSleep;
        // A five-hour window slides: some of it is back long before its end.
        if (Has("hour allocated")) return TimeSpan.FromMinutes(15);
        if (Has("free allocated") || Has("day allocated")) return NextDay(now) - now;
        return null;

        bool Has(string piece) => words.Contains(piece, StringComparison.Ordinal);
    }

    /// <summary>"… will reset at 2026-03-02 16:00:00 …"; a time without an offset is China's.</summary>
    private static TimeSpan? NamedReset(string message, DateTimeOffset now)
    {
        int at = message.IndexOf("reset at ", StringComparison.OrdinalIgnoreCase);
        if (at < 0) return null;
        ReadOnlySpan<char> rest = message.AsSpan(at + 9);
        for (int length = Math.Min(rest.Length, 30); length >= 10; length--)
        {
            ReadOnlySpan<char> piece = rest[..length].TrimEnd(" .,;)");
            if (!DateTime.TryParse(piece, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out DateTime time)) continue;
            bool noOffset = time.Kind == DateTimeKind.Unspecified;
            DateTimeOffset reset = noOffset ? new DateTimeOffset(time, China) : new DateTimeOffset(time.ToUniversalTime());
            return reset > now ? reset - now : TimeSpan.Zero;
        }

        return null;
    }
}
