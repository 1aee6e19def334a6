using System.Globalization;

namespace QwenProxy.Core.Clients;

/// <summary>Reads when a key ends: a date (to its end), a time, or a span from now such as <c>30d</c>.</summary>
public static class ExpiryText
{
    public const string AllowedTime = "a date such as 2027-01-31, or a time such as 2027-01-31T18:00";

    public const string Allowed = AllowedTime + ", or a span such as 30d, 12h or 30m";

    private static readonly string[] s_local = ["yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss"];
    private static readonly string[] s_zoned = ["yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    /// <summary>A date or time without an offset is one of <paramref name="zone"/>.</summary>
    public static bool TryReadTime(string text, TimeZoneInfo zone, out DateTimeOffset expires)
    {
        ArgumentNullException.ThrowIfNull(zone);
        expires = default;
        bool isDay = DateTime.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTime local) && local < DateTime.MaxValue.Date;
        if (isDay) local = local.AddDays(1);
        if (isDay || DateTime.TryParseExact(text, s_local, CultureInfo.InvariantCulture, DateTimeStyles.None, out local))
        {
            expires = new DateTimeOffset(local, zone.GetUtcOffset(local));
            return true;
        }

        return DateTimeOffset.TryParseExact(text, s_zoned, CultureInfo.InvariantCulture, DateTimeStyles.None, out expires);
    }

    public static bool TryRead(string text, DateTimeOffset now, TimeZoneInfo zone, out DateTimeOffset expires)
    {
        if (TryReadTime(text, zone, out expires)) return true;
        if (!TryReadSpan(text, out TimeSpan span)) return false;
        expires = now + span;
        return true;
    }

    /// <summary>At least a minute, at most ten thousand days.</summary>
    public static bool TryReadSpan(string text, out TimeSpan span)
    {
        ArgumentNullException.ThrowIfNull(text);
        span = default;
        if (text.Length < 2 || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int count)) return false;
        double minutes = text[^1] switch
        {
            'm' => count,
            'h' => count * 60.0,
            'd' => count * 1440.0,
            'w' => count * 10_080.0,
            _ => 0,
        };
        if (minutes is not (> 0 and <= 14_400_000)) return false;
        span = TimeSpan.FromMinutes(minutes);
        return true;
    }
}
