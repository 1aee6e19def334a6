namespace QwenProxy.Simulator.Scenarios;

/// <summary>A scenario that does not exist or whose parameters make no sense. Becomes a 400 that says so.</summary>
public sealed class ScenarioException(string message) : Exception(message);
