using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// The <c>encrypted_content</c> of reasoning items. A client that keeps its own history gets the whole reasoning in it and sends it back, so
/// that the next turn has it although nothing was stored here. It is base64 behind a version mark, not encryption: the same client is
/// shown the same text in the item's summary, so there is nothing to hide from it, and no key that a restart could lose.
/// </summary>
internal static class ReasoningEnvelope
{
    /// <summary>How any of them begins as a JSON string.</summary>
    public static ReadOnlySpan<byte> Mark => "\"qp1:"u8;

    private const string Version = "qp1:";

    public static string Seal(ReadOnlySpan<byte> utf8) => Version + Convert.ToBase64String(utf8);

    /// <summary>The reasoning in a JSON string token; false for another maker's content, which nobody but its maker can read.</summary>
    public static bool TryOpen(RawJson token, PooledBytes plain)
    {
        string text = token.Text();
        if (!text.StartsWith(Version, StringComparison.Ordinal)) return false;
        byte[] decoded = new byte[text.Length];
        if (!Convert.TryFromBase64Chars(text.AsSpan(Version.Length), decoded, out int length)) return false;
        ReadOnlySpan<byte> utf8 = decoded.AsSpan(0, length);
        if (!System.Text.Unicode.Utf8.IsValid(utf8)) return false;
        plain.Write(utf8);
        return true;
    }
}
