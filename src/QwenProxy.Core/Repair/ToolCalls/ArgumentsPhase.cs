namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Where the reading of a call's arguments stands.</summary>
internal enum ArgumentsPhase : byte
{
    /// <summary>No value is at hand: none has begun, or the last one is complete.</summary>
    Between,

    /// <summary>A value passes as it comes.</summary>
    Passing,

    /// <summary>A value that cannot be told yet.</summary>
    Waiting,

    /// <summary>A wrapper too large to wait for its end is taken off while it streams.</summary>
    Unwrapping,

    /// <summary>Something else than the same arguments follows complete ones: it may be the next call's.</summary>
    Foreign,
}
