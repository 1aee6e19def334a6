using System.Collections.Frozen;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Every scenario by its name; <c>docs/simulator.md</c> lists the same names, and a test holds the two together.</summary>
internal static class ScenarioCatalogue
{
    private static readonly FrozenDictionary<string, Scenario> ByName = Collect().ToFrozenDictionary(s => s.Name);

    public static IEnumerable<Scenario> All => ByName.Values.OrderBy(s => s.Name, StringComparer.Ordinal);

    public static Scenario Find(string name) =>
        ByName.GetValueOrDefault(name) ?? throw new ScenarioException($"there is no scenario '{name}'; docs/simulator.md lists them all");

    /// <summary>
    /// The scenarios a spec combines: that of <c>answer=</c>, the one it names, then those of <c>with=</c> and <c>defect=</c>. Where only one can
    /// decide (what is said, the framing) the first does.
    /// </summary>
    public static List<Scenario> Resolve(ScenarioSpec spec)
    {
        List<Scenario> scenarios = [];
        if (spec.Get("answer") is { } answer) scenarios.Add(Find(answer));
        scenarios.Add(Find(spec.Name));
        foreach (string list in new[] { spec.Get("with") ?? "", spec.Get("defect") ?? "" })
            scenarios.AddRange(list.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Find));
        return scenarios;
    }

    private static IEnumerable<Scenario> Collect() =>
    [
        .. AnswerScenarios.All, .. EventsScenario.All, .. AgentScenario.All, .. PortalScenario.All,
        .. ErrorScenarios.All, .. StreamErrorScenarios.All, .. StutterScenarios.All, .. ToolDeltaScenarios.All,
        .. LeakScenarios.All, .. ChunkScenarios.All, .. FramingScenarios.All, .. TransportScenarios.All,
    ];
}
