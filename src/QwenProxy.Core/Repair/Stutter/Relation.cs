namespace QwenProxy.Core.Repair.Stutter;

/// <summary>How a delta relates to the text before it.</summary>
internal enum Relation : byte
{
    /// <summary>Neither begins with the other: not a restatement.</summary>
    None,

    /// <summary>The delta begins with the whole text and goes on.</summary>
    Extends,

    /// <summary>The delta is the whole text again.</summary>
    Equals,

    /// <summary>The delta is only the text's beginning: a rewind.</summary>
    Shorter,
}

internal static class Relations
{
    public static Relation Of(ReadOnlySpan<byte> text, ReadOnlySpan<byte> delta)
    {
        if (delta.Length > text.Length) return delta.StartsWith(text) ? Relation.Extends : Relation.None;
        if (!text.StartsWith(delta)) return Relation.None;
        return delta.Length == text.Length ? Relation.Equals : Relation.Shorter;
    }
}
