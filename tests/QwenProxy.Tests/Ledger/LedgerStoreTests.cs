using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

/// <summary>What every ledger promises, whether it is a file or a database.</summary>
public abstract class LedgerStoreTests : IAsyncDisposable
{
    protected static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    private protected static readonly DateTimeOffset Start = new(2026, 11, 2, 9, 30, 0, TimeSpan.Zero);

    private readonly ProxyMetrics _metrics = new();

    protected string Folder => TestFolder.Path;

    private protected TemporaryFolder TestFolder { get; } = new();

    [Fact]
    public async Task EveryMemberOfAnEntry_ComesBackAsItWas()
    {
        LedgerEntry full = Entry("req_full", Start) with
        {
            Client = "alice",
            ServedModel = "qwen3-max",
            Account = "plan",
            Tokens = new TokenCounts(10, 20, 3, 4, 5),
            Attempts = 2,
            Resumes = 1,
            Source = "upstream",
            Code = "rate_limited",
            Tried = "plan 429 rate_limited",
            Fix = "wait",
            Steps = "[{\"at\":1}]",
            Repairs = "[]",
            Repaired = 7,
            Cost = 0.000000077m,
            FirstByte = TimeSpan.FromMilliseconds(12.5),
        };
        LedgerEntry bare = Entry("req_bare", Start.AddSeconds(1)) with { AskedModel = "" };
        await WriteAsync(full, bare);
        ILedger ledger = await OpenAsync();
        Assert.Equal([full, bare], ledger.Read(null));
        Assert.Equal([bare], ledger.Read(Start.AddMilliseconds(1)));
        Assert.Equal([bare, full], ledger.Find(new LedgerFilter()));
        Assert.True(ledger.Exists);
    }

    [Fact]
    public async Task ModelNamesThatNoTextShouldHold_CostNoEntry()
    {
        await WriteAsync(Entry("req_a", Start) with { AskedModel = "a\0b" }, Entry("req_b", Start) with { AskedModel = "half \ud800 pair" }, Entry("req_c", Start) with { AskedModel = "Qwen 通义 😀" });
        LedgerEntry[] entries = [.. (await OpenAsync()).Read(null)];
        Assert.Equal(["req_a", "req_b", "req_c"], entries.Select(e => e.RequestId).Order(StringComparer.Ordinal));
        Assert.Equal("Qwen 通义 😀", entries.Single(e => e.RequestId == "req_c").AskedModel);
    }

    [Fact]
    public async Task EachFilter_FindsWhatFitsIt()
    {
        LedgerEntry[] all =
        [
            Entry("req_1", Start) with { Client = "alice", AskedModel = "a", ServedModel = "b", Account = "x" },
            Entry("req_2", Start.AddMinutes(1)) with { Client = "bob", End = "failed", Dialect = "anthropic.messages" },
            Entry("req_3", Start.AddMinutes(2)) with { Repaired = 2, FirstByte = TimeSpan.FromSeconds(3) },
            Entry("req_4", Start.AddMinutes(3)) with { Resumes = 1, Tried = "x 502" },
            Entry("req_5", Start.AddDays(40)),
        ];
        await WriteAsync(all);
        ILedger ledger = await OpenAsync();
        foreach (LedgerFilter filter in (LedgerFilter[])
        [
            new(), new() { Since = Start.AddMinutes(1) }, new() { Until = Start.AddMinutes(2) }, new() { Failed = true }, new() { Repaired = true }, new() { Resumed = true },
            new() { Slow = TimeSpan.FromSeconds(2) }, new() { Model = "a" }, new() { Model = "b" }, new() { Account = "x" }, new() { Client = "bob" },
            new() { Dialect = "anthropic.messages" }, new() { RequestId = "req_5" }, new() { RequestId = "req_5", Client = "bob" },
        ])
        {
            Assert.Equal(all.Where(filter.Fits).Reverse().Select(e => e.RequestId), ledger.Find(filter).Select(e => e.RequestId));
        }

        Assert.Equal(["req_5", "req_4"], ledger.Find(new LedgerFilter { Limit = 2 }).Select(e => e.RequestId));
    }

    [Theory]
    [InlineData("")]
    [InlineData("model")]
    [InlineData("account,client")]
    [InlineData("day")]
    [InlineData("hour,dialect")]
    public async Task Sums_AreThoseOfTheRows(string by)
    {
        Random random = new(3);
        LedgerEntry[] all = [.. Enumerable.Range(0, 500).Select(i => Random(random, i))];
        await WriteAsync(all);
        ILedger ledger = await OpenAsync();
        foreach (DateTimeOffset? since in new DateTimeOffset?[] { null, Start.AddHours(5), Start.AddMinutes(77) })
        {
            UsageTable kept = new(UsageTable.SplitKeys(by), TimeZoneInfo.Utc);
            foreach (UsageSum sum in ledger.Sums(since, UsageTable.SplitKeys(by), TimeZoneInfo.Utc)) kept.Add(sum);
            UsageTable counted = new(UsageTable.SplitKeys(by), TimeZoneInfo.Utc);
            foreach (LedgerEntry entry in all.Where(e => since is null || e.Time >= since)) counted.Add(UsageSum.Of(entry));
            Assert.Equal(Lines(counted), Lines(kept));
        }
    }

    [Fact]
    public async Task Latencies_AreThoseOfTheRows()
    {
        Random random = new(4);
        LedgerEntry[] all = [.. Enumerable.Range(0, 300).Select(i => Random(random, i))];
        await WriteAsync(all);
        ILedger ledger = await OpenAsync();
        foreach (bool byDay in new[] { false, true })
        {
            LatencyCount[] counts = [.. ledger.Latencies(Start, byDay, null, TimeZoneInfo.Utc)];
            Dictionary<long, long> whole = counts.Where(c => c.Measure == "whole").GroupBy(c => c.Step).ToDictionary(g => g.Key, g => g.Sum(c => c.Count));
            Dictionary<long, long> expected = all.Where(e => e.End == "complete").GroupBy(e => LatencyScale.StepOf(e.Duration.TotalMilliseconds)).ToDictionary(g => g.Key, g => (long)g.Count());
            Assert.Equal(expected.OrderBy(e => e.Key), whole.OrderBy(e => e.Key));
            Assert.Contains(counts, c => c.Measure == "first");
            Assert.Contains(counts, c => c.Measure == "speed");
            Assert.Empty(ledger.Latencies(Start, byDay, "another", TimeZoneInfo.Utc));
        }
    }

    [Fact]
    public async Task Clients_AreTakenAndSeen()
    {
        await WriteAsync(
            Entry("req_1", Start.AddDays(-1)) with { Client = "alice", Tokens = new TokenCounts(100, 1), Cost = 1m },
            Entry("req_2", Start) with { Client = "alice", Tokens = new TokenCounts(10, 5), Cost = 0.5m },
            Entry("req_3", Start.AddMinutes(5)) with { Client = "bob" },
            Entry("req_4", Start));
        ILedger ledger = await OpenAsync();
        Assert.Equal(new ClientTake(15, 0.5m), ledger.Taken(Start.UtcDateTime.Date)["alice"]);
        Assert.Equal(new ClientTake(116, 1.5m), ledger.Taken(Start.UtcDateTime.Date.AddDays(-1))["alice"]);
        Assert.Equal(["alice", "bob"], ledger.LastSeen().Keys.Order(StringComparer.Ordinal));
        Assert.Equal(Start.AddMinutes(5), ledger.LastSeen()["bob"]);
    }

    [Fact]
    public async Task Pruning_TakesWhatIsOlder()
    {
        LedgerEntry[] all = [.. Enumerable.Range(0, 10).Select(i => Entry($"req_{i}", Start.AddDays(-40 * i)))];
        await WriteAsync(all);
        // What has begun is ended when the output is.
        await using (ILedgerOutput output = await OutputAsync()) await output.PruneAsync(Start.AddDays(-200));
        LedgerEntry[] left = [.. (await OpenAsync()).Read(null)];
        Assert.Equal(all.Where(e => e.Time >= Start.AddDays(-200)).Select(e => e.RequestId).Order(StringComparer.Ordinal), left.Where(e => e.Time >= Start.AddDays(-200)).Select(e => e.RequestId).Order(StringComparer.Ordinal));
        // A database drops whole months: what is over a month too old is gone in either.
        Assert.DoesNotContain(left, e => e.Time < Start.AddDays(-232));
    }

    [Fact]
    public async Task Writer_LosesNothingOfWhatItWasGiven()
    {
        using ILoggerFactory loggers = LoggerFactory.Create(_ => { });
        await using (LedgerWriter writer = new(await OutputAsync(), () => TimeSpan.FromDays(36_500), TimeProvider.System, loggers.CreateLogger("t"), _metrics))
        {
            writer.Start();
            for (int i = 0; i < 3000; i++) writer.Add(Entry($"req_{i}", Start.AddSeconds(i)));
        }

        await WriteAsync();
        Assert.Equal(3000, (await OpenAsync()).Read(null).Select(e => e.RequestId).Distinct().Count());
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _metrics.Dispose();
        TestFolder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<ILedgerOutput> OutputAsync();

    private protected abstract Task<ILedger> OpenAsync();

    protected virtual ValueTask EndAsync() => default;

    /// <summary>Also delivers what an earlier output left behind.</summary>
    private protected async Task WriteAsync(params LedgerEntry[] entries)
    {
        await using ILedgerOutput output = await OutputAsync();
        await output.OpenAsync();
        await output.WriteAsync(entries);
        await Until.TrueAsync(() => output.Undelivered == 0, Soon);
    }

    private protected static LedgerEntry Entry(string id, DateTimeOffset time) =>
        new() { Time = time, RequestId = id, Dialect = "openai.chat", AskedModel = "m", Status = 200, End = "complete", Attempts = 1, Duration = TimeSpan.FromMilliseconds(1500) };

    private static LedgerEntry Random(Random random, int number) => Entry($"req_{number}", Start.AddSeconds(random.Next(0, 200_000))) with
    {
        AskedModel = $"m{random.Next(3)}",
        ServedModel = random.Next(4) == 0 ? null : $"s{random.Next(3)}",
        Account = random.Next(5) == 0 ? null : $"a{random.Next(2)}",
        Client = random.Next(3) == 0 ? null : $"c{random.Next(2)}",
        Dialect = random.Next(2) == 0 ? "openai.chat" : "anthropic.messages",
        End = random.Next(6) == 0 ? "failed" : "complete",
        Repaired = random.Next(3),
        Resumes = random.Next(2),
        Tried = random.Next(2) == 0 ? null : "a0 502",
        Tokens = random.Next(4) == 0 ? null : new TokenCounts(random.Next(1000), random.Next(1000), random.Next(10), random.Next(10), random.Next(10)),
        Cost = random.Next(3) == 0 ? null : random.Next(1000) / 1_000_000m,
        FirstByte = random.Next(5) == 0 ? null : TimeSpan.FromMilliseconds(random.Next(1, 900)),
        Duration = TimeSpan.FromMilliseconds(random.Next(900, 9000)),
    };

    private static IEnumerable<string> Lines(UsageTable table) => table.Lines.Append(table.Total).Select(l => string.Create(
        CultureInfo.InvariantCulture, $"{string.Join('/', l.Keys)} {l.Requests} {l.Failed} {l.Tokens} {l.Cost:0.000000000}"));
}

public sealed class FileLedgerTests : LedgerStoreTests
{
    private string FilePath => Path.Combine(Folder, LedgerFile.Name);

    private protected override Task<ILedgerOutput> OutputAsync() => Task.FromResult<ILedgerOutput>(new FileLedgerOutput(FilePath, new UtcClock()));

    private protected override Task<ILedger> OpenAsync() => Task.FromResult<ILedger>(new FileLedger(FilePath));
}

/// <summary>The real clock in a place whose wall shows UTC.</summary>
internal sealed class UtcClock : TimeProvider
{
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;
}
