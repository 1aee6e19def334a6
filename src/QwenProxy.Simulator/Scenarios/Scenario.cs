using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>
/// A named behaviour. It takes part at one or more of five places, in this order: what is said (<see cref="Answer"/>, <see cref="SpoilAnswer"/>),
/// in which chunks (<see cref="SpoilChunks"/>), in which bytes (<see cref="Framing"/>), and how they travel (<see cref="Transport"/>).
/// <see cref="Reply"/> replaces the first four. Because the places are apart, scenarios combine:
/// <c>stutter-s1?answer=long&amp;with=crlf,cut&amp;events=9</c>.
/// </summary>
internal sealed record Scenario(string Name, string Group, string Summary)
{
    public Func<ScenarioContext, SimulatedAnswer>? Answer { get; init; }

    public Func<SimulatedAnswer, ScenarioContext, SimulatedAnswer>? SpoilAnswer { get; init; }

    public Action<List<Chunk>, ScenarioContext>? SpoilChunks { get; init; }

    public Func<ScenarioSpec, Framing>? Framing { get; init; }

    public Action<ReplyPlan, ScenarioContext>? Transport { get; init; }

    /// <summary>Null when this request is to be answered in the usual way after all.</summary>
    public Func<ScenarioContext, ReplyPlan?>? Reply { get; init; }

    public bool WithoutDone { get; init; }
}
