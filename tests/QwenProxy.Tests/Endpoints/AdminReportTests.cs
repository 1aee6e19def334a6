using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Proxying;
using QwenProxy.Proxying.Settlement;
using QwenProxy.Simulator;
using QwenProxy.Testing;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Proxying;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>What the admin API tells of requests, usage and models.</summary>
public sealed class AdminReportTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task RecentRequests_SayWhatTheLogLineSays()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:error-500|stutter-s2|error-400-range" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        proxy.Client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "agent/1\u0007");
        foreach (int _ in Enumerable.Range(0, 2))
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
            await RunningProxy.ReadAsync(response);
        }

        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == 2, Bound);
        JsonElement root = await GetAsync(proxy, "/admin/requests");
        Assert.Equal(0, root.GetProperty("running").GetArrayLength());
        Assert.Equal(RequestBook.Kept, root.GetProperty("kept").GetInt32());
        JsonElement[] recent = [.. root.GetProperty("recent").EnumerateArray()];
        Assert.Equal(["400 context_too_long", "200 complete"], recent.Select(r => $"{r.GetProperty("status")} {r.GetProperty("end")}"));
        string[] lines = HangUpTests.RequestLines(proxy);
        foreach ((JsonElement one, string line) in recent.Zip(lines.Reverse())) Assert.Equal(line, LineOf(one));
        Assert.Equal(2, recent[1].GetProperty("attempts").GetInt32());
        Assert.True(recent[1].GetProperty("ttfbMs").GetDouble() > 0);
        JsonElement repair = recent[1].GetProperty("repairs").EnumerateArray().First(r => r.GetProperty("action").GetString() == "removed");
        Assert.Equal("stutter", repair.GetProperty("stage").GetString());
        Assert.True(repair.GetProperty("count").GetInt32() > 0);
        Assert.DoesNotContain(recent[1].GetProperty("repairs").EnumerateArray(), r => r.GetProperty("action").GetString() is "held" or "letgo" or "observed");
    }

    [Fact]
    public async Task RunningRequest_IsShownUntilItEnds()
    {
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RawUpstream upstream = new(async exchange =>
        {
            await exchange.SendAsync(RawUpstream.Sse("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"canary-answer\"}}]}\n\n"));
            await goOn.Task;
            await exchange.SendAsync("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            upstream.BaseUrl, s => s with { Clients = [new ClientSnapshot("alice", new Secret("canary-key"))], Models = s.Models with { Aliases = [new("alias", "real")] } });
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions?canary-query=1") { Content = RunningProxy.Json(Dialect.Body(Dialect.Chat, stream: true, "alias", "canary-prompt")) };
        request.Headers.Add("x-api-key", "canary-key");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await Until.TrueAsync(() => proxy.Runtime.Requests.Running() is [{ IsAnswering: true, ResponseBytes: > 0 }], Bound);
        JsonElement root = await GetAsync(proxy, "/admin/requests");
        JsonElement running = Assert.Single(root.GetProperty("running").EnumerateArray());
        Assert.Equal(Assert.Single(response.Headers.GetValues("x-request-id")), running.GetProperty("requestId").GetString());
        Assert.Equal(
            "/v1/chat/completions alias real up alice True 1 0 True",
            string.Join(' ', new[] { "path", "model", "served", "account", "client", "stream", "attempts", "resumes", "answering" }.Select(n => running.GetProperty(n).ToString())));
        Assert.DoesNotContain("canary", root.GetRawText(), StringComparison.Ordinal);
        goOn.SetResult();
        await RunningProxy.ReadAsync(response);
        await Until.TrueAsync(() => proxy.Runtime.Requests.Running().IsEmpty, Bound);
        root = await GetAsync(proxy, "/admin/requests");
        Assert.Equal("complete", Assert.Single(root.GetProperty("recent").EnumerateArray()).GetProperty("end").GetString());
        Assert.DoesNotContain("canary", root.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RecentRequests_AreKeptUpToABoundAndWithShortTexts()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), ErrorTests.OneAttempt);
        proxy.Client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", new string('a', 5000));
        const int more = 30;
        for (int i = 0; i < RequestBook.Kept + more; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync("not json", $"/v1/{i}/{new string('p', 5000)}");
        }

        await Until.TrueAsync(() => HangUpTests.RequestLines(proxy).Length == RequestBook.Kept + more, Bound);
        JsonElement[] recent = [.. (await GetAsync(proxy, "/admin/requests")).GetProperty("recent").EnumerateArray()];
        Assert.Equal(
            Enumerable.Range(more, RequestBook.Kept).Reverse().Select(i => i.ToString(CultureInfo.InvariantCulture)),
            recent.Select(r => r.GetProperty("path").GetString()!.Split('/')[2]));
        Assert.All(recent, r => Assert.InRange(r.GetProperty("path").GetString()!.Length, 1, 120));
        Assert.All(recent, r => Assert.InRange(r.GetProperty("agent").GetString()!.Length, 1, 120));
    }

    [Fact]
    public void RunningRequests_AreListedUpToABoundTheOldestFirst()
    {
        FakeClock clock = new();
        RequestBook book = new();
        using ProxyMetrics metrics = new();
        Instruments instruments = new(clock, NullLogger.Instance, metrics, new IdSource(new Random(1)));
        List<Exchange> exchanges = [];
        for (int i = 0; i < RequestBook.Kept + 5; i++)
        {
            exchanges.Add(new Exchange(new DefaultHttpContext(), new ProxySnapshot(), instruments, $"req_{i}", CancellationToken.None));
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        // The order they came into the book is not the order they began in.
        foreach (Exchange exchange in exchanges.AsEnumerable().Reverse()) book.Begin(exchange);
        Assert.Equal(exchanges.Take(RequestBook.Kept).Select(e => e.RequestId), book.Running().Select(r => r.RequestId));
        Assert.Equal(TimeSpan.FromSeconds(RequestBook.Kept + 5), book.Running()[0].Duration);
        foreach (Exchange exchange in exchanges) exchange.Dispose();
    }

    [Fact]
    public async Task Usage_WithoutALedger_SumsUpTheRecentRequests()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "sequence:healthy|error-400-range" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
        Assert.Equal(0, (await GetAsync(proxy, "/admin/usage")).GetProperty("total").GetProperty("requests").GetInt32());
        foreach (int _ in Enumerable.Range(0, 2))
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true));
            await RunningProxy.ReadAsync(response);
        }

        await Until.TrueAsync(() => proxy.Runtime.Requests.Recent().Length == 2, Bound);
        JsonElement usage = await GetAsync(proxy, "/admin/usage?since=1h&by=model,account");
        Assert.Equal("recent", usage.GetProperty("source").GetString());
        JsonElement line = Assert.Single(usage.GetProperty("usage").EnumerateArray());
        Assert.Equal("m up 2 1", $"{line.GetProperty("model")} {line.GetProperty("account")} {line.GetProperty("requests")} {line.GetProperty("failed")}");
        Assert.Equal(proxy.Runtime.Requests.Recent().Sum(r => r.Entry.Tokens?.Input ?? 0), usage.GetProperty("total").GetProperty("inputTokens").GetInt64());
        Assert.True(usage.GetProperty("total").GetProperty("outputTokens").GetInt64() > 0);
    }

    [Fact]
    public async Task Usage_WithALedger_SumsUpWhatEarlierRunsWrote()
    {
        using ConfigFolder folder = new();
        string data = Path.Combine(folder.Work, "data");
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), s => s with { Storage = new StorageSnapshot { DataFolder = data } });
        Assert.Equal(0, (await GetAsync(proxy, "/admin/usage")).GetProperty("total").GetProperty("requests").GetInt32());
        using (Microsoft.Data.Sqlite.SqliteConnection file = LedgerFile.OpenForWriting(Path.Combine(data, LedgerFile.Name)))
        {
            LedgerFile.Write(file, [Entry(now.AddDays(-3), 1000), Entry(now.AddMinutes(-1), 20), Entry(now.AddMinutes(-1), 3)], TimeZoneInfo.Local);
        }

        JsonElement day = await GetAsync(proxy, "/admin/usage");
        Assert.Equal("ledger", day.GetProperty("source").GetString());
        Assert.Equal(23, day.GetProperty("total").GetProperty("inputTokens").GetInt64());
        Assert.Equal(now.AddMinutes(-1).ToLocalTime().ToString("yyyy-MM-dd HH:00", CultureInfo.InvariantCulture), Assert.Single(day.GetProperty("usage").EnumerateArray()).GetProperty("hour").GetString());
        JsonElement week = await GetAsync(proxy, "/admin/usage?since=7d&by=day");
        Assert.Equal([1000, 23], week.GetProperty("usage").EnumerateArray().Select(l => l.GetProperty("inputTokens").GetInt64()));
    }

    [Fact]
    public async Task Usage_OfADamagedLedger_Is500InWords()
    {
        using ConfigFolder folder = new();
        string data = Path.Combine(folder.Work, "data");
        Directory.CreateDirectory(data);
        File.WriteAllText(Path.Combine(data, LedgerFile.Name), new string('x', 5000));
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"), s => s with { Storage = new StorageSnapshot { DataFolder = data } });
        using HttpResponseMessage damaged = await proxy.Client.GetAsync("/admin/usage");
        Assert.Equal(HttpStatusCode.InternalServerError, damaged.StatusCode);
        Assert.Contains("The ledger cannot be read", await damaged.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("since=yesterday", "since must be a date")]
    [InlineData("by=colour", "by must be some of model, account, client, dialect, day, hour")]
    [InlineData("by=", "by must be some of")]
    public async Task Usage_AskedForInOtherWords_Is400(string query, string message)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using HttpResponseMessage response = await proxy.Client.GetAsync($"/admin/usage?{query}");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(message, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Models_SayWhereEachGoes()
    {
        AccountSnapshot first = RunningProxy.Account("first", new Uri("http://127.0.0.1:9/v1"), 1) with { Models = ["qwen3.7-max"] };
        AccountSnapshot second = RunningProxy.Account("second", new Uri("http://127.0.0.1:9/v1"), 2) with { Models = ["qwen3.7-max"] };
        await using RunningProxy proxy = await RunningProxy.StartAsync(
            new ProxySnapshot { Accounts = [first, second] },
            s => s with { Clients = [new ClientSnapshot("alice", new Secret("k"))], Models = s.Models with { Aliases = [new("big", "qwen3.7-max")] } });
        JsonElement[] models = [.. (await GetAsync(proxy, "/admin/models")).GetProperty("models").EnumerateArray()];
        Assert.Equal(
            ["qwen3.7-max: first, second", "big: first/qwen3.7-max, second/qwen3.7-max"],
            models.Select(m => $"{m.GetProperty("id")}: {string.Join(", ", m.GetProperty("routes").EnumerateArray())}"));
        Assert.True(models[0].GetProperty("contextLength").GetInt32() > 0);
    }

    private static LedgerEntry Entry(DateTimeOffset time, long input) =>
        new() { Time = time, RequestId = "r", Dialect = "openai.chat", AskedModel = "m", Status = 200, End = "complete", Tokens = new TokenCounts(input, 1) };

    private static async Task<JsonElement> GetAsync(RunningProxy proxy, string path)
    {
        using JsonDocument json = JsonDocument.Parse(await proxy.Client.GetStringAsync(path));
        return json.RootElement.Clone();
    }

    /// <summary>The log line a request of the list must have had.</summary>
    private static string LineOf(JsonElement one)
    {
        string[] named = ["model", "served", "account", "client", "address", "agent", "stream", "native", "attempts", "resumes", "requestBytes", "responseBytes", "upstreamBytes", "ttfbMs", "durationMs", "inputTokens", "outputTokens"];
        string Value(string name) => one.GetProperty(name) is { ValueKind: not JsonValueKind.Null } value ? value.ToString() : "";
        return $"{Value("method")} {Value("path")} {Value("status")} {Value("end")} {string.Join(' ', named.Select(n => $"{n}={Value(n)}"))} request={Value("requestId")}";
    }
}
