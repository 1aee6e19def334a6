using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace QwenProxy.Observability;

/// <summary>
/// Sums up a meter, and the runtime's own, and writes them in Prometheus' text format 0.0.4. Its exporter package is not to be had for this framework version, and the
/// format is small: a line per series, names with underscores, three characters to escape.
/// </summary>
internal sealed class PrometheusText : IDisposable
{
    /// <summary>The meter of the framework that tells of memory, collections and threads.</summary>
    public const string RuntimeMeter = "System.Runtime";

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<Instrument, Family> _families = new();

    public PrometheusText(Meter meter)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (!ReferenceEquals(instrument.Meter, meter) && instrument.Meter.Name != RuntimeMeter) return;
            listener.EnableMeasurementEvents(instrument, _families.GetOrAdd(instrument, static i => new Family(i)));
        };
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, state) => ((Family)state!).Add(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, state) => ((Family)state!).Add(value, tags));
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, state) => ((Family)state!).Add(value, tags));
        _listener.Start();
    }

    public byte[] Write()
    {
        foreach (Family family in _families.Values) family.BeginObserving();
        _listener.RecordObservableInstruments();
        StringBuilder text = new();
        foreach (Family family in _families.Values.OrderBy(f => f.Name, StringComparer.Ordinal)) family.Write(text);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    public void Dispose() => _listener.Dispose();

    private sealed class Family
    {
        private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], Series> _series = new(TagComparer.Instance);
        private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], Series>.AlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>> _byTags;
        private readonly string _type;
        private readonly string? _description;
        private readonly double[]? _bounds;
        private readonly bool _observed;

        public Family(Instrument instrument)
        {
            bool counter = instrument is Counter<long> or Counter<double> or ObservableCounter<long> or ObservableCounter<double>;
            bool histogram = instrument is Histogram<long> or Histogram<double>;
            _byTags = _series.GetAlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>>();
            _observed = instrument.IsObservable;
            _type = counter ? "counter" : histogram ? "histogram" : "gauge";
            _description = instrument.Description;
            Name = instrument.Name.Replace('.', '_') + Unit(instrument.Unit) + (counter ? "_total" : "");
            _bounds = instrument switch
            {
                Histogram<double> h => [.. h.Advice?.HistogramBucketBoundaries ?? []],
                Histogram<long> h => [.. (h.Advice?.HistogramBucketBoundaries ?? []).Select(b => (double)b)],
                _ => null,
            };
        }

        public string Name { get; }

        /// <summary>An observed series that is no longer reported is gone, not frozen at its last value.</summary>
        public void BeginObserving()
        {
            if (_observed) _series.Clear();
        }

        public void Add(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (!_byTags.TryGetValue(tags, out Series? series)) series = _series.GetOrAdd(tags.ToArray(), static (key, bounds) => new Series(Labels(key), bounds), _bounds);
            lock (series)
            {
                if (_observed) series.Sum = value;
                else series.Sum += value;
                series.Count++;
                if (_bounds is null) return;
                int at = 0;
                while (at < _bounds.Length && value > _bounds[at]) at++;
                series.Buckets[at]++;
            }
        }

        public void Write(StringBuilder text)
        {
            text.Append("# HELP ").Append(Name).Append(' ').Append((_description ?? "").Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)).Append('\n');
            text.Append("# TYPE ").Append(Name).Append(' ').Append(_type).Append('\n');
            foreach (Series series in _series.Values.OrderBy(s => s.Labels, StringComparer.Ordinal))
            {
                lock (series)
                {
                    if (_bounds is null) Line(text, Name, series.Labels, series.Sum);
                    else WriteHistogram(text, series.Labels, series);
                }
            }
        }

        private void WriteHistogram(StringBuilder text, string labels, Series series)
        {
            string comma = labels.Length > 0 ? "," : "";
            long below = 0;
            for (int i = 0; i < series.Buckets.Length; i++)
            {
                below += series.Buckets[i];
                string bound = i < _bounds!.Length ? Number(_bounds[i]) : "+Inf";
                Line(text, Name + "_bucket", $"{labels}{comma}le=\"{bound}\"", below);
            }

            Line(text, Name + "_sum", labels, series.Sum);
            Line(text, Name + "_count", labels, series.Count);
        }

        private static void Line(StringBuilder text, string name, string labels, double value)
        {
            text.Append(name);
            if (labels.Length > 0) text.Append('{').Append(labels).Append('}');
            text.Append(' ').Append(Number(value)).Append('\n');
        }

        private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

        private static string Unit(string? unit) => unit switch
        {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };

        private static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (tags.IsEmpty) return "";
            StringBuilder text = new(64);
            foreach ((string name, object? value) in tags)
            {
                if (text.Length > 0) text.Append(',');
                text.Append(name.Replace('.', '_')).Append("=\"");
                foreach (char c in Convert.ToString(value, CultureInfo.InvariantCulture) ?? "")
                {
                    _ = c switch
                    {
                        '\\' => text.Append("\\\\"),
                        '"' => text.Append("\\\""),
                        '\n' => text.Append("\\n"),
                        _ => text.Append(c),
                    };
                }

                text.Append('"');
            }

            return text.ToString();
        }
    }

    private sealed class Series(string labels, double[]? bounds)
    {
        /// <summary>As they stand between the braces: made once, since every request adds to a dozen series.</summary>
        public string Labels { get; } = labels;

        public long[] Buckets { get; } = bounds is null ? [] : new long[bounds.Length + 1];

        public double Sum { get; set; }

        public long Count { get; set; }
    }

    /// <summary>Finds a series by the tags of a measurement without making anything of them.</summary>
    private sealed class TagComparer : IEqualityComparer<KeyValuePair<string, object?>[]>, IAlternateEqualityComparer<ReadOnlySpan<KeyValuePair<string, object?>>, KeyValuePair<string, object?>[]>
    {
        public static readonly TagComparer Instance = new();

        public bool Equals(KeyValuePair<string, object?>[]? x, KeyValuePair<string, object?>[]? y) => Equals(x.AsSpan(), y!);

        public bool Equals(ReadOnlySpan<KeyValuePair<string, object?>> alternate, KeyValuePair<string, object?>[] other)
        {
            if (alternate.Length != other.Length) return false;
            for (int i = 0; i < other.Length; i++)
            {
                if (alternate[i].Key != other[i].Key || !Equals(alternate[i].Value, other[i].Value)) return false;
            }

            return true;
        }

        public int GetHashCode(KeyValuePair<string, object?>[] key) => GetHashCode(key.AsSpan());

        public int GetHashCode(ReadOnlySpan<KeyValuePair<string, object?>> alternate)
        {
            HashCode hash = default;
            foreach ((_, object? value) in alternate) hash.Add(value);
            return hash.ToHashCode();
        }

        public KeyValuePair<string, object?>[] Create(ReadOnlySpan<KeyValuePair<string, object?>> alternate) => alternate.ToArray();
    }
}
