using QwenProxy.Simulator.Agents;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Requests;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>What a scenario may look at while it makes its reply.</summary>
internal sealed record ScenarioContext(ScenarioSpec Spec, ApiDialect Dialect, ModelCall Call, StreamHead Head)
{
    /// <summary>The script given by code, for the <c>agent</c> scenario without a file.</summary>
    public AgentScript? Script { get; init; }

    /// <summary>Lowest time between two events, unless the scenario names its own.</summary>
    public TimeSpan EventGap { get; init; }
}
