namespace QwenProxy.Core.Repair.Thinking;

/// <summary>What a stream showed about an upstream whose template writes the opening tag of thinking, so that only the closing one comes.</summary>
public enum LoneClose : byte
{
    /// <summary>Nothing.</summary>
    Unknown,

    /// <summary>A closing tag came behind words that nothing marked as thinking.</summary>
    Seen,

    /// <summary>The content was read as thinking and ended without a closing tag.</summary>
    Missing,
}
