using System.Globalization;

namespace QwenProxy.Core.Errors;

/// <summary>The few response headers that say something about a failure, as they came.</summary>
public readonly record struct UpstreamHeaders(
    string? RetryAfter = null, string? RetryAfterMs = null, string? RequestId = null, string? ContentType = null)
{
    /// <summary>No upstream limit lasts longer; a larger number is a mistake and would overflow a timer.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(31);

    /// <summary>Picks them out of header pairs; of a repeated header the first counts.</summary>
    public static UpstreamHeaders From(IEnumerable<KeyValuePair<string, string>> headers)
    {
        UpstreamHeaders found = default;
        foreach ((string name, string value) in headers)
        {
            if (Is(name, "retry-after")) found = found with { RetryAfter = found.RetryAfter ?? value };
            else if (Is(name, "retry-after-ms")) found = found with { RetryAfterMs = found.RetryAfterMs ?? value };
            else if (Is(name, "x-request-id") || Is(name, "request-id")) found = found with { RequestId = found.RequestId ?? value };
            else if (Is(name, "content-type")) found = found with { ContentType = found.ContentType ?? value };
        }

        return found;
    }

    /// <summary>The same for headers as an HTTP client keeps them.</summary>
    public static UpstreamHeaders From(IEnumerable<KeyValuePair<string, IEnumerable<string>>> headers) =>
        From(headers.Select(h => new KeyValuePair<string, string>(h.Key, h.Value.FirstOrDefault() ?? "")));

    /// <summary>How long upstream asks to wait: milliseconds, seconds or a date; null when nothing can be read. Never negative.</summary>
    public TimeSpan? Wait(DateTimeOffset now)
    {
        CultureInfo invariant = CultureInfo.InvariantCulture;
        if (double.TryParse(RetryAfterMs, NumberStyles.Float, invariant, out double milliseconds)) return Bounded(milliseconds / 1000);
        if (double.TryParse(RetryAfter, NumberStyles.Float, invariant, out double seconds)) return Bounded(seconds);
        const DateTimeStyles style = DateTimeStyles.AssumeUniversal | DateTimeStyles.AllowWhiteSpaces;
        return DateTimeOffset.TryParse(RetryAfter, invariant, style, out DateTimeOffset date) ? Bounded((date - now).TotalSeconds) : null;
    }

    private static TimeSpan? Bounded(double seconds)
    {
        if (double.IsNaN(seconds)) return null;
        return TimeSpan.FromSeconds(Math.Clamp(seconds, 0, LongestWait.TotalSeconds));
    }

    private static bool Is(string name, string wanted) => name.Equals(wanted, StringComparison.OrdinalIgnoreCase);
}
