using System.Globalization;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>A scenario as it is named: <c>cut?events=5&amp;how=rst</c>. Instead of <c>?</c> a colon may stand; values are percent-decoded.</summary>
internal sealed class ScenarioSpec
{
    private readonly Dictionary<string, string> _parameters = [];

    private ScenarioSpec(string text, string name, string rest)
    {
        Text = text;
        Name = name;
        Rest = rest;
    }

    public string Text { get; }

    public string Name { get; }

    /// <summary>All after the first <c>?</c> or <c>:</c>.</summary>
    public string Rest { get; }

    public static ScenarioSpec Parse(string text)
    {
        text = text.Trim();
        int mark = text.AsSpan().IndexOfAny('?', ':');
        string name = mark < 0 ? text : text[..mark];
        ScenarioSpec spec = new(text, name.ToLowerInvariant(), mark < 0 ? "" : text[(mark + 1)..]);
        foreach (string pair in spec.Rest.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=');
            if (equals > 0) spec._parameters[pair[..equals]] = Uri.UnescapeDataString(pair[(equals + 1)..]);
        }

        return spec;
    }

    public string? Get(string name) => _parameters.GetValueOrDefault(name);

    public bool Has(string name) => _parameters.ContainsKey(name);

    public IReadOnlyDictionary<string, string> Parameters => _parameters;

    /// <summary>A whole number of at least zero; what does not parse is a mistake in a test and is said so.</summary>
    public int Number(string name, int otherwise)
    {
        if (Get(name) is not { } text) return otherwise;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            ? value : throw new ScenarioException($"scenario '{Text}': {name} must be a whole number, not '{text}'");
    }

    public TimeSpan Milliseconds(string name, int otherwise) => TimeSpan.FromMilliseconds(Number(name, otherwise));
}
