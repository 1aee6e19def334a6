namespace QwenProxy.Observability;

/// <summary>Somebody else's words in a log line or a list: short, and without characters that a terminal would obey.</summary>
internal static class PrintableText
{
    public static string Of(string text, int maxLength = 120) => Plain(text.Length > maxLength ? text[..maxLength] : text);

    /// <summary>The same at its full length.</summary>
    public static string Plain(string text) => HasControl(text) ? Replace(text, char.IsControl) : text;

    /// <summary>What <see cref="char.IsControl(char)"/> says of any character.</summary>
    public static bool HasControl(ReadOnlySpan<char> text) => text.IndexOfAnyInRange('\u0000', '\u001f') >= 0 || text.IndexOfAnyInRange('\u007f', '\u009f') >= 0;

    public static string Replace(string text, Func<char, bool> unfit) => string.Concat(text.Select(c => unfit(c) ? '?' : c));
}
