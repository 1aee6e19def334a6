using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Console;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Testing;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

public sealed class LedgerTests : IDisposable
{
    private static readonly TimeSpan s_kept = TimeSpan.FromDays(400);

    private readonly ConfigFolder _folder = new();
    private readonly StringWriter _out = new(CultureInfo.InvariantCulture);
    private readonly StringWriter _error = new(CultureInfo.InvariantCulture);

    private string Data => Path.Combine(_folder.Work, "data");

    private string FilePath => Path.Combine(Data, LedgerFile.Name);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task MixedRun_SumsUpToWhatUpstreamCounted()
    {
        // The request's seed chooses what upstream does; upstream's own sums are what the ledger must come to.
        long input = 0;
        long output = 0;
        await using RawUpstream upstream = new(async exchange =>
        {
            using JsonDocument body = JsonDocument.Parse(exchange.Body);
            int seed = body.RootElement.GetProperty("seed").GetInt32();
            if (seed % 4 == 3)
            {
                await exchange.SendAsync(RawUpstream.Json(400, """{"error":{"message":"no","code":"invalid_request"}}"""));
                return;
            }

            Interlocked.Add(ref input, seed + 10);
            Interlocked.Add(ref output, seed + 1);
            await exchange.SendAsync(RawUpstream.Sse(
                "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\",\"index\":0}],\"id\":\"c\"}\n\n"
                + $"data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{seed + 10},\"completion_tokens\":{seed + 1}}},\"id\":\"c\"}}\n\ndata: [DONE]\n\n"));
        });
        const int requests = 80;
        await using (RunningProxy proxy = await StartAsync(upstream.BaseUrl))
        {
            await Parallel.ForAsync(0, requests, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, stop) =>
            {
                string body = $$"""{"model":"m{{i % 2}}","stream":{{(i % 5 == 0 ? "false" : "true")}},"seed":{{i}},"messages":[{"role":"user","content":"hi"}]}""";
                using HttpResponseMessage response = await proxy.PostAsync(body, cancellationToken: stop);
                await RunningProxy.ReadAsync(response);
            });
        }

        LedgerEntry[] entries = [.. LedgerQueries.Read(FilePath, null)];
        Assert.Equal(requests, entries.Length);
        Assert.Equal(requests, entries.Select(e => e.RequestId).Distinct().Count());
        Assert.Equal(input, entries.Sum(e => e.Tokens?.Input ?? 0));
        Assert.Equal(output, entries.Sum(e => e.Tokens?.Output ?? 0));
        Assert.Equal(requests / 4, entries.Count(e => e.Status == 400 && e.Tokens is null));
        Assert.All(entries.Where(e => e.End == "complete"), e => Assert.Equal((200, "up", 1), (e.Status, e.Account, e.Attempts)));
        if (!OperatingSystem.IsWindows()) Assert.All(Directory.GetFiles(Data), f => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(f)));
    }

    [Fact]
    public async Task Entry_ComesBackAsItWasWritten()
    {
        LedgerEntry full = Entry(new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero)) with
        {
            Client = "alice",
            ServedModel = "b",
            Account = "acc",
            Tokens = new TokenCounts(1, 2, 3, 4, 5),
            Attempts = 2,
            Resumes = 1,
            Status = 200,
            Source = "upstream",
            Code = "some_code",
            Tried = "plan 401 invalid_key",
            Cost = 0.000000123m,
            Fix = "Add an account.",
            Steps = """[{"step":"attempt","atMs":1}]""",
            Repairs = """[{"stage":"stutter"}]""",
            Repaired = 3,
            Duration = TimeSpan.FromMilliseconds(12.5),
            FirstByte = TimeSpan.FromMilliseconds(2.25),
        };
        LedgerEntry bare = Entry(full.Time.AddSeconds(1)) with { End = "client_gone", Status = 499 };
        await WriteAsync(full, bare);
        Assert.Equal([full, bare], LedgerQueries.Read(FilePath, null));
        Assert.Equal([bare], LedgerQueries.Read(FilePath, full.Time.AddMilliseconds(1)));
    }

    [Fact]
    public async Task FileThatWasNotClosed_IsReadAndWrittenOn()
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        // What a killed process leaves behind: the main file with its write-ahead log beside it, neither of them tidied up.
        string copy = Path.Combine(_folder.Work, "copy");
        Directory.CreateDirectory(copy);
        using (Microsoft.Data.Sqlite.SqliteConnection open = LedgerFile.OpenForWriting(FilePath))
        {
            LedgerFile.Write(open, [Entry(now)], TimeZoneInfo.Utc);
            foreach (string file in Directory.GetFiles(Data).Where(f => !f.EndsWith("-shm", StringComparison.Ordinal))) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        Assert.True(File.Exists(Path.Combine(copy, LedgerFile.Name + "-wal")));
        Directory.Delete(Data, recursive: true);
        Directory.Move(copy, Data);
        await WriteAsync(Entry(now.AddSeconds(1)));
        Assert.Equal(2, LedgerQueries.Read(FilePath, null).Count());
    }

    [Fact]
    public async Task RowsOlderThanKept_AreDroppedBehindTheNextWrite()
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        await WriteAsync(Entry(now - s_kept - TimeSpan.FromDays(1)), Entry(now));
        await WriteAsync(Entry(now));
        Assert.Equal(2, LedgerQueries.Read(FilePath, null).Count());
        Assert.Equal(2, Assert.Single(LedgerQueries.Sums(FilePath, null, [], TimeZoneInfo.Utc)).Requests);
    }

    [Fact]
    public async Task DiskThatRefuses_LosesEntriesAndIsToldOnce()
    {
        await File.WriteAllTextAsync(Data, "", TestContext.Current.CancellationToken);
        LogBook log = new();
        using ILoggerFactory loggers = LoggerFactory.Create(b => b.AddProvider(log));
        using ProxyMetrics metrics = new();
        LedgerWriter writer = new(Data, () => s_kept, TimeProvider.System, loggers.CreateLogger("t"), metrics);
        await using (writer)
        {
            for (int i = 0; i < 3; i++) writer.Add(Entry(TimeProvider.System.GetUtcNow()));
        }

        Assert.Equal(3, writer.Lost);
        Assert.Contains("qwen_proxy_ledger_lost_total 3\n", System.Text.Encoding.UTF8.GetString(metrics.WritePrometheus()), StringComparison.Ordinal);
        Assert.Single(log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task NoDataFolder_NoLedger()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync(new Uri("http://127.0.0.1:9/v1"));
        Assert.Null(proxy.Runtime.Ledger);
    }

    [Fact]
    public async Task Usage_PrintsATableWithATotal()
    {
        await WriteAsync(Sample());
        Assert.Equal(ExitCodes.Done, await UsageAsync("usage --by model,client"));
        string[] lines = _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["MODEL", "CLIENT", "REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "EST.", "USD"], Words(lines[0]));
        Assert.Equal(["qwen3.7-max", "-", "1", "0", "1000000", "0", "0", "0", "2.5000"], Words(lines[1]));
        Assert.Equal(["qwen3.7-max", "alice", "1", "1", "0", "0", "0", "0"], Words(lines[2]));
        Assert.Equal(["total", "2", "1", "1000000", "0", "0", "0", "2.5000"], Words(lines[3]));
    }

    [Fact]
    public async Task Usage_PrintsJsonSinceAMoment()
    {
        await WriteAsync(Sample());
        Assert.Equal(ExitCodes.Done, await UsageAsync("usage --json --since 12h --by day"));
        using JsonDocument json = JsonDocument.Parse(_out.ToString());
        JsonElement line = Assert.Single(json.RootElement.GetProperty("usage").EnumerateArray());
        Assert.Equal("2026-01-01", line.GetProperty("day").GetString());
        Assert.Equal(1, json.RootElement.GetProperty("total").GetProperty("requests").GetInt64());
        Assert.Equal("2025-12-31T12:00:00+00:00", json.RootElement.GetProperty("since").GetString());
    }

    [Fact]
    public async Task Usage_WithoutALedger_IsEmptyAndSaysWhy()
    {
        Assert.Equal(ExitCodes.Done, await UsageAsync("usage"));
        Assert.StartsWith("MODEL", _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("There is no ledger at", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Usage_OfABadMoment_Exits64()
    {
        Assert.Equal(ExitCodes.BadUsage, await UsageAsync("usage --since yesterday"));
        Assert.StartsWith("--since is \"yesterday\"; it must be a date", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Usage_OfADamagedLedger_Exits1()
    {
        Directory.CreateDirectory(Data);
        await File.WriteAllTextAsync(FilePath, new string('x', 5000), TestContext.Current.CancellationToken);
        Assert.Equal(ExitCodes.Failed, await UsageAsync("usage"));
        Assert.Contains("cannot be read", _error.ToString(), StringComparison.Ordinal);
    }

    private static LedgerEntry[] Sample()
    {
        DateTimeOffset now = new FakeClock().GetUtcNow();
        return
        [
            Entry(now.AddDays(-1)) with { AskedModel = "qwen3.7-max", ServedModel = "qwen3.7-max", Client = "alice", End = "cut" },
            Entry(now) with { AskedModel = "qwen3.7-max", ServedModel = "qwen3.7-max", Tokens = new TokenCounts(1_000_000, 0), Cost = 2.5m },
        ];
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static LedgerEntry Entry(DateTimeOffset time) => new()
    {
        // The file keeps milliseconds.
        Time = DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds()),
        RequestId = "r",
        Dialect = "openai.chat",
        AskedModel = "a",
        End = "complete",
    };

    private async Task WriteAsync(params LedgerEntry[] entries)
    {
        using ILoggerFactory loggers = LoggerFactory.Create(_ => { });
        using ProxyMetrics metrics = new();
        await using LedgerWriter writer = new(Data, () => s_kept, new FakeClock(TimeProvider.System.GetUtcNow()), loggers.CreateLogger("t"), metrics);
        foreach (LedgerEntry entry in entries) writer.Add(entry);
    }

    private Task<int> UsageAsync(string line)
    {
        _folder.Variables["QWEN_PROXY_DATA"] = Data;
        Terminal terminal = new(_out, _error);
        CommandActions actions = new() { Usage = new UsageCommand(terminal, flags => _folder.Sources with { Flags = flags }, new FakeClock()).RunAsync };
        return CommandLine.RunAsync(line.Split(' '), actions, terminal, TestContext.Current.CancellationToken);
    }

    private Task<RunningProxy> StartAsync(Uri upstream) => RunningProxy.StartAsync(upstream, s => s with { Storage = new StorageSnapshot { DataFolder = Data } });
}
