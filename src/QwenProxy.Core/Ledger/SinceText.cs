using System.Globalization;

namespace QwenProxy.Core.Ledger;

/// <summary>Reads from when on a list is wanted: a date, a date with a time, or a span back from now such as <c>7d</c>, <c>12h</c>, <c>30m</c>.</summary>
public static class SinceText
{
    public const string Allowed = "a date such as 2026-11-01, a time such as 2026-11-01T08:30, or a span such as 7d, 12h or 30m";

    private static readonly string[] s_local = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm"];
    private static readonly string[] s_zoned = ["yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    /// <summary>A date or time without an offset is one of <paramref name="zone"/>.</summary>
    public static bool TryRead(string text, DateTimeOffset now, TimeZoneInfo zone, out DateTimeOffset since)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(zone);
        since = default;
        if (DateTime.TryParseExact(text, s_local, CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTime local))
        {
            since = new DateTimeOffset(local, zone.GetUtcOffset(local));
            return true;
        }

        if (DateTimeOffset.TryParseExact(text, s_zoned, CultureInfo.InvariantCulture, DateTimeStyles.None, out since)) return true;
        if (text.Length < 2 || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int count)) return false;
        double? minutes = text[^1] switch
        {
            'm' => 1,
            'h' => 60,
            'd' => 1440,
            'w' => 10_080,
            _ => null,
        };
        if (minutes is null || count * minutes > (now - DateTimeOffset.UnixEpoch).TotalMinutes) return false;
        since = now - TimeSpan.FromMinutes(count * minutes.Value);
        return true;
    }
}
