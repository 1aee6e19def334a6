namespace QwenProxy.Catalogue;

/// <summary>How many tokens a text has, before upstream counts.</summary>
internal sealed class TokenEstimate
{
    public int Count(ReadOnlySpan<byte> utf8) => (utf8.Length + 3) / 4;
}
