using System.Collections.Concurrent;
using QwenProxy.Configuration;
using QwenProxy.Observability;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

/// <summary>What a collector gets of one request, decoded from the bytes that were sent to it.</summary>
public sealed class TraceTests
{
    private const string Parent = "00-3af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private static readonly string[] Shown =
    [
        "qwen_proxy.account", "http.response.status_code", "error.type", "qwen_proxy.resume", "gen_ai.response.id", "gen_ai.response.model", "gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
    ];

    [Fact]
    public async Task RequestThroughFailoverAndResume_ReadsAsATree()
    {
        await using RawUpstream limited = RawUpstream.Always(RawUpstream.Json(429, """{"error":{"message":"slow down","code":"rate_limit"}}""", "Retry-After: 60\r\n"));
        await using RawUpstream cut = RawUpstream.Always(RawUpstream.Sse(Chunk("c1", "The ferry ") + Chunk("c1", "leaves ")));
        await using RawUpstream whole = RawUpstream.Always(RawUpstream.Sse(Chunk("c2", "The ferry ") + Chunk("c2", "leaves at seven.") + End("c2")));
        ExportedSpan[] spans = await TraceAsync([limited, cut, whole]);

        Assert.All(spans, s => Assert.Equal("3af7651916cd43dd8448eb211c80319c", s.TraceId));
        Assert.Equal(
            """
            POST /v1/chat/completions account=c status_code=200 model=m-of-traces input_tokens=30 output_tokens=4 input_tokens=20
              * qwen_proxy.break type=cut account=b
              * qwen_proxy.resume account=c
              chat m-of-traces account=a status_code=429 type=rate_limited resume=false FAILED
              chat m-of-traces account=b status_code=502 type=cut resume=false id=c1 model=m-of-traces-0901 FAILED
              chat m-of-traces account=c resume=true id=c2 model=m-of-traces-0901 finish_reasons=[stop] input_tokens=30 output_tokens=4 input_tokens=20

            """.ReplaceLineEndings("\n"),
            ExportedSpan.Tree(spans, Shown));
        ExportedSpan server = spans.Single(s => s.Kind == 2);
        Assert.Equal("b7ad6b7169203331", server.Parent);
        // An attempt that answers lasts as long as its answer.
        Assert.All(spans, s => Assert.InRange(s.End, s.Start, server.End));
    }

    [Fact]
    public async Task Spans_HaveWhatTheConventionsRequire()
    {
        await using RawUpstream whole = RawUpstream.Always(RawUpstream.Sse(Chunk("c2", "The ferry leaves.") + End("c2")));
        ExportedSpan[] spans = await TraceAsync([whole]);
        ExportedSpan server = Assert.Single(spans, s => s.Kind == 2);
        ExportedSpan client = Assert.Single(spans, s => s.Kind == 3);
        foreach (string name in new[] { "http.request.method", "http.route", "url.path", "url.scheme", "http.response.status_code", "server.address", "server.port", "client.address", "user_agent.original" })
            Assert.Contains(name, server.Attributes.Keys);
        Assert.Equal("chat m-of-traces", client.Name);
        Assert.Equal("chat", client.Attributes["gen_ai.operation.name"]);
        Assert.Equal("generic", client.Attributes["gen_ai.provider.name"]);
        Assert.Equal("m-of-traces", client.Attributes["gen_ai.request.model"]);
        Assert.Equal("true", client.Attributes["gen_ai.request.stream"]);
        Assert.Equal("127.0.0.1", client.Attributes["server.address"]);
        Assert.Equal(whole.BaseUrl.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), client.Attributes["server.port"]);
        Assert.Contains("gen_ai.response.time_to_first_chunk", client.Attributes.Keys);
        Assert.Equal("0", client.Attributes["gen_ai.usage.cache_creation.input_tokens"]);
        Assert.Equal("2", client.Attributes["gen_ai.usage.reasoning.output_tokens"]);
        Assert.Equal("qwen-proxy", client.Resource["service.name"]);
        Assert.Equal(ProgramVersion.OfThis().Version, client.Resource["service.version"]);
        Assert.True(Guid.TryParse(client.Resource["service.instance.id"], out _));
        Assert.Equal(server.Resource, client.Resource);
    }

    /// <summary>Asks one account after the other, by priority, and gives back what the collector got of this trace.</summary>
    private static async Task<ExportedSpan[]> TraceAsync(RawUpstream[] upstreams)
    {
        await using RawUpstream collector = RawUpstream.Always(RawUpstream.Json(200, "{}"));
        Dictionary<string, string> variables = new() { ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = $"http://127.0.0.1:{collector.BaseUrl.Port}/v1/traces" };
        ProxySnapshot snapshot = new() { Accounts = [.. upstreams.Select((u, i) => RunningProxy.Account($"{(char)('a' + i)}", u.BaseUrl, priority: i))] };
        await using (RunningProxy proxy = await RunningProxy.StartAsync(snapshot))
        {
            using OtlpExport? export = OtlpExport.Start(OtlpSettings.Read(variables.GetValueOrDefault, new List<string>()));
            using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true, "m-of-traces")) };
            request.Headers.Add("traceparent", Parent);
            request.Headers.Add("User-Agent", "agent/1");
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            await Until.TrueAsync(() => proxy.Runtime.Drain.Active == 0 && proxy.Runtime.Requests.Running().IsEmpty, TimeSpan.FromSeconds(20));
        }

        // Other tests' requests are exported too while this one listens.
        return [.. collector.Requests.Where(r => r.RequestLine.StartsWith("POST /v1/traces", StringComparison.Ordinal)).SelectMany(r => ExportedSpan.ReadAll(r.Body)).Where(s => s.TraceId == Parent.Split('-')[1])];
    }

    private static string Chunk(string id, string text) =>
        $$"""data: {"id":"{{id}}","object":"chat.completion.chunk","model":"m-of-traces-0901","choices":[{"index":0,"delta":{"content":"{{text}}"},"finish_reason":null}]}""" + "\n\n";

    private static string End(string id) =>
        $$"""data: {"id":"{{id}}","object":"chat.completion.chunk","model":"m-of-traces-0901","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""" + "\n\n"
        + $$"""data: {"id":"{{id}}","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":2} } }""" + "\n\ndata: [DONE]\n\n";
}
