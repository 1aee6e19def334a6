namespace QwenProxy.Observability;

/// <summary>Somebody else's words in a log line or a list: short, and without characters that a terminal would obey.</summary>
internal static class PrintableText
{
    private const int MaxLength = 120;

    public static string Of(string text)
    {
        if (text.Length > MaxLength) text = text[..MaxLength];
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)) : text;
    }
}
