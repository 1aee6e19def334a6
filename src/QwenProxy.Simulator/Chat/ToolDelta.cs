namespace QwenProxy.Simulator.Chat;

/// <summary>
/// One entry of <c>delta.tool_calls</c>. A null member is left out, an empty one is written as <c>""</c>; <see cref="NameIsNull"/> writes
/// <c>"name":null</c>. Which of these a server sends is exactly what clients stumble over.
/// </summary>
internal sealed record ToolDelta
{
    public int? Index { get; init; }

    public string? Id { get; init; }

    public string? Type { get; init; } = "function";

    public string? Name { get; init; }

    public bool NameIsNull { get; init; }

    public string? Arguments { get; init; }
}
