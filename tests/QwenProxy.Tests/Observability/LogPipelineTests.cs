using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

/// <summary>What the program writes when it runs: on stderr and in the log file, at Debug, with secrets and texts that must not be in it.</summary>
public sealed class LogPipelineTests : IDisposable
{
    private const string Key = "canary-upstream-key";
    private const string ClientKey = "canary-client-key";

    private const string Stutter =
        "data: {\"choices\":[{\"delta\":{\"content\":\"canary-answer one two three\"},\"index\":0}],\"id\":\"c1\"}\n\n"
        + "data: {\"choices\":[{\"delta\":{\"content\":\"canary-answer one two three four five\"},\"index\":0}],\"id\":\"c1\"}\n\n"
        + "data: {\"choices\":[{\"delta\":{\"content\":\" six\"},\"finish_reason\":\"stop\",\"index\":0}],\"id\":\"c1\"}\n\n"
        + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4},\"id\":\"c1\"}\n\ndata: [DONE]\n\n";

    private static readonly string[] RequestFields =
    [
        "address", "method", "path", "model", "served", "account", "client", "agent", "requestBytes", "responseBytes", "upstreamBytes", "stream", "status",
        "attempts", "resumes", "ttfbMs", "durationMs", "inputTokens", "outputTokens", "end", "requestId",
    ];

    private readonly TemporaryFolder _home = new();

    public void Dispose() => _home.Dispose();

    [Fact]
    public async Task Everything_IsLoggedAndNoSecretNorTextIs()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Stops the program by a signal.");
        await using RawUpstream upstream = new(exchange => exchange.SendAsync(
            exchange.BodyText.Contains("fail", StringComparison.Ordinal) ? RawUpstream.Json(500, """{"error":{"message":"canary-upstream-text"}}""") : RawUpstream.Sse(Stutter)));
        await File.WriteAllTextAsync(_home.Of("qwen-proxy.json"), """{ "port": 0, "storage": { "logFile": true }, "retry": { "maxAttempts": 1 } }""", TestContext.Current.CancellationToken);
        Dictionary<string, string> variables = new()
        {
            ["DEBUG"] = "true",
            ["QWEN_API_KEY"] = Key,
            ["QWEN_BASE_URL"] = upstream.BaseUrl.AbsoluteUri,
            ["QWEN_PROXY_KEYS"] = ClientKey,
            ["QWEN_PROXY_DATA"] = _home.Of("data"),
        };
        using ProxyProcess proxy = ProxyProcess.Start(_home.Path, variables, "serve");
        using HttpClient client = new() { BaseAddress = await proxy.AddressAsync() };
        Assert.Equal(HttpStatusCode.OK, await PostAsync(client, "one", ClientKey));
        Assert.Equal(HttpStatusCode.InternalServerError, await PostAsync(client, "fail", ClientKey));
        Assert.Equal(HttpStatusCode.Unauthorized, await PostAsync(client, "two", "canary-wrong-key"));
        proxy.Signal("TERM");
        Assert.Equal(0, await proxy.ExitCodeAsync());

        string file = await File.ReadAllTextAsync(_home.Of("data", "logs", "proxy.log"), TestContext.Current.CancellationToken);
        string[] stderr = [.. proxy.Lines];
        Assert.DoesNotContain("canary", file, StringComparison.Ordinal);
        Assert.DoesNotContain(stderr, l => l.Contains("canary", StringComparison.Ordinal));
        Assert.DoesNotContain(proxy.Output, l => l.Length > 0);

        JsonElement[] lines = [.. stderr.Where(l => l.StartsWith('{')).Select(l => JsonDocument.Parse(l).RootElement)];
        JsonElement[] requests = [.. lines.Where(l => l.GetProperty("event").GetInt32() == 1)];
        Assert.Equal(3, requests.Length);
        Assert.All(requests, r => Assert.Equal("Information", r.GetProperty("level").GetString()));
        Assert.All(requests, r => Assert.All(RequestFields, f => Assert.True(r.GetProperty("fields").TryGetProperty(f, out _), f)));
        JsonElement first = requests[0].GetProperty("fields");
        Assert.Equal("env", first.GetProperty("account").GetString());
        Assert.Equal("test-agent/1.0", first.GetProperty("agent").GetString());
        Assert.Equal(4, first.GetProperty("outputTokens").GetInt64());
        Assert.Equal(["complete", "server_error", "client_key_invalid"], requests.Select(r => r.GetProperty("fields").GetProperty("end").GetString()));
        Assert.Contains(lines, l => l.GetProperty("level").GetString() == "Debug" && l.GetProperty("event").GetInt32() == 5);

        JsonElement[] kept = [.. file.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];
        Assert.Equal(3, kept.Count(l => l.GetProperty("event").GetInt32() == 1));
        foreach (JsonElement[] written in new[] { lines, kept })
        {
            JsonElement start = Assert.Single(written, l => l.GetProperty("event").GetInt32() == 20).GetProperty("fields");
            string[] values = [.. start.GetProperty("configuration").EnumerateArray().Select(v => v.GetString()!)];
            Assert.Contains(values, v => v.StartsWith("accounts.env.apiKey = ***", StringComparison.Ordinal));
            Assert.Contains($"storage.dataFolder = {_home.Of("data")} (environment QWEN_PROXY_DATA)", values);
            Assert.DoesNotContain(values, v => v.EndsWith("(default)", StringComparison.Ordinal));
            Assert.Equal("env (ready)", Assert.Single(start.GetProperty("accounts").EnumerateArray()).GetString());
        }
    }

    private static async Task<HttpStatusCode> PostAsync(HttpClient client, string word, string key)
    {
        string body = $$"""{"model":"m","stream":true,"messages":[{"role":"system","content":"canary-system"},{"role":"user","content":"canary-prompt {{word}}"}]}""";
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions?token=canary-query") { Content = RunningProxy.Json(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        request.Headers.UserAgent.ParseAdd("test-agent/1.0");
        using HttpResponseMessage response = await client.SendAsync(request);
        await response.Content.ReadAsStringAsync();
        return response.StatusCode;
    }
}
