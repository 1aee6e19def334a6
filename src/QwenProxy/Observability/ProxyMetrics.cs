using System.Diagnostics;
using System.Diagnostics.Metrics;
using QwenProxy.Core.Ledger;
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

    /// <summary>A model's name becomes a label once an account has served it. An upstream that takes any name must not make any number of them.</summary>
    private const int MaxModelLabels = 200;

    // The conventions' own bounds; those of durations go on to the longest time that a request may take.
    private static readonly double[] Seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];
    private static readonly double[] FirstTokenSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
    private static readonly double[] TokenSeconds = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
    private static readonly long[] Tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

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
    private readonly Counter<long> _reloads;
    private readonly Counter<long> _ledgerLost;
    private readonly Counter<long> _clientTokens;
    private readonly Counter<double> _clientCost;
    private readonly UpDownCounter<long> _running;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _perToken;
    private readonly Histogram<double> _callDuration;
    private readonly Histogram<double> _firstChunk;
    private readonly Histogram<long> _tokens;

    public ProxyMetrics()
    {
        _text = new PrometheusText(_meter);
        _requests = _meter.CreateCounter<long>("qwen_proxy.requests", "{request}", "Requests by dialect, model, status and how they ended.");
        _attempts = _meter.CreateCounter<long>("qwen_proxy.attempts", "{attempt}", "Attempts at an upstream by account and outcome.");
        _resumes = _meter.CreateCounter<long>("qwen_proxy.resumes", "{resume}", "Streams continued after upstream broke, by way and outcome.");
        _repairs = _meter.CreateCounter<long>("qwen_proxy.repair.decisions", "{decision}", "Decisions of the repair stages.");
        _removedBytes = _meter.CreateCounter<long>("qwen_proxy.repair.removed", "By", "Bytes of text that repair took out of streams.");
        _quirks = _meter.CreateCounter<long>("qwen_proxy.quirks.applied", "{request}", "Requests changed for an upstream's sake, by rule.");
        _translations = _meter.CreateCounter<long>("qwen_proxy.translation.notes", "{note}", "What translating a request left out or changed, by kind.");
        _refreshes = _meter.CreateCounter<long>("qwen_proxy.credential.refreshes", "{refresh}", "Token refreshes by account and outcome.");
        _reloads = _meter.CreateCounter<long>("qwen_proxy.configuration.reloads", "{reload}", "Configurations read again while running, by outcome.");
        _ledgerLost = _meter.CreateCounter<long>("qwen_proxy.ledger.lost", "{request}", "Requests that could not be written to the ledger.");
        _clientTokens = _meter.CreateCounter<long>("qwen_proxy.client.tokens", "{token}", "Tokens by client and model, as upstream counted them.");
        _clientCost = _meter.CreateCounter<double>("qwen_proxy.client.cost", "{USD}", "US dollars by client and model, at list prices.");
        _running = _meter.CreateUpDownCounter<long>("qwen_proxy.requests.running", "{request}", "Requests running now.");
        _duration = Histogram("gen_ai.server.request.duration", "Whole duration of a request.", Seconds);
        _firstToken = Histogram("gen_ai.server.time_to_first_token", "From a request to the first byte of its stream, of complete ones.", FirstTokenSeconds);
        _perToken = Histogram("gen_ai.server.time_per_output_token", "Time per token after the first, of complete streams.", TokenSeconds);
        _callDuration = Histogram("gen_ai.client.operation.duration", "One call to an upstream, up to the end of its answer.", Seconds);
        _firstChunk = Histogram("gen_ai.client.operation.time_to_first_chunk", "From a call to the first event of its stream.", Seconds);
        _tokens = _meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of one call, as upstream counted them.", null, new InstrumentAdvice<long> { HistogramBucketBoundaries = Tokens });
        // What has not happened yet is 0: an increase from nothing to 1 is seen by nobody.
        _ledgerLost.Add(0);
        _removedBytes.Add(0);
        _running.Add(0);
        foreach (string outcome in (ReadOnlySpan<string>)["applied", "refused"]) _reloads.Add(0, new KeyValuePair<string, object?>("outcome", outcome));
    }

    public byte[] WritePrometheus() => _text.Write();

    public void RequestBegan() => _running.Add(1);

    /// <summary>The conventions' view of a server of models, and what the request's client has used.</summary>
    public void RequestEnded(SettledRequest settled, string provider)
    {
        _running.Add(-1);
        LedgerEntry entry = settled.Entry;
        string? model = ModelLabel(entry.ServedModel);
        TagList tags = new() { { "dialect", entry.Dialect }, { "http.response.status_code", entry.Status }, { "end", entry.End } };
        AddModel(ref tags, model);
        _requests.Add(1, tags);
        if (entry.Tokens is { } tokens) ClientUsed(entry, model, tokens);
        if (GenAi.OperationOf(settled.Path) is not { } operation) return;
        bool complete = entry.End == "complete";
        TagList call = new() { { GenAi.OperationName, operation }, { GenAi.ProviderName, provider } };
        AddModel(ref call, model);
        if (complete && settled.Stream && entry.FirstByte is { } first)
        {
            _firstToken.Record(first.TotalSeconds, call);
            if (entry.Tokens is { Output: > 1 and var output }) _perToken.Record((entry.Duration - first).TotalSeconds / (output - 1), call);
        }

        if (!complete) call.Add(GenAi.ErrorType, entry.End);
        _duration.Record(entry.Duration.TotalSeconds, call);
    }

    /// <summary>An attempt has begun to answer or has failed.</summary>
    public void AttemptEnded(string account, string outcome) => _attempts.Add(1, new TagList { { "account", account }, { "outcome", outcome } });

    /// <summary>An account has answered under this name: from now on it is a label.</summary>
    public void Served(string model)
    {
        lock (_models)
        {
            if (_models.Count < MaxModelLabels) _models.Add(model);
        }
    }

    public void FirstChunk(in ModelCall call, TimeSpan waited)
    {
        if (call.Operation is not null) _firstChunk.Record(waited.TotalSeconds, call.Tags(ModelLabel(call.Model), null));
    }

    /// <summary>The conventions' view of a client of models: one call is over.</summary>
    /// <param name="responseModel">Who upstream said was answering; null when it did not say.</param>
    public void CallEnded(in ModelCall call, string? responseModel, TokenCounts? tokens, TimeSpan duration, string? errorType)
    {
        if (call.Operation is null) return;
        // A name that an upstream gives itself is a label like any other: it counts among those that were served.
        if (responseModel is not null) Served(responseModel);
        TagList tags = call.Tags(ModelLabel(call.Model), ModelLabel(responseModel));
        if (tokens is { } used)
        {
            RecordTokens(used.Input, "input", tags);
            RecordTokens(used.Output, "output", tags);
        }

        if (errorType is not null) tags.Add(GenAi.ErrorType, errorType);
        _callDuration.Record(duration.TotalSeconds, tags);
    }

    public void Resumed(string way, string outcome) => _resumes.Add(1, new TagList { { "way", way }, { "outcome", outcome } });

    public void ConfigurationReloaded(bool applied) => _reloads.Add(1, new KeyValuePair<string, object?>("outcome", applied ? "applied" : "refused"));

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
    public void Watch(string name, string? unit, string description, Func<IEnumerable<Measurement<long>>> read) => _meter.CreateObservableGauge(name, read, unit, description);

    public void Dispose()
    {
        _text.Dispose();
        _meter.Dispose();
    }

    private Histogram<double> Histogram(string name, string description, double[] bounds) =>
        _meter.CreateHistogram(name, "s", description, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });

    private void RecordTokens(long count, string type, TagList tags)
    {
        tags.Add(GenAi.TokenType, type);
        _tokens.Record(count, tags);
    }

    /// <summary>Each kind of token is a series; what a cache held or took is part of the input, thinking is part of the output.</summary>
    private void ClientUsed(LedgerEntry entry, string? model, TokenCounts tokens)
    {
        TagList client = new() { { "client", entry.Client ?? "-" } };
        AddModel(ref client, model);
        if (entry.Cost is { } cost) _clientCost.Add((double)cost, client);
        Add("input", tokens.Input);
        Add("output", tokens.Output);
        Add("cache_read", tokens.Cached);
        Add("cache_creation", tokens.CacheWritten);
        Add("reasoning", tokens.Reasoning);

        void Add(string type, long count)
        {
            TagList tags = client;
            tags.Add(GenAi.TokenType, type);
            if (count > 0) _clientTokens.Add(count, tags);
        }
    }

    private static void AddModel(ref TagList tags, string? label)
    {
        if (label is not null) tags.Add(GenAi.RequestModel, label);
    }

    /// <summary>Null where there is no model.</summary>
    private string? ModelLabel(string? model)
    {
        if (string.IsNullOrEmpty(model)) return null;
        lock (_models) return _models.Contains(model) ? model : GenAi.Other;
    }
}
