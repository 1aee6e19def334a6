using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Requests;
using QwenProxy.Simulator.Scenarios;

namespace QwenProxy.Simulator;

/// <summary>What the simulator will say, told beforehand, so that a test can compare to the last byte.</summary>
public static class SimulatedAnswers
{
    /// <summary>
    /// What the model means by a scenario and a request body: the answer before any defect, which is what a client behind a repairing proxy
    /// should get.
    /// </summary>
    /// <exception cref="ScenarioException">There is no such scenario, or the body is not a JSON object.</exception>
    public static SimulatedAnswer Meant(string scenario, ReadOnlyMemory<byte> requestBody)
    {
        ScenarioContext context = ContextFor(scenario, requestBody);
        return ReplyComposer.Meant(context, ScenarioCatalogue.Resolve(context.Spec));
    }

    /// <summary>The same after the defects that change what is said (leaked tags, double encoding, …), but not those of chunks and bytes.</summary>
    public static SimulatedAnswer Said(string scenario, ReadOnlyMemory<byte> requestBody)
    {
        ScenarioContext context = ContextFor(scenario, requestBody);
        List<Scenario> scenarios = ScenarioCatalogue.Resolve(context.Spec);
        return ReplyComposer.Said(ReplyComposer.Meant(context, scenarios), context, scenarios);
    }

    /// <summary>The text of <c>events?count=…&amp;bytes=…</c>.</summary>
    public static string EventsText(int count = 200, int bytes = 30) => EventsScenario.Text(count, bytes);

    /// <summary>The names of all scenarios, each with its line of description.</summary>
    public static IReadOnlyList<(string Name, string Group, string Summary)> Scenarios =>
        [.. ScenarioCatalogue.All.Select(s => (s.Name, s.Group, s.Summary))];

    /// <summary>The vector of one text.</summary>
    public static float[] Embedding(string text, int dimensions = 1024) => EmbeddingWriter.Vector(text, dimensions);

    private static ScenarioContext ContextFor(string scenario, ReadOnlyMemory<byte> requestBody)
    {
        ModelCall call = ModelCall.Parse(requestBody) ?? throw new ScenarioException("the request body is not a JSON object");
        return new ScenarioContext(ScenarioSpec.Parse(scenario), ApiDialect.Chat, call, default);
    }
}
