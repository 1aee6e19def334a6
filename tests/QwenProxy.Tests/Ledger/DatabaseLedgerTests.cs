using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Observability;
using QwenProxy.Storage;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

/// <summary>The promises of a ledger on a database, and what only a fleet's has: parts by month, and a database that goes away.</summary>
public sealed class DatabaseLedgerTests(PostgresServer postgres) : LedgerStoreTests
{
    private readonly List<FleetDatabase> _databases = [];
    private string? _url;

    [Fact]
    public async Task BatchThatIsDeliveredTwice_IsThereOnce()
    {
        FleetDatabase database = Database(await UrlAsync());
        LedgerEntry[] first = [.. Enumerable.Range(0, 20).Select(i => Entry($"req_{i}", Start.AddSeconds(i)))];
        LedgerEntry[] again = [.. first.Take(10), .. Enumerable.Range(20, 10).Select(i => Entry($"req_{i}", Start.AddSeconds(i)))];
        await LedgerRows.WriteAsync(database, first, TimeZoneInfo.Utc, FleetDatabase.Bound, CancellationToken.None);
        await LedgerRows.WriteAsync(database, again, TimeZoneInfo.Utc, FleetDatabase.Bound, CancellationToken.None);
        Assert.Equal(30L, await PostgresServer.ExecuteAsync(_url!, "SELECT count(*) FROM qwen_proxy.requests"));
    }

    [Fact]
    public async Task Months_ArePartsOfTheirOwn_AndOnesMadeByHandStay()
    {
        await WriteAsync(Entry("req_1", new(2026, 1, 31, 23, 59, 59, TimeSpan.Zero)), Entry("req_2", new(2026, 2, 1, 0, 0, 0, TimeSpan.Zero)));
        Assert.Equal(1L, await PostgresServer.ExecuteAsync(_url!, "SELECT count(*) FROM qwen_proxy.requests_202601"));
        Assert.Equal(1L, await PostgresServer.ExecuteAsync(_url!, "SELECT count(*) FROM qwen_proxy.requests_202602"));
        await PostgresServer.ExecuteAsync(_url!, "CREATE TABLE qwen_proxy.archive PARTITION OF qwen_proxy.requests FOR VALUES FROM (0) TO (1000)");
        Assert.Equal(1, await LedgerRows.DropPartsAsync(Database(_url!), new(2026, 2, 15, 0, 0, 0, TimeSpan.Zero), CancellationToken.None));
        Assert.Equal("req_2", Assert.Single((await OpenAsync()).Read(null)).RequestId);
        Assert.Equal(0L, await PostgresServer.ExecuteAsync(_url!, "SELECT count(*) FROM qwen_proxy.archive"));
    }

    [Fact]
    public async Task ReplicasThatBeginAMonthTogether_MakeItOnce()
    {
        string url = await UrlAsync();
        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => LedgerRows.WriteAsync(Database(url), [Entry($"req_{i}", Start)], TimeZoneInfo.Utc, FleetDatabase.Bound, CancellationToken.None)));
        Assert.Equal(6, (await OpenAsync()).Read(null).Count());
    }

    [Fact]
    public async Task MoreRowsThanOneStepHolds_AreReadOnceEach()
    {
        // Many of one time, so that steps end within it.
        LedgerEntry[] all = [.. Enumerable.Range(0, 4500).Select(i => Entry($"req_{i:D5}", Start.AddMilliseconds(i / 3000)))];
        await WriteAsync(all);
        Assert.Equal(all.Select(e => e.RequestId), (await OpenAsync()).Read(null).Select(e => e.RequestId));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task DatabaseThatGoesAwayAndComesBack_HasEachRequestOnce(bool isSilent)
    {
        await using DatabaseLink link = new(postgres, await UrlAsync());
        LogBook log = new();
        using ILoggerFactory loggers = LoggerFactory.Create(b => b.AddProvider(log));
        using ProxyMetrics metrics = new();
        await using (LedgerWriter writer = new(Output(link.Url, loggers.CreateLogger("t")), () => TimeSpan.FromDays(36_500), new UtcClock(), loggers.CreateLogger("t"), metrics))
        {
            writer.Start();
            int next = 0;
            await AddAsync(300);
            if (isSilent) link.Silence();
            else link.Cut();
            await AddAsync(300);
            await Until.TrueAsync(() => writer.Undelivered > 0, Soon);
            await AddAsync(300);
            link.Mend();
            await AddAsync(100);
            await Until.TrueAsync(() => writer.Undelivered == 0, Soon);
            await AddAsync(100);
            Assert.Equal(0, writer.Lost);

            async Task AddAsync(int count)
            {
                for (int i = 0; i < count; i++)
                {
                    writer.Add(Entry($"req_{next:D5}", Start.AddSeconds(next)));
                    next++;
                    if (i % 50 == 0) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
                }
            }
        }

        // A busy machine may have left the last ones to the next run.
        await WriteAsync();
        Assert.Equal(Enumerable.Range(0, 1100).Select(i => $"req_{i:D5}"), (await OpenAsync()).Read(null).Select(e => e.RequestId));
        Assert.Contains(log.Lines, l => l.Contains("until the database", StringComparison.Ordinal));
        Assert.Contains(log.Lines, l => l.Contains("that had waited are in", StringComparison.Ordinal));
    }

    [Fact]
    public async Task WhatWasSpilledBeforeACrash_IsDeliveredByTheNextRun()
    {
        using (LedgerSpill left = new(Folder)) left.Add([Entry("req_1", Start), Entry("req_2", Start.AddSeconds(1))], TimeZoneInfo.Utc);
        await using ILedgerOutput output = await OutputAsync();
        await output.OpenAsync();
        await Until.TrueAsync(() => output.Undelivered == 0, Soon);
        Assert.Equal(["req_1", "req_2"], (await OpenAsync()).Read(null).Select(e => e.RequestId));
    }

    [Fact]
    public async Task SlowDatabase_GetsEveryRequest()
    {
        await using DatabaseLink link = new(postgres, await UrlAsync());
        using ProxyMetrics metrics = new();
        await using LedgerWriter writer = new(Output(link.Url, NullLogger.Instance), () => TimeSpan.FromDays(36_500), new UtcClock(), NullLogger.Instance, metrics);
        writer.Start();
        link.Delay = TimeSpan.FromSeconds(1);
        long began = TimeProvider.System.GetTimestamp();
        for (int i = 0; i < 500; i++) writer.Add(Entry($"req_{i}", Start.AddSeconds(i)));
        // A request only queues its entry.
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(0.5));
        await Until.TrueAsync(() => new DatabaseLedger(Database(_url!)).Read(null).Count() == 500, TimeSpan.FromSeconds(60));
        Assert.Equal(0, writer.Lost);
    }

    private protected override async Task<ILedgerOutput> OutputAsync() => Output(await UrlAsync(), NullLogger.Instance);

    private protected override async Task<ILedger> OpenAsync() => new DatabaseLedger(Database(await UrlAsync()));

    protected override async ValueTask EndAsync()
    {
        foreach (FleetDatabase database in _databases) await database.DisposeAsync();
    }

    private DatabaseLedgerOutput Output(string url, ILogger logger) => new(Database(url), new LedgerSpill(Folder), new UtcClock(), logger);

    private FleetDatabase Database(string url)
    {
        FleetDatabase database = new(PostgresServer.AddressOf(url), TimeProvider.System, NullLogger.Instance);
        lock (_databases) _databases.Add(database);
        return database;
    }

    private async Task<string> UrlAsync() => _url ??= await postgres.NewDatabaseAsync();
}
