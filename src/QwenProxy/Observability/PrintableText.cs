namespace QwenProxy.Observability;

/// <summary>Somebody else's words in a log line or a list: short, and without characters that a terminal would obey.</summary>
internal static class PrintableText
{
    public static string Of(string text, int maxLength = 120)
    {
        if (text.Length > maxLength) text = text[..maxLength];
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)) : text;
    }
}
