using System.Diagnostics.Metrics;
using System.Text;
using QwenProxy.Observability;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

/// <summary>docs/metrics.md names what the code has, and nothing else.</summary>
public sealed class MetricsDocTests
{
    [Fact]
    public async Task EveryInstrument_IsInTheDocument()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        List<Instrument> instruments = [];
        using MeterListener listener = new() { InstrumentPublished = (instrument, _) => { if (instrument.Meter.Name == ProxyMetrics.MeterName) instruments.Add(instrument); } };
        listener.Start();
        string[] inCode = [.. instruments.Select(i => $"{i.Name} {i.Unit} {i.Description}").Distinct().Order(StringComparer.Ordinal)];
        string[][] rows = Rows();
        Assert.Equal(inCode, rows.Select(r => $"{r[0].Trim('`')} {r[3].Trim('`')} {r[5]}"));
    }

    [Fact]
    public async Task PrometheusNames_AreThoseOfTheDocument()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        string text = Encoding.UTF8.GetString(await proxy.Client.GetByteArrayAsync("/metrics"));
        string[] types = [.. text.Split('\n').Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(l => l["# TYPE ".Length..]).Order(StringComparer.Ordinal)];
        Assert.Equal(Rows().Select(r => $"{r[1].Trim('`')} {r[2]}").Order(StringComparer.Ordinal), types.Where(t => !t.StartsWith("dotnet_", StringComparison.Ordinal)));
        Assert.Contains("dotnet_process_memory_working_set_bytes gauge", types);
        Assert.Contains("dotnet_process_cpu_time_seconds_total counter", types);
    }

    private static string[][] Rows() => [.. RepositoryFiles.TableRows("docs/metrics.md").Where(r => r.Length == 6 && r[0].StartsWith('`'))];
}
