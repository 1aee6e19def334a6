using System.Collections.Concurrent;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>
/// Finds the scenario of a request, and takes <c>sequence:</c> and <c>cycle:</c> one step further each time they are asked. Their places are kept
/// by their text, so two requests that name the same sequence share it.
/// </summary>
internal sealed class ScenarioSelector(string startScenario)
{
    public const string Header = "x-simulator-scenario";
    private const string ModelPrefix = "sim-";
    private readonly ConcurrentDictionary<string, Counter> _places = [];

    /// <summary>Fails when a scenario, or one it combines, does not exist.</summary>
    public static void Check(string text)
    {
        ScenarioSpec spec = ScenarioSpec.Parse(text);
        if (Steps(spec) is { } steps)
        {
            foreach (string step in steps) Check(step);
        }
        else ScenarioCatalogue.Resolve(spec);
    }

    /// <param name="chosen">What the server's own choice says, if it has one.</param>
    /// <param name="header">The request's scenario header.</param>
    /// <param name="model">The request's model.</param>
    /// <param name="useStart">Whether the start scenario applies to this kind of request.</param>
    public ScenarioSpec Select(string? chosen, string? header, string model, bool useStart)
    {
        string text = chosen ?? NonEmpty(header) ?? FromModel(model) ?? (useStart ? startScenario : "healthy");
        ScenarioSpec spec = ScenarioSpec.Parse(text);
        while (Steps(spec) is { } steps)
        {
            int place = _places.GetOrAdd(spec.Text, static _ => new Counter()).Next();
            spec = ScenarioSpec.Parse(steps[spec.Name == "cycle" ? place % steps.Length : Math.Min(place, steps.Length - 1)]);
        }

        return spec;
    }

    /// <summary><c>sim-cut?events=3</c>, <c>any/sim-cut</c> and <c>sim/cut</c> all name a scenario.</summary>
    private static string? FromModel(string model)
    {
        if (model.StartsWith(ModelPrefix, StringComparison.OrdinalIgnoreCase)) return model[ModelPrefix.Length..];
        int slash = model.IndexOf('/');
        if (slash < 0) return null;
        string rest = model[(slash + 1)..];
        return model[..slash] == "sim" ? rest : FromModel(rest);
    }

    private static string[]? Steps(ScenarioSpec spec)
    {
        if (spec.Name is not ("sequence" or "cycle")) return null;
        string[] steps = spec.Rest.Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return steps.Length > 0 ? steps : throw new ScenarioException($"'{spec.Text}' names no scenarios; write {spec.Name}:first|second");
    }

    private static string? NonEmpty(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;

    private sealed class Counter
    {
        private int _next = -1;

        public int Next() => Interlocked.Increment(ref _next);
    }
}
