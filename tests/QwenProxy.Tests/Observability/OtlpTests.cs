using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using OpenTelemetry.Exporter;
using QwenProxy.Observability;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

public sealed class OtlpTests
{
    private const string Request = """{"model":"model-of-otlp","stream":true,"messages":[{"role":"user","content":"canary-prompt"}]}""";

    private const string Answer =
        "data: {\"choices\":[{\"delta\":{\"content\":\"canary-answer\"},\"finish_reason\":\"stop\",\"index\":0}],\"id\":\"c1\"}\n\n"
        + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4},\"id\":\"c1\"}\n\ndata: [DONE]\n\n";

    [Fact]
    public async Task Endpoint_ReceivesMetricsAndTraces()
    {
        await using RawUpstream collector = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Answer));
        Dictionary<string, string> variables = new() { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{collector.BaseUrl.Port}", ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-team=blue" };
        await using (RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl))
        {
            using OtlpExport? export = OtlpExport.Start(OtlpSettings.Read(variables.GetValueOrDefault, new List<string>()));
            Assert.NotNull(export);
            using HttpResponseMessage response = await proxy.PostAsync(Request);
            await RunningProxy.ReadAsync(response);
            // The request settles a moment after the client has read its end.
            while (proxy.Runtime.Drain.Active > 0) await Task.Yield();
        }

        RawExchange[] posts = [.. collector.Requests];
        RawExchange metrics = Assert.Single(posts, p => p.RequestLine == "POST /v1/metrics HTTP/1.1");
        Assert.Equal("application/x-protobuf", metrics.Header("content-type"));
        Assert.Equal("blue", metrics.Header("x-team"));
        string sent = Encoding.Latin1.GetString(metrics.Body);
        Assert.Contains("gen_ai.server.request.duration", sent, StringComparison.Ordinal);
        Assert.Contains("model-of-otlp", sent, StringComparison.Ordinal);
        Assert.Contains("qwen-proxy", sent, StringComparison.Ordinal);
        string spans = string.Concat(posts.Where(p => p.RequestLine == "POST /v1/traces HTTP/1.1").Select(p => Encoding.Latin1.GetString(p.Body)));
        Assert.Contains("POST /v1/chat/completions", spans, StringComparison.Ordinal);
        Assert.Contains("chat model-of-otlp", spans, StringComparison.Ordinal);
        Assert.DoesNotContain(posts, p => Encoding.Latin1.GetString(p.Body).Contains("canary", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Span_CarriesTheRequestAndItsAttempts()
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            bool isFirst = Interlocked.Increment(ref _asked) == 1;
            await exchange.SendAsync(isFirst ? RawUpstream.Json(500, """{"error":{"message":"no"}}""") : RawUpstream.Sse(Answer));
        });
        ConcurrentQueue<Activity> spans = new();
        using ActivityListener listener = new()
        {
            ShouldListenTo = source => source.Name == RequestTracing.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using (RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl))
        {
            using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Request.Replace("of-otlp", "of-span", StringComparison.Ordinal)) };
            request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            while (proxy.Runtime.Drain.Active > 0) await Task.Yield();
        }

        Activity[] ours = [.. spans.Where(s => s.TraceId.ToString() == "0af7651916cd43dd8448eb211c80319c")];
        Activity server = Assert.Single(ours, s => s.Kind == ActivityKind.Server);
        Assert.Equal("b7ad6b7169203331", server.ParentSpanId.ToString());
        Assert.Equal(200, server.GetTagItem("http.response.status_code"));
        Assert.Equal(3L, server.GetTagItem("gen_ai.usage.input_tokens"));
        Assert.Equal(2, server.GetTagItem("qwen_proxy.attempts"));
        Activity[] attempts = [.. ours.Where(s => s.Kind == ActivityKind.Client)];
        Assert.Equal(2, attempts.Length);
        Assert.All(attempts, a => Assert.Equal(server.SpanId, a.ParentSpanId));
        Assert.Equal(ActivityStatusCode.Error, attempts[0].Status);
        Assert.Equal(ActivityStatusCode.Unset, attempts[1].Status);
        Assert.Equal("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", upstream.Requests.First().Header("traceparent"));
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "http://c:4318/v1/metrics HttpProtobuf", "http://c:4318/v1/traces HttpProtobuf")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317", "http://c:4317/ Grpc", "http://c:4317/ Grpc")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:9/x/ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", "http://c:9/x/v1/metrics HttpProtobuf", "http://c:9/x/ Grpc")]
    [InlineData("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=https://c/m", "https://c/m HttpProtobuf", null)]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318 OTEL_METRICS_EXPORTER=none", null, "http://c:4318/v1/traces HttpProtobuf")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318 OTEL_SDK_DISABLED=true", null, null)]
    [InlineData("", null, null)]
    public void Variables_SayWhatGoesWhere(string variables, string? metrics, string? traces)
    {
        List<string> faults = [];
        OtlpSettings settings = OtlpSettings.Read(Of(variables), faults);
        Assert.Empty(faults);
        Assert.Equal(metrics, Show(settings.Metrics));
        Assert.Equal(traces, Show(settings.Traces));
        Assert.Equal(metrics is null && traces is null, settings.IsOff);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT is \"collector:4317\"")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\"")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=soon", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT is \"soon\"")]
    [InlineData("OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER is \"zipkin\"")]
    public void ValueThatCannotBeUnderstood_IsAFault(string variables, string fault)
    {
        List<string> faults = [];
        OtlpSettings.Read(Of(variables), faults);
        Assert.Contains(faults, f => f.StartsWith(fault, StringComparison.Ordinal));
    }

    private int _asked;

    private static string? Show(OtlpTarget? target) => target is null ? null : $"{target.Endpoint} {Enum.GetName<OtlpExportProtocol>(target.Protocol)}";

    private static Func<string, string?> Of(string variables) =>
        variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(v => v.Split('=', 2)).ToDictionary(v => v[0], v => v[1]).GetValueOrDefault;
}
