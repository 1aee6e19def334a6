namespace QwenProxy.Simulator.Agents;

/// <summary>
/// What a scripted model does, turn by turn. The turn is the number of assistant messages with tool calls in the request's history, so the same
/// script serves any client and any number of retries; after the last turn the last one is repeated.
/// </summary>
public sealed record AgentScript(IReadOnlyList<AgentTurn> Turns)
{
    /// <summary>Said to requests that declare no tools: clients ask for a title or a summary between the turns.</summary>
    public string WithoutTools { get; init; } = "A scripted task";
}

/// <summary>One turn: reasoning and text may be empty; all calls are made in parallel.</summary>
public sealed record AgentTurn(string Text, string Reasoning, IReadOnlyList<AgentCall> Calls);

/// <summary>One call under the different names that clients give to the same tool: the first alternative the request declares is made.</summary>
public sealed record AgentCall(IReadOnlyList<AgentTool> Alternatives);

/// <summary>A tool's name and its arguments as a JSON object.</summary>
public sealed record AgentTool(string Name, string ArgumentsJson);
