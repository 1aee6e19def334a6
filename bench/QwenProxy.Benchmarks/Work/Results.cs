namespace QwenProxy.Benchmarks.Work;

/// <summary>Every figure of a run: by work, measure and contestant, one value a round.</summary>
internal sealed class Results
{
    private readonly Dictionary<(string Work, string Measure, string Contestant), List<double>> _values = [];

    public void Add(string work, string measure, string contestant, double value)
    {
        if (!_values.TryGetValue((work, measure, contestant), out List<double>? list)) _values[(work, measure, contestant)] = list = [];
        list.Add(value);
    }

    public IEnumerable<string> WorksWith(string measure) => _values.Keys.Where(k => k.Measure == measure).Select(k => k.Work).Distinct();

    public IEnumerable<string> ContestantsOf(string work, string measure) => _values.Keys.Where(k => k.Work == work && k.Measure == measure).Select(k => k.Contestant);

    /// <summary>The median over the rounds; null when it was not measured.</summary>
    public double? Median(string work, string measure, string contestant) =>
        _values.TryGetValue((work, measure, contestant), out List<double>? list) ? Middle(list) : null;

    /// <summary>The median of the ratios within each round, which hold where the absolute figures drift.</summary>
    public double? Ratio(string work, string measure, string contestant, string to) => Ratio((work, measure, contestant), (work, measure, to));

    /// <summary>The same of two works of one contestant.</summary>
    public double? RatioOfWorks(string work, string to, string measure, string contestant) => Ratio((work, measure, contestant), (to, measure, contestant));

    public double Max(string measure) => _values.Where(v => v.Key.Measure == measure).SelectMany(v => v.Value).DefaultIfEmpty().Max();

    public static double Middle(IReadOnlyCollection<double> values)
    {
        if (values.Count == 0) return double.NaN;
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private double? Ratio((string, string, string) value, (string, string, string) to)
    {
        if (!_values.TryGetValue(value, out List<double>? list) || !_values.TryGetValue(to, out List<double>? baseline)) return null;
        return Middle([.. list.Zip(baseline).Where(pair => pair.Second > 0).Select(pair => pair.First / pair.Second)]);
    }
}
