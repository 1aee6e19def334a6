namespace QwenProxy.Simulator.Answers;

/// <summary>One call of a function: <paramref name="Arguments"/> is the JSON text the model produced.</summary>
public sealed record SimulatedToolCall(string Id, string Name, string Arguments);

/// <summary>Everything the simulated model says in one turn, in the order a Qwen model streams it: reasoning, text, tool calls.</summary>
public sealed record SimulatedAnswer
{
    public string Reasoning { get; init; } = "";

    public string Text { get; init; } = "";

    public IReadOnlyList<SimulatedToolCall> ToolCalls { get; init; } = [];

    /// <summary>Null means the natural one: <c>tool_calls</c> with calls, <c>stop</c> without.</summary>
    public string? FinishReason { get; init; }

    /// <summary>Where the text is cut into deltas, when not at the usual places. Ignored once a defect has changed the text.</summary>
    internal IReadOnlyList<string>? TextPieces { get; init; }

    public string Finish => FinishReason ?? (ToolCalls.Count > 0 ? "tool_calls" : "stop");
}
