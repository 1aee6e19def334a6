using System.Diagnostics;
using System.Diagnostics.Metrics;
using QwenProxy.Core.Repair;

namespace QwenProxy.Observability;

/// <summary>
/// Every number the proxy reports. One meter feeds both the Prometheus text of <c>/metrics</c> and the OTLP export. Names that OpenTelemetry has
/// for it are used (<c>gen_ai.*</c>, semantic conventions for generative AI); the rest begins with <c>qwen_proxy.</c>. All of them are listed in
/// docs/metrics.md.
/// </summary>
internal sealed class ProxyMetrics : IDisposable
{
    public const string MeterName = "QwenProxy";

    /// <summary>Clients choose the model's name, so the number of different labels has to end somewhere.</summary>
    private const int MaxModelLabels = 200;

    private static readonly double[] Seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640];
    private static readonly double[] Tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576];

    private readonly Meter _meter = new(MeterName);
    private readonly PrometheusText _text;
    private readonly HashSet<string> _models = new(StringComparer.Ordinal);
    private readonly Counter<long> _requests;
    private readonly Counter<long> _attempts;
    private readonly Counter<long> _resumes;
    private readonly Counter<long> _repairs;
    private readonly Counter<long> _removedBytes;
    private readonly Counter<long> _quirks;
    private readonly Counter<long> _translations;
    private readonly Counter<long> _refreshes;
    private readonly Counter<long> _ledgerLost;
    private readonly UpDownCounter<long> _running;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<long> _tokens;

    public ProxyMetrics()
    {
        _requests = _meter.CreateCounter<long>("qwen_proxy.requests", "{request}", "Requests by dialect, model, status and how they ended.");
        _attempts = _meter.CreateCounter<long>("qwen_proxy.attempts", "{attempt}", "Attempts at an upstream by account and outcome.");
        _resumes = _meter.CreateCounter<long>("qwen_proxy.resumes", "{resume}", "Streams continued after upstream broke, by way and outcome.");
        _repairs = _meter.CreateCounter<long>("qwen_proxy.repair.decisions", "{decision}", "Decisions of the repair stages.");
        _removedBytes = _meter.CreateCounter<long>("qwen_proxy.repair.removed", "By", "Bytes of text that repair took out of streams.");
        _quirks = _meter.CreateCounter<long>("qwen_proxy.quirks.applied", "{request}", "Requests changed for an upstream's sake, by rule.");
        _translations = _meter.CreateCounter<long>("qwen_proxy.translation.notes", "{note}", "What translating a request left out or changed, by kind.");
        _refreshes = _meter.CreateCounter<long>("qwen_proxy.credential.refreshes", "{refresh}", "Token refreshes by account and outcome.");
        _ledgerLost = _meter.CreateCounter<long>("qwen_proxy.ledger.lost", "{request}", "Requests that could not be written to the ledger.");
        _running = _meter.CreateUpDownCounter<long>("qwen_proxy.requests.running", "{request}", "Requests running now.");
        _duration = _meter.CreateHistogram("gen_ai.server.request.duration", "s", "Whole duration of a request.", null, Buckets(Seconds));
        _firstToken = _meter.CreateHistogram("gen_ai.server.time_to_first_token", "s", "From the request to the first byte of its answer.", null, Buckets(Seconds));
        _tokens = _meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens as upstream counted them.", null, new InstrumentAdvice<long> { HistogramBucketBoundaries = [.. Tokens.Select(t => (long)t)] });
        _text = new PrometheusText(_meter);
    }

    public byte[] WritePrometheus() => _text.Write();

    public void RequestBegan() => _running.Add(1);

    public void RequestEnded(string dialect, string model, int status, string end, TimeSpan duration, TimeSpan? firstByte)
    {
        _running.Add(-1);
        string label = ModelLabel(model);
        _requests.Add(1, new TagList { { "dialect", dialect }, { "gen_ai.request.model", label }, { "http.response.status_code", status }, { "end", end } });
        TagList tags = new() { { "gen_ai.operation.name", "chat" }, { "gen_ai.request.model", label } };
        if (firstByte is { } first) _firstToken.Record(first.TotalSeconds, tags);
        if (status >= 400) tags.Add("error.type", end);
        _duration.Record(duration.TotalSeconds, tags);
    }

    public void AttemptEnded(string account, string outcome) => _attempts.Add(1, new TagList { { "account", account }, { "outcome", outcome } });

    public void Resumed(string way, string outcome) => _resumes.Add(1, new TagList { { "way", way }, { "outcome", outcome } });

    public void TokensUsed(string model, long input, long output)
    {
        string label = ModelLabel(model);
        _tokens.Record(input, new TagList { { "gen_ai.token.type", "input" }, { "gen_ai.request.model", label } });
        _tokens.Record(output, new TagList { { "gen_ai.token.type", "output" }, { "gen_ai.request.model", label } });
    }

    public void Repaired(RepairReport report)
    {
        if (report.Counts.Count == 0) return;
        foreach (((string stage, string rule, RepairAction action), int count) in report.Counts)
        {
            _repairs.Add(count, new TagList { { "stage", stage }, { "rule", rule }, { "action", action.ToString().ToLowerInvariant() } });
        }

        if (report.RemovedBytes > 0) _removedBytes.Add(report.RemovedBytes);
    }

    public void QuirkApplied(string rule) => _quirks.Add(1, new KeyValuePair<string, object?>("rule", rule));

    /// <param name="note">What a translation noted, such as <c>dropped tool:web_search</c>. Names after the colon are the client's and no label.</param>
    public void TranslationNoted(string note) => _translations.Add(1, new KeyValuePair<string, object?>("kind", note.Split(':')[0]));

    public void LedgerLost(int requests) => _ledgerLost.Add(requests);

    public void Refreshed(string account, string outcome) => _refreshes.Add(1, new TagList { { "account", account }, { "outcome", outcome } });

    /// <summary>A number read when somebody asks for it, such as how many routes are open.</summary>
    public void Watch(string name, string unit, string description, Func<IEnumerable<Measurement<long>>> read) => _meter.CreateObservableGauge(name, read, unit, description);

    public void Dispose()
    {
        _text.Dispose();
        _meter.Dispose();
    }

    private static InstrumentAdvice<double> Buckets(double[] bounds) => new() { HistogramBucketBoundaries = bounds };

    private string ModelLabel(string model)
    {
        lock (_models)
        {
            if (_models.Contains(model)) return model;
            if (_models.Count >= MaxModelLabels) return "other";
            _models.Add(model);
            return model;
        }
    }
}
