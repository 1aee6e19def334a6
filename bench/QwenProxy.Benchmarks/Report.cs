using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Work;

namespace QwenProxy.Benchmarks;

/// <summary>The results as Markdown tables, and the machine they were measured on.</summary>
internal sealed class Report(Results results, BenchmarkOptions options)
{
    private const string Begin = "<!-- benchmark: begin -->";
    private const string End = "<!-- benchmark: end -->";
    private readonly StringBuilder _text = new();
    private readonly string[] _names = [.. ContestantList.All.Select(c => c.Name)];

    public string Write()
    {
        _text.Append(CultureInfo.InvariantCulture, $"Measured {DateTime.UtcNow:yyyy-MM-dd} on {Environment.ProcessorCount} cores ({CpuModel()}), {RuntimeInformation.FrameworkDescription}, ");
        _text.AppendLine($"loopback, {options.Rounds} interleaved rounds of {options.Measure.TotalSeconds:0.#} s, medians.");
        WriteCpu();
        WriteDialects();
        WriteRates();
        WriteDelays();
        WriteFresh();
        WriteGateways();
        return _text.ToString();
    }

    /// <summary>Replaces what stands between the markers of a file.</summary>
    public static void PutInto(string file, string report)
    {
        string text = File.ReadAllText(file);
        int begin = text.IndexOf(Begin, StringComparison.Ordinal), end = text.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin) throw new InvalidOperationException($"{file} has no lines {Begin} and {End}.");
        File.WriteAllText(file, $"{text[..(begin + Begin.Length)]}\n{report.TrimEnd()}\n{text[end..]}");
    }

    private void WriteCpu()
    {
        string[] works = [.. OfAll(LoadWork.CpuMeasure)];
        if (works.Length == 0) return;
        Header("CPU time, as a multiple of nginx in the same round", ["work", "nginx, µs", .. _names.Skip(1), "qwen-proxy / raw copy"]);
        foreach (string work in works)
        {
            string unit = LoadWork.All.First(w => w.Name == work).PerEvent ? "event" : "request";
            List<string> row = [$"{work} (per {unit})", Number(results.Median(work, LoadWork.CpuMeasure, ContestantList.Baseline))];
            foreach (string name in _names.Skip(1)) row.Add(Ratio(work, LoadWork.CpuMeasure, name, ContestantList.Baseline));
            row.Add(Ratio(work, LoadWork.CpuMeasure, ContestantList.Proxy, ContestantList.Raw));
            Row(row);
        }
    }

    /// <summary>The others copy bytes, so that their ratio tells how much more of them an event of the other wire API has.</summary>
    private void WriteDialects()
    {
        LoadWork[] works = [.. LoadWork.All.Where(w => w.Beside is not null && results.RatioOfWorks(w.Name, w.Beside, LoadWork.CpuMeasure, ContestantList.Proxy) is not null)];
        if (works.Length == 0) return;
        Header("CPU time of an event of another wire API, as a multiple of a chat event of the same contestant in the same round (256 connections at full speed)", ["work", .. _names]);
        foreach (LoadWork work in works)
        {
            Row([work.Name, .. _names.Select(name => Number(results.RatioOfWorks(work.Name, work.Beside!, LoadWork.CpuMeasure, name), "0.00"))]);
        }
    }

    private void WriteRates()
    {
        string[] works = [.. OfAll(LoadWork.RateMeasure).Where(w => !w.Contains("paced", StringComparison.Ordinal))];
        if (works.Length == 0) return;
        Header("Requests or events a second, all processes on the same cores", ["work", .. _names]);
        foreach (string work in works) Row([work, .. _names.Select(name => Number(results.Median(work, LoadWork.RateMeasure, name)))]);
        _text.AppendLine().AppendLine($"The load generator used at most {results.Max(LoadWork.OwnShareMeasure):0.00} of {Environment.ProcessorCount} cores.");
    }

    private void WriteDelays()
    {
        if (!results.WorksWith(LatencyWork.Measures[0]).Any()) return;
        Header("Delay in ms: 32 streams, 20 ms between events; first event counted from the request on a new connection", ["", LatencyWork.Direct, .. _names]);
        foreach (string measure in LatencyWork.Measures)
        {
            Row([measure, .. new[] { LatencyWork.Direct }.Concat(_names).Select(name => Number(results.Median(LatencyWork.Name, measure, name), "0.000"))]);
        }
    }

    private void WriteFresh()
    {
        if (!results.WorksWith(FreshWork.FirstMeasure).Any()) return;
        Header($"A fresh process; slow streams are {options.SlowStreams}, each an event every 2 s", ["", .. _names]);
        foreach (string measure in (string[])[FreshWork.FirstMeasure, FreshWork.IdleMeasure, FreshWork.SlowMeasure, FreshWork.SlowCpuMeasure, FreshWork.FailuresMeasure])
        {
            Row([measure, .. _names.Select(name => Number(results.Median(FreshWork.StartName, measure, name), "0"))]);
        }
    }

    /// <summary>The works that all contestants do in chat.</summary>
    private IEnumerable<string> OfAll(string measure) => LoadWork.All.Where(w => w.Beside is null).Select(w => w.Name).Where(results.WorksWith(measure).Contains);

    private void WriteGateways()
    {
        string[] works = [.. GatewayWork.Chat.Concat(GatewayWork.Messages).Select(w => w.Name)];
        string[] theirs = [.. works.SelectMany(w => results.ContestantsOf(w, LoadWork.CpuMeasure)).Where(c => c != ContestantList.Proxy).Distinct()];
        if (theirs.Length == 0) return;
        Header("CPU time of gateways from npm, µs per request or event, and how many times the proxy's it is", ["work", "qwen-proxy", .. theirs]);
        foreach (string work in works.Where(w => results.Median(w, LoadWork.CpuMeasure, ContestantList.Proxy) is not null))
        {
            Row([work["gateways: ".Length..], Number(results.Median(work, LoadWork.CpuMeasure, ContestantList.Proxy)), .. theirs.Select(name =>
                results.Median(work, LoadWork.CpuMeasure, name) is { } own ? $"{Number(own)} ({Ratio(work, LoadWork.CpuMeasure, name, ContestantList.Proxy)} ×)" : "–")]);
        }
    }

    private void Header(string title, IReadOnlyList<string> columns)
    {
        _text.AppendLine().AppendLine($"**{title}**").AppendLine();
        Row(columns);
        Row([.. columns.Select((_, i) => i == 0 ? "---" : "--:")]);
    }

    private void Row(IEnumerable<string> cells) => _text.AppendLine($"| {string.Join(" | ", cells)} |");

    private string Ratio(string work, string measure, string name, string to) => Number(results.Ratio(work, measure, name, to), "0.00");

    private static string Number(double? value, string? format = null) =>
        value is not { } number ? "–" : number.ToString(format ?? (number < 10 ? "0.00" : number < 100 ? "0.0" : "0"), CultureInfo.InvariantCulture);

    private static string CpuModel() =>
        File.Exists("/proc/cpuinfo") && File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) is { } line ? line[(line.IndexOf(':') + 2)..] : "unknown CPU";
}
