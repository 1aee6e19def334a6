using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Simulator;
using QwenProxy.Tests.Proxying;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

/// <summary>What the proxy says about itself: one line per request, numbers that parse, and never a word of a prompt, an answer or a key.</summary>
public sealed partial class TelemetryTests
{
    [Fact]
    public async Task EveryRequest_HasExactlyOneInformationLineWithItsFields()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:healthy|healthy|error-500|error-400-range" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        proxy.Client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "agent/1");
        bool[] streams = [true, false, true, false];
        foreach (bool stream in streams)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream));
            await response.Content.ReadAsStringAsync();
        }

        using HttpResponseMessage bad = await proxy.PostAsync("not json");
        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 5, TimeSpan.FromSeconds(20));
        string[] lines = HangUpTests.RequestLines(proxy);
        Assert.Matches(@"^POST /v1/chat/completions 200 complete model=m served=m account=up client= address=127\.0\.0\.1 agent=agent/1 stream=True native=False attempts=1 resumes=0 requestBytes=\d+ responseBytes=\d{4,} "
            + @"upstreamBytes=\d{4,} ttfbMs=[0-9.]+ durationMs=[0-9.]+ inputTokens=\d+ outputTokens=\d+ request=req_", lines[0]);
        Assert.Contains(" 200 complete ", lines[1], StringComparison.Ordinal);
        Assert.Contains(" 500 server_error ", lines[2], StringComparison.Ordinal);
        Assert.Contains(" 400 context_too_long ", lines[3], StringComparison.Ordinal);
        Assert.Contains(" 400 invalid_request ", lines[4], StringComparison.Ordinal);
        Assert.All(lines, l => Assert.Matches(@" responseBytes=\d{2,} ", l));
        Assert.Equal(5, lines.Select(l => l[l.LastIndexOf('=')..]).Distinct().Count());
    }

    [Fact]
    public async Task Metrics_ParseAndMove()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:healthy|error-500|cut?events=5|healthy" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        Dictionary<string, double> before = Parse(await proxy.Client.GetStringAsync("/metrics"));
        // A model's name is the client's: it must not be able to break the format.
        foreach (string model in new[] { "m", "a\\\"b\\\\" })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true, model));
            await RunningProxy.ReadAsync(response);
        }

        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 2, TimeSpan.FromSeconds(20));
        Dictionary<string, double> after = Parse(await proxy.Client.GetStringAsync("/metrics"));
        Assert.Equal(2, Sum(after, "qwen_proxy_requests_total") - Sum(before, "qwen_proxy_requests_total"));
        Assert.Equal(4, Sum(after, "qwen_proxy_attempts_total"));
        Assert.Equal(1, Sum(after, "qwen_proxy_resumes_total"));
        Assert.Equal(0, Sum(after, "qwen_proxy_requests_running"));
        Assert.Equal(2, Sum(after, "gen_ai_server_request_duration_seconds_count"));
        Assert.Equal(2, Sum(after, "gen_ai_server_time_to_first_token_seconds_count"));
        Assert.Equal(4, Sum(after, "gen_ai_client_token_usage_count"));
        Assert.Contains(after.Keys, k => k.Contains("gen_ai_request_model=\"a\\\"b\\\\\"", StringComparison.Ordinal));
    }

    /// <summary>Names that nobody serves make no series at all, and an upstream that takes any name makes a bounded number.</summary>
    [Theory]
    [InlineData("error-404-model", 0)]
    [InlineData("healthy?answer=text&say=yes", 200)]
    public async Task ModelNamesOfClients_DoNotGrowTheMetricsWithoutBound(string scenario, int names)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        for (int i = 0; i < 260; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false, model: $"model-{i}"));
            await response.Content.ReadAsStringAsync();
        }

        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 260, TimeSpan.FromSeconds(20));
        Dictionary<string, double> series = Parse(await proxy.Client.GetStringAsync("/metrics"));
        string[] labels = [.. series.Keys.SelectMany(k => ModelLabel().Matches(k)).Select(m => m.Groups[1].Value).Distinct()];
        Assert.Equal(names, labels.Count(l => l.StartsWith("model-", StringComparison.Ordinal)));
        Assert.Contains("_OTHER", labels);
        Assert.Equal(260, Sum(series, "qwen_proxy_requests_total"));
    }

    [Fact]
    public async Task KeysPromptsAndAnswers_AreNeverWrittenAnywhere()
    {
        const string clientKey = "canary-client-key";
        const string upstreamKey = "canary-upstream-key";
        const string prompt = "canary-prompt-words";
        const string answer = "canary-answer-words";
        string[] scenarios =
        [
            $"text?say={answer}%20that%20goes%20on%20for%20a%20while", $"stutter-s2?answer=text&say={answer}%20and%20more%20of%20it", $"sequence:cut?answer=text&say={answer}%20and%20rest&events=3|text?say={answer}%20and%20rest",
            $"cumulative?answer=text&say={answer}%20and%20more%20of%20it", $"error-400-range", $"status?code=500&message={answer}", $"stream-error-object?message={answer}", "broken-event", "html-200",
            $"think-tags?answer=text&reasoning={answer}&say={answer}", "leaked-xml", "double-encoded-args", "loop", "silence", $"stream-error-dashscope?message={answer}", "error-401-key",
        ];
        foreach (string scenario in scenarios)
        {
            await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = scenario });
            AccountSnapshot account = RunningProxy.Account("up", upstream.BaseUrl) with { ApiKey = new Secret(upstreamKey) };
            await using RunningProxy proxy = await RunningProxy.StartAsync(
                new ProxySnapshot { Accounts = [account], Debug = true },
                s => s with { Clients = [new ClientSnapshot("alice", new Secret(clientKey), IsAdmin: true)], Timeouts = s.Timeouts with { FirstToken = TimeSpan.FromMilliseconds(500), Idle = TimeSpan.FromSeconds(2) } });
            proxy.Client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Bearer {clientKey}");
            foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
            {
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: dialect != Dialect.Responses, question: prompt), Dialect.Path(dialect));
                await RunningProxy.ReadAsync(response);
            }

            await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 3, TimeSpan.FromSeconds(20));
            string all = string.Join('\n', proxy.Log.Lines) + await proxy.Client.GetStringAsync("/metrics");
            foreach (string path in new[] { "/", "/admin/status", "/admin/requests", "/admin/usage?by=model,client,account", "/admin/models" }) all += await proxy.Client.GetStringAsync(path);
            // An upstream's error message may stand in the status of a cooling account and as the reason of a failed request; keys and what was asked may not, anywhere.
            foreach (string never in new[] { clientKey, upstreamKey, prompt }) Assert.DoesNotContain(never, all, StringComparison.Ordinal);
            all = System.Text.RegularExpressions.Regex.Replace(all, "\"reason\":\"[^\"]*\"", "");
            int at = all.IndexOf("canary-", StringComparison.Ordinal);
            Assert.True(at < 0, $"{scenario}: {(at < 0 ? "" : all[Math.Max(0, at - 200)..Math.Min(all.Length, at + 100)])}");
        }
    }

    private static double Sum(Dictionary<string, double> series, string name) => series.Where(s => s.Key == name || s.Key.StartsWith(name + "{", StringComparison.Ordinal)).Sum(s => s.Value);

    /// <summary>A strict reading of the text format: every family has HELP and TYPE before its series, every line has the form, buckets add up.</summary>
    private static Dictionary<string, double> Parse(string text)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        Dictionary<string, double> series = [];
        Dictionary<string, string> types = [];
        Dictionary<string, double> lastBucket = [];
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("# HELP ", StringComparison.Ordinal)) continue;
            if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
            {
                string[] words = line.Split(' ');
                Assert.True(types.TryAdd(words[2], words[3]), $"{words[2]} is declared twice");
                Assert.Contains(words[3], new[] { "counter", "gauge", "histogram" });
                continue;
            }

            Match match = Line().Match(line);
            Assert.True(match.Success, line);
            string name = match.Groups["name"].Value;
            Assert.Contains(types.Keys, t => name == t || (types[t] == "histogram" && (name == t + "_bucket" || name == t + "_sum" || name == t + "_count")));
            double value = double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture);
            Assert.True(series.TryAdd(line[..line.LastIndexOf(' ')], value), $"{line} is there twice");
            if (!name.EndsWith("_bucket", StringComparison.Ordinal)) continue;
            string without = name + Regex.Replace(match.Groups["labels"].Value, ",?le=\"[^\"]*\"", "");
            Assert.True(value >= lastBucket.GetValueOrDefault(without), $"{line}: buckets must be cumulative");
            lastBucket[without] = value;
        }

        foreach ((string name, double last) in lastBucket)
        {
            string labels = name[(name.IndexOf("_bucket", StringComparison.Ordinal) + 7)..];
            Assert.Equal(last, series[name[..name.IndexOf("_bucket", StringComparison.Ordinal)] + "_count" + (labels is "{}" ? "" : labels)]);
        }

        return series;
    }

    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?<labels>\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*"(,|(?=\})))*\})? (?<value>-?[0-9.eE+-]+|\+Inf|NaN)$""")]
    private static partial Regex Line();

    [GeneratedRegex("gen_ai_(?:request|response)_model=\"([^\"]*)\"")]
    private static partial Regex ModelLabel();
}
