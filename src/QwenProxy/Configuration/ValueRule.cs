using System.Globalization;
using System.Net;

namespace QwenProxy.Configuration;

/// <summary>How one kind of value is written: what is allowed, how it is read, how it is shown.</summary>
/// <param name="Allowed">Completes the sentence "… must be".</param>
/// <param name="Kinds">The JSON kinds that may hold it in a file.</param>
/// <param name="Read">Reads the words; false when they are not allowed.</param>
/// <param name="Format">Shows a value as a person would write it.</param>
internal sealed record ValueRule<T>(string Allowed, ConfigNodeKind[] Kinds, TryRead<T> Read, Func<T, string> Format);

internal delegate bool TryRead<T>(string text, out T value);

internal static class ValueRules
{
    private const double LongestSeconds = 86_400;

    public static ValueRule<bool> Boolean { get; } = new(
        "true or false",
        [ConfigNodeKind.Boolean],
        TryBoolean,
        value => value ? "true" : "false");

    /// <summary>An address to listen on. Names other than localhost would need a lookup and may change under the proxy's feet.</summary>
    public static ValueRule<string> Host { get; } = new(
        "an IP address, such as 127.0.0.1, 0.0.0.0 or ::1, or localhost",
        [ConfigNodeKind.Text],
        (string text, out string value) =>
        {
            value = text.Trim('[', ']');
            return value == "localhost" || IPAddress.TryParse(value, out _);
        },
        value => value);

    public static ValueRule<Uri> Url { get; } = new(
        "an absolute http or https URL without user name, query or fragment, such as https://host/v1",
        [ConfigNodeKind.Text],
        TryUrl,
        value => value.AbsoluteUri.TrimEnd('/'));

    /// <summary>A refused URL as a message may show it: one with a user name may hold a password, so it is not repeated.</summary>
    public static string ShowRefusedUrl(string text) => text.Contains('@', StringComparison.Ordinal) ? "a URL with a user name" : $"\"{text}\"";

    public static ValueRule<int> Integer(int min, int max) => new(
        $"a whole number from {min} to {max}",
        [ConfigNodeKind.Number],
        (string text, out int value) =>
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) && value >= min && value <= max,
        value => value.ToString(CultureInfo.InvariantCulture));

    public static ValueRule<long> Long(long min, long max) => new(
        $"a whole number from {min} to {max}",
        [ConfigNodeKind.Number],
        (string text, out long value) =>
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) && value >= min && value <= max,
        value => value.ToString(CultureInfo.InvariantCulture));

    public static ValueRule<decimal> Dollars { get; } = new(
        "an amount of US dollars above 0 and at most 1000000000",
        [ConfigNodeKind.Number],
        (string text, out decimal value) =>
            decimal.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out value) && value is > 0 and <= 1_000_000_000,
        value => value.ToString(CultureInfo.InvariantCulture));

    public static ValueRule<decimal> Rate { get; } = new(
        "a number from 0 to 1000000000",
        [ConfigNodeKind.Number],
        (string text, out decimal value) =>
            decimal.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out value) && value is >= 0 and <= 1_000_000_000,
        value => value.ToString(CultureInfo.InvariantCulture));

    /// <summary>Seconds, whole or decimal, up to a day.</summary>
    public static ValueRule<TimeSpan> Seconds(bool zeroAllowed = false) => new(
        zeroAllowed ? $"a number of seconds from 0 to {LongestSeconds}" : $"a number of seconds above 0 and at most {LongestSeconds}",
        [ConfigNodeKind.Number],
        (string text, out TimeSpan value) => TrySeconds(text, zeroAllowed, out value),
        Show);

    /// <summary>As <see cref="Seconds"/>, for settings kept as a plain number.</summary>
    public static ValueRule<double> PlainSeconds(bool zeroAllowed = false) => new(
        Seconds(zeroAllowed).Allowed,
        [ConfigNodeKind.Number],
        (string text, out double value) =>
        {
            bool isGood = TrySeconds(text, zeroAllowed, out TimeSpan span);
            value = span.TotalSeconds;
            return isGood;
        },
        value => value.ToString(CultureInfo.InvariantCulture));

    public static ValueRule<TimeSpan?> SecondsOrAuto() => new(
        "\"auto\" or " + Seconds().Allowed,
        [ConfigNodeKind.Number, ConfigNodeKind.Text],
        (string text, out TimeSpan? value) =>
        {
            value = null;
            if (text == "auto") return true;
            if (!TrySeconds(text, false, out TimeSpan span)) return false;
            value = span;
            return true;
        },
        value => value is { } span ? Show(span) : "auto");

    public static ValueRule<T> Choice<T>(params (string Word, T Value)[] choices)
        where T : notnull => new(
        "one of " + string.Join(", ", choices.Select(c => c.Word)),
        [ConfigNodeKind.Text],
        (string text, out T value) =>
        {
            int at = Array.FindIndex(choices, c => c.Word == text);
            value = choices[Math.Max(at, 0)].Value;
            return at >= 0;
        },
        value => choices.First(c => c.Value.Equals(value)).Word);

    private static string Show(TimeSpan value) => value.TotalSeconds.ToString(CultureInfo.InvariantCulture);

    private static bool TryBoolean(string text, out bool value)
    {
        value = text.Equals("true", StringComparison.OrdinalIgnoreCase) || text == "1";
        return value || text.Equals("false", StringComparison.OrdinalIgnoreCase) || text == "0";
    }

    private static bool TrySeconds(string text, bool zeroAllowed, out TimeSpan value)
    {
        const NumberStyles style = NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign | NumberStyles.AllowExponent;
        value = default;
        if (!double.TryParse(text, style, CultureInfo.InvariantCulture, out double seconds)) return false;
        if (!(seconds >= 0 && seconds <= LongestSeconds)) return false;
        value = TimeSpan.FromSeconds(seconds);

        // A value too small for the clock would read as zero, which means "at once".
        return value > TimeSpan.Zero || (zeroAllowed && seconds == 0);
    }

    /// <summary>Strips the trailing slash, and the end of a path that was copied from an example of a call rather than of a base.</summary>
    private static bool TryUrl(string text, out Uri value)
    {
        const string copied = "/chat/completions";
        string trimmed = text.Trim().TrimEnd('/');
        if (trimmed.EndsWith(copied, StringComparison.OrdinalIgnoreCase)) trimmed = trimmed[..^copied.Length].TrimEnd('/');
        bool isGood = Uri.TryCreate(trimmed, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https";
        value = url!;
        return isGood && url!.UserInfo.Length == 0 && url.Query.Length == 0 && url.Fragment.Length == 0 && url.Host.Length > 0;
    }
}
