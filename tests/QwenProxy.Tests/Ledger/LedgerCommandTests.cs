using System.Globalization;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Testing;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

/// <summary><c>ledger export</c>, <c>ledger backup</c> and <c>requests</c>, and what stands behind the last one over HTTP.</summary>
public sealed class LedgerCommandTests : IDisposable
{
    private readonly ConfigFolder _folder = new();
    private readonly StringWriter _out = new(CultureInfo.InvariantCulture);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);
    private int _port = 9;

    private string Data => Path.Combine(_folder.Work, "data");

    private string FilePath => Path.Combine(Data, LedgerFile.Name);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Export_AsCsv_QuotesWhatNeedsIt()
    {
        Write(Entry("req_1") with { AskedModel = "a,\"b\"", Tokens = new TokenCounts(3, 4), Cost = 0.000002m }, Entry("req_2"));
        Assert.Equal(ExitCodes.Done, await RunAsync("ledger", "export"));
        string[] lines = _out.ToString().Split("\r\n");
        Assert.Equal(4, lines.Length);
        Assert.StartsWith("time,requestId,dialect,status,end,source,code,tried,model,", lines[0], StringComparison.Ordinal);
        Assert.EndsWith(",estimatedUsd,repaired,fix", lines[0], StringComparison.Ordinal);
        Assert.Contains(",req_1,openai.chat,200,complete,,,,\"a,\"\"b\"\"\",", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(",3,0,0,4,0,0.000002,0,", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(",,,,,,0,", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Export_AsJsonLinesSinceAMoment_HasOneObjectALine()
    {
        DateTimeOffset now = new FakeClock().GetUtcNow();
        Write(Entry("req_old") with { Time = now.AddDays(-3) }, Entry("req_new") with { Time = now, Account = "通义" });
        Assert.Equal(ExitCodes.Done, await RunAsync("ledger", "export", "--format", "jsonl", "--since", "1d"));
        string line = Assert.Single(_out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("通义", line, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(line);
        Assert.Equal("req_new", json.RootElement.GetProperty("requestId").GetString());
    }

    [Fact]
    public async Task Backup_WhileAProxyWrites_IsOneWholeMoment()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, """{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"""));
        await using RunningProxy proxy = await StartAsync(upstream.BaseUrl);
        using CancellationTokenSource enough = new();
        Task traffic = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false));
            }
        });
        await Until.TrueAsync(() => File.Exists(FilePath) && LedgerQueries.Find(FilePath, new LedgerFilter()).Length > 5, TimeSpan.FromSeconds(30));
        string copy = Path.Combine(_folder.Work, "copy.db");
        Assert.Equal(ExitCodes.Done, await RunAsync("ledger", "backup", copy));
        await enough.CancelAsync();
        await traffic;
        using (SqliteConnection check = LedgerFile.Open(copy))
        {
            Assert.True(LedgerSchema.Number(check, "SELECT COUNT(*) FROM requests") > 5);
            Assert.Equal(0, LedgerSchemaTests.Differences(check));
            Assert.Equal(LedgerSchema.Version, LedgerSchema.Number(check, "PRAGMA user_version"));
        }

        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(copy));
        Assert.Equal(ExitCodes.Failed, await RunAsync("ledger", "backup", copy));
        Assert.Contains("exists already", _error.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, await RunAsync("ledger", "backup", copy, "--force"));
        Assert.Empty(Directory.GetFiles(_folder.Work, "*.tmp"));
    }

    [Theory]
    [InlineData("export")]
    [InlineData("backup", "x.db")]
    public async Task WithoutALedger_Exits2(params string[] words)
    {
        Assert.Equal(ExitCodes.NotFound, await RunAsync(["ledger", .. words]));
        Assert.Contains("There is no ledger at", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LedgerOfANewerVersion_IsRefusedInWords()
    {
        Write(Entry("req_1"));
        using (SqliteConnection connection = LedgerFile.Open(FilePath)) LedgerSchema.Execute(connection, "PRAGMA user_version = 99");
        foreach (string[] line in (string[][])[["ledger", "export"], ["usage"], ["requests"], ["ledger", "backup", Path.Combine(_folder.Work, "b")]])
            Assert.Equal(ExitCodes.Failed, await RunAsync(line));
        Assert.Equal(4, _error.ToString().Split("newer version of this program").Length - 1);
    }

    [Fact]
    public async Task Requests_AreFilteredAndShownWithTheirReasons()
    {
        await using RawUpstream upstream = new(async exchange => await exchange.SendAsync(exchange.Body.AsSpan().IndexOf("bad"u8) >= 0
            ? RawUpstream.Json(401, """{"error":{"message":"Incorrect API key provided.","code":"invalid_api_key"}}""")
            : RawUpstream.Json(200, """{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}""")));
        Write(Entry("req_earlier") with { AskedModel = "bad", End = "cut", Status = 200, Code = "upstream_protocol_error", Source = "upstream", Tried = "up 200 cut" });
        string failed;
        await using (RunningProxy proxy = await StartAsync(upstream.BaseUrl))
        {
            using (HttpResponseMessage good = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false, "good"))) Assert.True(good.IsSuccessStatusCode);
            using (HttpResponseMessage bad = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: false, "bad"))) failed = Assert.Single(bad.Headers.GetValues("x-request-id"));
            await Until.TrueAsync(() => proxy.Runtime.Requests.Recent().Length == 2, TimeSpan.FromSeconds(30));
            Assert.Equal(ExitCodes.Done, await RunAsync("requests", "--json", "--failed", "--model", "bad"));
            using JsonDocument list = JsonDocument.Parse(_out.ToString());
            JsonElement[] found = [.. list.RootElement.EnumerateArray()];
            Assert.Equal([failed, "req_earlier"], found.Select(f => f.GetProperty("requestId").GetString()));
            Assert.Contains("Incorrect API key", found[0].GetProperty("reason").GetString(), StringComparison.Ordinal);
            Assert.Contains("qwen-proxy doctor", found[0].GetProperty("fix").GetString(), StringComparison.Ordinal);
            Assert.Equal("invalid_api_key upstream", $"{found[0].GetProperty("code")} {found[0].GetProperty("source")}");
        }

        // After the end of the proxy the ledger still knows code, source and attempts.
        _out.GetStringBuilder().Clear();
        Assert.Equal(ExitCodes.Done, await RunAsync("requests", failed));
        Assert.Contains("invalid_api_key", _out.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.NotFound, await RunAsync("requests", "req_none"));
        _out.GetStringBuilder().Clear();
        Assert.Equal(ExitCodes.Done, await RunAsync("requests", "--limit", "1", "--since", "2w"));
        Assert.Equal(2, _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Count(l => !l.Contains(": ", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("failed=perhaps", "failed must be")]
    [InlineData("limit=0", "limit must be")]
    [InlineData("since=soon", "since must be")]
    [InlineData("colour=red", "There is no filter 'colour'")]
    public async Task AdminRequests_AskedInOtherWords_Is400(string query, string words)
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        using HttpResponseMessage response = await proxy.Client.GetAsync($"/admin/requests?{query}");
        Assert.Equal(400, (int)response.StatusCode);
        Assert.Contains(words, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static LedgerEntry Entry(string id) =>
        new() { Time = DateTimeOffset.FromUnixTimeMilliseconds(new FakeClock().GetUtcNow().ToUnixTimeMilliseconds()), RequestId = id, Dialect = "openai.chat", AskedModel = "m", Status = 200, End = "complete" };

    private void Write(params LedgerEntry[] entries)
    {
        using SqliteConnection connection = LedgerFile.OpenForWriting(FilePath);
        LedgerFile.Write(connection, entries, TimeZoneInfo.Utc);
    }

    private async Task<RunningProxy> StartAsync(Uri upstream)
    {
        RunningProxy proxy = await RunningProxy.StartAsync(upstream, s => s with { Storage = new StorageSnapshot { DataFolder = Data } });
        _port = proxy.Server.Address.Port;
        return proxy;
    }

    private Task<int> RunAsync(params string[] line)
    {
        _folder.Variables["QWEN_PROXY_DATA"] = Data;
        _folder.Variables["PORT"] = _port.ToString(CultureInfo.InvariantCulture);
        Terminal terminal = new(_out, _error);
        ConfigurationSources Sources(ConfigurationFlags flags) => _folder.Sources with { Flags = flags };
        LedgerCommand ledger = new(terminal, Sources, new FakeClock());
        CommandActions actions = new()
        {
            Usage = new UsageCommand(terminal, Sources, new FakeClock()).RunAsync,
            Requests = new RequestsCommand(terminal, Sources, new FakeClock()).RunAsync,
            LedgerExport = ledger.ExportAsync,
            LedgerBackup = ledger.BackupAsync,
        };
        return CommandLine.RunAsync(line, actions, terminal, TestContext.Current.CancellationToken);
    }
}
