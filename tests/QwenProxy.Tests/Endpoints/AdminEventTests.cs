using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>What the admin API tells by itself, and what it finds and sums up in the ledger.</summary>
public sealed class AdminEventTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Events_TellWhatRunsWhatEndedAndHowTheAccountsAre()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions { Scenario = "stutter-s2" });
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using (HttpResponseMessage before = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true))) await RunningProxy.ReadAsync(before);
        await Until.TrueAsync(() => proxy.Runtime.Requests.Recent().Length == 1, TimeSpan.FromSeconds(20));
        using HttpResponseMessage events = await proxy.Client.GetAsync("/admin/events", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", events.Content.Headers.ContentType?.MediaType);
        using StreamReader reader = new(await events.Content.ReadAsStreamAsync());
        (string name, JsonElement status) = await NextAsync(reader);
        Assert.Equal("status ready", $"{name} {status.GetProperty("accounts")[0].GetProperty("state")}");
        JsonElement first = await NextAsync(reader, "requests");
        // What had ended before is in the list; from here on each is told once.
        Assert.Equal(0, first.GetProperty("ended").GetArrayLength());
        Assert.Equal(1, first.GetProperty("minute").GetProperty("requests").GetInt32());
        string id;
        using (HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true, question: "canary-prompt")))
        {
            id = Assert.Single(response.Headers.GetValues("x-request-id"));
            await RunningProxy.ReadAsync(response);
        }

        JsonElement told = await NextAsync(reader, "requests", e => e.GetProperty("ended").GetArrayLength() > 0);
        JsonElement ended = Assert.Single(told.GetProperty("ended").EnumerateArray());
        Assert.Equal($"{id} complete", $"{ended.GetProperty("requestId")} {ended.GetProperty("end")}");
        Assert.Equal("stutter", ended.GetProperty("repairs")[0].GetProperty("stage").GetString());
        Assert.Equal(2, told.GetProperty("minute").GetProperty("requests").GetInt32());
        Assert.True(told.GetProperty("minute").GetProperty("outputTokens").GetInt64() > 0);
        Assert.DoesNotContain("canary", told.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_EndWithTheProxy()
    {
        RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using HttpResponseMessage events = await proxy.Client.GetAsync("/admin/events", HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await events.Content.ReadAsStreamAsync());
        await NextAsync(reader);
        Task<string> rest = reader.ReadToEndAsync(TestContext.Current.CancellationToken);
        await proxy.Server.StopAsync(TimeSpan.FromSeconds(1));
        await rest;
        await proxy.DisposeAsync();
    }

    [Fact]
    public async Task Events_HaveABound()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        List<HttpResponseMessage> open = [];
        while (open.Count < 32) open.Add(await proxy.Client.GetAsync("/admin/events", HttpCompletionOption.ResponseHeadersRead));
        Assert.All(open, r => Assert.Equal(HttpStatusCode.OK, r.StatusCode));
        using (HttpResponseMessage more = await proxy.Client.GetAsync("/admin/events", HttpCompletionOption.ResponseHeadersRead)) Assert.Equal(HttpStatusCode.ServiceUnavailable, more.StatusCode);
        foreach (HttpResponseMessage one in open) one.Dispose();
        await Until.TrueAsync(async () =>
        {
            using HttpResponseMessage again = await proxy.Client.GetAsync("/admin/events", HttpCompletionOption.ResponseHeadersRead);
            return again.StatusCode == HttpStatusCode.OK;
        }, TimeSpan.FromSeconds(20));
    }

    [Theory]
    [InlineData("failed=true", "c")]
    [InlineData("repaired=true", "b")]
    [InlineData("resumed=true", "d")]
    [InlineData("slow=3", "d,c")]
    [InlineData("account=two", "b")]
    [InlineData("dialect=anthropic.messages", "a")]
    [InlineData("client=alice&repaired=true", "b")]
    [InlineData("until=2026-01-01T00:02:30Z", "b,a")]
    [InlineData("since=2026-01-01T00:02:30Z", "d,c")]
    [InlineData("id=b", "b")]
    [InlineData("limit=1", "d")]
    public async Task Requests_AreFoundByWhatTheyWere(string query, string found)
    {
        DateTimeOffset start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        LedgerEntry plain = new() { Time = start.AddMinutes(1), RequestId = "a", Dialect = "anthropic.messages", Client = "alice", Account = "one", End = "complete", Status = 200, Duration = TimeSpan.FromSeconds(9), FirstByte = TimeSpan.FromSeconds(1) };
        LedgerEntry[] all =
        [
            plain,
            plain with { Time = start.AddMinutes(2), RequestId = "b", Dialect = "openai.chat", Account = "two", Repaired = 2, Repairs = """[{"stage":"stutter","rule":"E2","action":"removed","count":2}]""" },
            plain with { Time = start.AddMinutes(3), RequestId = "c", Dialect = "openai.chat", Client = null, End = "server_error", Status = 500, FirstByte = null, Fix = "Wait.", Steps = """[{"step":"attempt","atMs":0}]""" },
            plain with { Time = start.AddMinutes(4), RequestId = "d", Dialect = "openai.chat", Client = null, Resumes = 1, FirstByte = TimeSpan.FromSeconds(4) },
        ];
        using (Microsoft.Data.Sqlite.SqliteConnection file = LedgerFile.OpenForWriting(_folder.Of(LedgerFile.Name))) LedgerFile.Write(file, all, TimeZoneInfo.Utc);
        await using RunningProxy proxy = await StartAsync();
        JsonElement[] rows = [.. (await GetAsync(proxy, $"/admin/requests?{query}")).GetProperty("requests").EnumerateArray()];
        Assert.Equal(found, string.Join(',', rows.Select(r => r.GetProperty("requestId").GetString())));
        foreach (JsonElement row in rows)
        {
            if (row.GetProperty("requestId").GetString() == "b") Assert.Equal("E2", row.GetProperty("repairs")[0].GetProperty("rule").GetString());
            if (row.GetProperty("requestId").GetString() == "c") Assert.Equal("attempt Wait.", $"{row.GetProperty("steps")[0].GetProperty("step")} {row.GetProperty("fix")}");
        }
    }

    [Theory]
    [InlineData("slow=soon", "slow must be a number of seconds")]
    [InlineData("repaired=perhaps", "repaired must be true or false")]
    [InlineData("until=later", "until must be a date")]
    [InlineData("colour=red", "There is no filter 'colour'")]
    public async Task Requests_AskedForInOtherWords_Are400(string query, string said)
    {
        await using RunningProxy proxy = await StartAsync();
        using HttpResponseMessage response = await proxy.Client.GetAsync($"/admin/requests?{query}");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(said, (await response.Content.ReadAsStringAsync()).Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LatencyAndCsv_AreTheSameFromTheLedgerAndFromMemory(bool kept)
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl, kept);
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true, model: "=m,\\\"x"));
            await RunningProxy.ReadAsync(response);
        }

        await Until.TrueAsync(async () => (await GetAsync(proxy, "/admin/usage")).GetProperty("total").GetProperty("requests").GetInt32() == 3, TimeSpan.FromSeconds(20));
        JsonElement latency = await GetAsync(proxy, "/admin/latency?since=24h&by=day&model=" + Uri.EscapeDataString("=m,\"x"));
        Assert.Equal(kept ? "ledger" : "recent", latency.GetProperty("source").GetString());
        JsonElement[] days = [.. latency.GetProperty("latency").EnumerateArray()];
        Assert.Equal(3, days.Sum(d => d.GetProperty("first").GetProperty("count").GetInt32()));
        Assert.All(days, d => Assert.InRange(d.GetProperty("first").GetProperty("p50").GetDouble(), 1, d.GetProperty("whole").GetProperty("p99").GetDouble() * 1.2));
        Assert.Empty((await GetAsync(proxy, "/admin/latency?model=another")).GetProperty("latency").EnumerateArray());
        using HttpResponseMessage file = await proxy.Client.GetAsync("/admin/usage?by=model&format=csv");
        Assert.Equal("text/csv", file.Content.Headers.ContentType?.MediaType);
        Assert.Equal("usage-by-model.csv", file.Content.Headers.ContentDisposition?.FileName?.Trim('"'));
        string[] lines = (await file.Content.ReadAsStringAsync()).Split("\r\n");
        Assert.StartsWith("model,requests,failed,repaired,resumed,retried,inputTokens,", lines[0], StringComparison.Ordinal);
        // Clients choose names of models, and spreadsheets run what begins with such a sign.
        Assert.StartsWith("\"'=m,\"\"x\",3,0,", lines[1], StringComparison.Ordinal);
    }

    private Task<RunningProxy> StartAsync(Uri? upstream = null, bool kept = true) =>
        RunningProxy.StartAsync(upstream ?? new Uri("http://127.0.0.1:9/v1"), s => kept ? s with { Storage = new StorageSnapshot { DataFolder = _folder.Path } } : s);

    private static async Task<JsonElement> GetAsync(RunningProxy proxy, string path)
    {
        using JsonDocument json = JsonDocument.Parse(await proxy.Client.GetStringAsync(path));
        return json.RootElement.Clone();
    }

    private static async Task<JsonElement> NextAsync(StreamReader events, string name, Func<JsonElement, bool>? fits = null)
    {
        while (true)
        {
            (string said, JsonElement data) = await NextAsync(events);
            if (said == name && fits?.Invoke(data) != false) return data;
        }
    }

    private static async Task<(string Name, JsonElement Data)> NextAsync(StreamReader events)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
        string name = "";
        while (await events.ReadLineAsync(limit.Token) is { } line)
        {
            if (line.StartsWith("event: ", StringComparison.Ordinal)) name = line["event: ".Length..];
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            using JsonDocument data = JsonDocument.Parse(line["data: ".Length..]);
            return (name, data.RootElement.Clone());
        }

        throw new EndOfStreamException("The events ended.");
    }
}
