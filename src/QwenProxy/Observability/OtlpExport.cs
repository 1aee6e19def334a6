using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace QwenProxy.Observability;

/// <summary>Sends the meter's numbers and the requests' spans to a collector, only when the standard variables name one. Dispose sends the rest.</summary>
internal sealed class OtlpExport : IDisposable
{
    private readonly MeterProvider? _metrics;
    private readonly TracerProvider? _traces;

    private OtlpExport(OtlpSettings settings)
    {
        if (settings.Metrics is { } metrics)
        {
            _metrics = Sdk.CreateMeterProviderBuilder().ConfigureResource(Name).AddMeter(ProxyMetrics.MeterName, PrometheusText.RuntimeMeter).AddOtlpExporter(o => Apply(metrics, o)).Build();
        }

        if (settings.Traces is { } traces)
        {
            _traces = Sdk.CreateTracerProviderBuilder().ConfigureResource(Name).AddSource(RequestTracing.SourceName).AddOtlpExporter(o => Apply(traces, o)).Build();
        }
    }

    /// <summary>Null when nothing is to be exported: then nothing listens and a request pays nothing.</summary>
    public static OtlpExport? Start(OtlpSettings settings) => settings.IsOff ? null : new OtlpExport(settings);

    public void Dispose()
    {
        _metrics?.Dispose();
        _traces?.Dispose();
    }

    /// <summary>The library makes an id for this run; what the standard variables say of the service comes last and wins.</summary>
    private static void Name(ResourceBuilder resource) => resource.AddService("qwen-proxy", serviceVersion: ProgramVersion.OfThis().Version).AddEnvironmentVariableDetector();

    private static void Apply(OtlpTarget target, OtlpExporterOptions options)
    {
        options.Protocol = target.Protocol;
        options.Endpoint = target.Endpoint;
        if (target.Headers is { } headers) options.Headers = headers;
        if (target.TimeoutMilliseconds is { } timeout) options.TimeoutMilliseconds = timeout;
    }
}
