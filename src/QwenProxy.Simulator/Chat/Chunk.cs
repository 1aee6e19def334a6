namespace QwenProxy.Simulator.Chat;

/// <summary>Where a chunk stands; the members of <c>choices[0]</c> come in another order at each place, as was seen on the wire.</summary>
internal enum ChunkPlace
{
    First,
    Body,
    Last,

    /// <summary><c>choices</c> is empty and <c>usage</c> is set.</summary>
    Usage,
}

/// <summary>A stream event before it is bytes, so that a scenario can spoil it in a way of its own.</summary>
internal sealed record Chunk(ChunkPlace Place)
{
    public string? Role { get; init; }

    public string? Content { get; init; }

    public bool ContentIsNull { get; init; }

    public string? Reasoning { get; init; }

    public bool ReasoningIsNull { get; init; }

    /// <summary>Also, or only, under the name that vLLM and Ollama use.</summary>
    public string ReasoningField { get; init; } = "reasoning_content";

    public bool ReasoningTwice { get; init; }

    public IReadOnlyList<ToolDelta> Tools { get; init; } = [];

    public string? Finish { get; init; }

    /// <summary>Running counters on this chunk (vLLM's continuous usage), as JSON.</summary>
    public string? UsageJson { get; init; }

    /// <summary>The whole data text instead of all of the above.</summary>
    public string? Raw { get; init; }

    /// <summary>Nothing but raw text: it says nothing that another dialect could say.</summary>
    public bool IsForeign => Raw is not null && Content is null && Reasoning is null && Finish is null && Tools.Count == 0;
}
