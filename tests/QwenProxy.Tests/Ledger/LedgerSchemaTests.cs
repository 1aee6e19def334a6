using Microsoft.Data.Sqlite;
using QwenProxy.Core.Ledger;
using QwenProxy.Ledger;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Ledger;

/// <summary>Files of every released schema are read and written on; one of the future is left alone.</summary>
public sealed class LedgerSchemaTests : IDisposable
{
    /// <summary>What 0.1 ran when it opened its ledger, word for word.</summary>
    private const string Release01 = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS requests (
            time INTEGER NOT NULL, id TEXT NOT NULL, dialect TEXT NOT NULL, client TEXT, asked TEXT NOT NULL, served TEXT, account TEXT,
            input INTEGER, output INTEGER, cached INTEGER, cache_written INTEGER, reasoning INTEGER,
            attempts INTEGER NOT NULL, resumes INTEGER NOT NULL, status INTEGER NOT NULL, ending TEXT NOT NULL, duration_ms REAL NOT NULL, ttfb_ms REAL);
        CREATE INDEX IF NOT EXISTS requests_time ON requests (time);
        INSERT INTO requests VALUES (1767225600000, 'req_a', 'openai.chat', 'alice', 'qwen3.7-max', 'qwen3.7-max', 'plan', 1000000, 100, 10, 0, 7, 1, 0, 200, 'complete', 12.5, 2.5);
        INSERT INTO requests VALUES (1767225601000, 'req_b', 'anthropic.messages', NULL, 'nobody-knows', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 404, 'model_not_found', 1.5, NULL);
        INSERT INTO requests VALUES (1767229200000, 'req_c', 'openai.chat', 'alice', 'own', 'own', 'local', 5, 6, 0, 0, 0, 2, 1, 200, 'complete', 99, 3);
        """;

    private static readonly DateTimeOffset s_start = DateTimeOffset.FromUnixTimeMilliseconds(1767225600000);

    private readonly TemporaryFolder _folder = new();

    private string FilePath => Path.Combine(_folder.Path, LedgerFile.Name);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FileOf01_IsBroughtForwardWithItsRowsSumsAndCosts()
    {
        Run(Release01);
        using (SqliteConnection connection = LedgerFile.OpenForWriting(FilePath))
        {
            LedgerFile.Write(connection, [Entry("req_d", 1767229300000)], TimeZoneInfo.Utc);
            Assert.Equal(LedgerSchema.Version, LedgerSchema.Number(connection, "PRAGMA user_version"));
            Assert.Equal(2, LedgerSchema.Number(connection, "PRAGMA auto_vacuum"));
            Assert.Equal(0, Differences(connection));
        }

        LedgerEntry[] rows = [.. LedgerQueries.Read(FilePath, null)];
        Assert.Equal(["req_a", "req_b", "req_c", "req_d"], rows.Select(r => r.RequestId));
        Assert.Equal(UsageTable.CostOf("qwen3.7-max", new TokenCounts(1_000_000, 100, 10, 0, 7)), rows[0].Cost);
        Assert.Null(rows[2].Cost);
        Assert.Equal((null, "model_not_found", 404), (rows[1].Tokens, rows[1].End, rows[1].Status));
        Assert.Equal(["- 2 1", "alice 2 0"], LedgerQueries.Sums(FilePath, null, ["client"], TimeZoneInfo.Utc).Select(s => $"{(s.Client.Length > 0 ? s.Client : "-")} {s.Requests} {s.Failed}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void FileOf01_ThatIsOnlyRead_AnswersToo()
    {
        Run(Release01);
        Assert.Equal(3, LedgerQueries.Find(FilePath, new LedgerFilter()).Length);
        Assert.Equal("req_b", Assert.Single(LedgerQueries.Find(FilePath, new LedgerFilter { Failed = true })).RequestId);
    }

    [Fact]
    public async Task ManyWhoOpenAnOldFileAtOnce_BringItForwardOnce()
    {
        Run(Release01);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Task.Run(() =>
        {
            using SqliteConnection connection = LedgerFile.OpenForWriting(FilePath);
            LedgerFile.Write(connection, [Entry($"req_{i}", 1767229300000 + i)], TimeZoneInfo.Utc);
        })));
        using SqliteConnection check = LedgerFile.Open(FilePath);
        Assert.Equal(7, LedgerSchema.Number(check, "SELECT COUNT(*) FROM requests"));
        Assert.Equal(0, Differences(check));
    }

    [Fact]
    public void NewerFile_IsLeftAsItIs()
    {
        Run($"CREATE TABLE requests (what TEXT); PRAGMA user_version = {LedgerSchema.Version + 1}");
        byte[] before = File.ReadAllBytes(FilePath);
        NewerLedgerException refused = Assert.Throws<NewerLedgerException>(() => LedgerFile.OpenForWriting(FilePath));
        Assert.Throws<NewerLedgerException>(() => LedgerQueries.Find(FilePath, new LedgerFilter()));
        Assert.Contains("newer version", refused.Message, StringComparison.Ordinal);
        Assert.Contains(FilePath, refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(FilePath));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(345)]
    [InlineData(-570)]
    public void Sums_AreThoseOfTheRowsForAnyMoment(int offsetMinutes)
    {
        Random random = new(offsetMinutes + 1000);
        TimeZoneInfo zone = TimeZoneInfo.CreateCustomTimeZone("z", TimeSpan.FromMinutes(offsetMinutes), "z", "z");
        List<LedgerEntry> all = [];
        using (SqliteConnection connection = LedgerFile.OpenForWriting(FilePath))
        {
            for (int batch = 0; batch < 20; batch++)
            {
                LedgerEntry[] entries = [.. Enumerable.Range(0, 25).Select(_ => RandomEntry(random))];
                LedgerFile.Write(connection, entries, zone);
                all.AddRange(entries);
            }

            LedgerFile.Write(connection, [], zone);
            Assert.Equal(0, Differences(connection));
        }

        string[][] ways = [[], ["model"], ["client", "day"], ["day"], ["hour"], ["day", "hour"], ["account", "model"], ["dialect", "day"]];
        foreach (DateTimeOffset? since in Enumerable.Range(0, 12).Select(i => i == 0 ? (DateTimeOffset?)null : s_start.AddMilliseconds(random.Next(4 * 24 * 3600 * 1000))))
        {
            foreach (string[] by in ways)
            {
                UsageTable kept = new([.. by], zone);
                UsageTable exact = new([.. by], zone);
                foreach (UsageSum sum in LedgerQueries.Sums(FilePath, since, [.. by], zone)) kept.Add(sum);
                foreach (LedgerEntry entry in all.Where(e => since is null || e.Time >= since)) exact.Add(UsageSum.Of(entry));
                Assert.Equal(Lines(exact), Lines(kept));
            }
        }
    }

    /// <summary>A file of the schema before this one has its sums by fewer keys; they are made anew from the rows.</summary>
    [Fact]
    public void FileOfSchema1_KeepsItsRowsAndGetsTheNewSums()
    {
        Run(Release01 + """
            ALTER TABLE requests ADD COLUMN source TEXT; ALTER TABLE requests ADD COLUMN code TEXT; ALTER TABLE requests ADD COLUMN tried TEXT;
            ALTER TABLE requests ADD COLUMN cost_nano INTEGER; ALTER TABLE requests ADD COLUMN offset_minutes INTEGER NOT NULL DEFAULT 0;
            CREATE INDEX requests_failed ON requests (time) WHERE ending <> 'complete';
            CREATE TABLE hours (hour INTEGER NOT NULL, day INTEGER NOT NULL, model TEXT NOT NULL, account TEXT NOT NULL, client TEXT NOT NULL, requests INTEGER NOT NULL,
                PRIMARY KEY (hour, day, model, account, client)) WITHOUT ROWID;
            CREATE TABLE days (day INTEGER NOT NULL, model TEXT NOT NULL, account TEXT NOT NULL, client TEXT NOT NULL, requests INTEGER NOT NULL,
                PRIMARY KEY (day, model, account, client)) WITHOUT ROWID;
            UPDATE requests SET cost_nano = 77 WHERE id = 'req_c';
            PRAGMA user_version = 1;
            """);
        using SqliteConnection connection = LedgerFile.Open(FilePath);
        Assert.Equal(0, Differences(connection));
        // Costs are those of the day of the request: they are not counted again.
        Assert.Equal([null, null, 0.000000077m], LedgerQueries.Read(FilePath, null).Select(r => r.Cost));
        Assert.Equal(["anthropic.messages 1", "openai.chat 2"], LedgerQueries.Sums(FilePath, null, ["dialect"], TimeZoneInfo.Utc).Select(s => $"{s.Dialect} {s.Requests}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Latencies_AreThoseOfTheRows()
    {
        Random random = new(5);
        LedgerEntry[] all = [.. Enumerable.Range(0, 2000).Select(_ => RandomEntry(random) with { ServedModel = "m", End = "complete" })];
        using (SqliteConnection connection = LedgerFile.OpenForWriting(FilePath)) LedgerFile.Write(connection, all, TimeZoneInfo.Utc);
        foreach (bool byDay in new[] { true, false })
        {
            DateTimeOffset since = s_start.AddDays(2).AddMinutes(90);
            DateTimeOffset from = byDay ? s_start.AddDays(2) : s_start.AddDays(2).AddHours(1);
            double[] exact = [.. all.Where(e => e.Time >= from && e.FirstByte is not null).Select(e => e.FirstByte!.Value.TotalMilliseconds).Order()];
            Dictionary<long, long> steps = LedgerQueries.Latencies(FilePath, since, byDay, "m", TimeZoneInfo.Utc).Where(l => l.Measure == "first").GroupBy(l => l.Step).ToDictionary(g => g.Key, g => g.Sum(l => l.Count));
            Assert.Equal(exact.Length, steps.Values.Sum());
            foreach (int percent in new[] { 50, 95, 99 })
            {
                double known = exact[(int)Math.Ceiling(exact.Length * percent / 100.0) - 1];
                Assert.InRange(LatencyScale.Percentile(steps, percent)!.Value, known * 0.9, known * 1.1);
            }

            Assert.Empty(LedgerQueries.Latencies(FilePath, since, byDay, "another", TimeZoneInfo.Utc));
        }
    }

    /// <summary>A page asks for these again and again: no way through all rows, and nothing sorted, for any of them.</summary>
    [Theory]
    [InlineData("requests_time", "time >= 5")]
    [InlineData("requests_time", "time >= 5 AND client = 'a'")]
    [InlineData("requests_failed", "time >= 5 AND ending <> 'complete'")]
    [InlineData("requests_repaired", "time >= 5 AND repaired > 0")]
    [InlineData("requests_resumed", "time >= 5 AND resumes > 0")]
    [InlineData("requests_id", "time >= 5 AND id = 'req_1'")]
    public void Lists_AreReadByAnIndexInItsOrder(string index, string condition)
    {
        using SqliteConnection connection = LedgerFile.OpenForWriting(FilePath);
        string[] plan = Plan(connection, $"SELECT id FROM requests WHERE {condition} ORDER BY time DESC LIMIT 50");
        Assert.Contains(plan, p => p.Contains($"USING INDEX {index} ", StringComparison.Ordinal));
        if (index != "requests_id") Assert.DoesNotContain(plan, p => p.Contains("TEMP B-TREE", StringComparison.Ordinal));
    }

    private static string[] Plan(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "EXPLAIN QUERY PLAN " + sql;
        using SqliteDataReader row = command.ExecuteReader();
        List<string> plan = [];
        while (row.Read()) plan.Add(row.GetString(3));
        return [.. plan];
    }

    /// <summary>In the night of the change one wall-clock hour comes twice, and a moment between the two splits them.</summary>
    [Fact]
    public void Sums_OfTheNightInWhichTheClockGoesBack_AreExact()
    {
        TimeZoneInfo berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");
        DateTimeOffset midnight = new(2026, 10, 24, 22, 0, 0, TimeSpan.Zero);
        LedgerEntry[] all = [.. Enumerable.Range(0, 60).Select(i => Entry($"r{i}", midnight.AddMinutes(i * 7).ToUnixTimeMilliseconds()))];
        using (SqliteConnection connection = LedgerFile.OpenForWriting(FilePath)) LedgerFile.Write(connection, all, berlin);
        for (int minutes = 0; minutes < 400; minutes += 13)
        {
            UsageTable kept = new(["hour"], berlin);
            UsageTable exact = new(["hour"], berlin);
            foreach (UsageSum sum in LedgerQueries.Sums(FilePath, midnight.AddMinutes(minutes), ["hour"], berlin)) kept.Add(sum);
            foreach (LedgerEntry entry in all.Where(e => e.Time >= midnight.AddMinutes(minutes))) exact.Add(UsageSum.Of(entry));
            Assert.Equal(Lines(exact), Lines(kept));
        }
    }

    [Fact]
    public void Pruning_GivesTheRoomBack()
    {
        using SqliteConnection connection = LedgerFile.OpenForWriting(FilePath);
        for (int day = 0; day < 10; day++) LedgerFile.Write(connection, [.. Enumerable.Range(0, 600).Select(i => Entry($"req_{day}_{i}", s_start.AddDays(day).AddSeconds(i).ToUnixTimeMilliseconds()))], TimeZoneInfo.Utc);
        LedgerSchema.Execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        long before = new FileInfo(FilePath).Length;
        Assert.Equal(9 * 600, LedgerPruning.Prune(connection, s_start.AddDays(9)));
        LedgerSchema.Execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        Assert.InRange(new FileInfo(FilePath).Length, 1, before / 3);
        Assert.Equal(600, LedgerSchema.Number(connection, "SELECT COUNT(*) FROM requests"));
        Assert.Equal(0, Differences(connection));
    }

    /// <summary>How many sums differ between the kept ones and those of the rows.</summary>
    internal static long Differences(SqliteConnection connection) => LedgerSchema.Number(connection, $"""
        SELECT (SELECT COUNT(*) FROM (SELECT * FROM hours EXCEPT {LedgerSchema.SelectHours} {LedgerSchema.GroupByHour}))
            + (SELECT COUNT(*) FROM ({LedgerSchema.SelectHours} {LedgerSchema.GroupByHour} EXCEPT SELECT * FROM hours))
            + (SELECT COUNT(*) FROM (SELECT * FROM days EXCEPT {LedgerSchema.SelectDays} {LedgerSchema.GroupByDay}))
            + (SELECT COUNT(*) FROM ({LedgerSchema.SelectDays} {LedgerSchema.GroupByDay} EXCEPT SELECT * FROM days))
            + (SELECT COUNT(*) FROM (SELECT * FROM hour_latencies EXCEPT {LedgerSchema.SelectHourLatencies} {LedgerSchema.GroupByHourLatency}))
            + (SELECT COUNT(*) FROM ({LedgerSchema.SelectHourLatencies} {LedgerSchema.GroupByHourLatency} EXCEPT SELECT * FROM hour_latencies))
            + (SELECT COUNT(*) FROM (SELECT * FROM day_latencies EXCEPT {LedgerSchema.SelectDayLatencies} {LedgerSchema.GroupByDayLatency}))
            + (SELECT COUNT(*) FROM ({LedgerSchema.SelectDayLatencies} {LedgerSchema.GroupByDayLatency} EXCEPT SELECT * FROM day_latencies))
        """);

    private static IEnumerable<string> Lines(UsageTable table) =>
        table.Lines.Append(table.Total).Select(l => $"{string.Join('|', l.Keys)} {l.Requests} {l.Failed} {l.Saved} {l.Tokens} {l.Cost:0.#########}");

    private static LedgerEntry Entry(string id, long time) =>
        new() { Time = DateTimeOffset.FromUnixTimeMilliseconds(time), RequestId = id, Dialect = "openai.chat", AskedModel = "m", End = "complete" };

    private static LedgerEntry RandomEntry(Random random)
    {
        string? Some(string name) => random.Next(3) == 0 ? null : name + random.Next(2);
        return Entry("r", s_start.ToUnixTimeMilliseconds() + random.Next(5 * 24 * 3600 * 1000)) with
        {
            ServedModel = Some("served"),
            Account = Some("account"),
            Client = Some("client"),
            Tokens = random.Next(3) == 0 ? null : new TokenCounts(random.Next(1000), random.Next(1000), random.Next(9), random.Next(9), random.Next(9)),
            Cost = random.Next(2) == 0 ? null : random.Next(1_000_000) / 1_000_000_000m,
            End = random.Next(4) == 0 ? "cut" : "complete",
            Dialect = random.Next(2) == 0 ? "openai.chat" : "anthropic.messages",
            Duration = TimeSpan.FromMilliseconds(random.Next(1, 5000)),
            FirstByte = random.Next(3) == 0 ? null : TimeSpan.FromMilliseconds(random.Next(1, 900)),
            Repaired = random.Next(3),
            Resumes = random.Next(2),
            Tried = random.Next(2) == 0 ? null : "a 500 server_error",
        };
    }

    private void Run(string sql)
    {
        using SqliteConnection connection = new($"Data Source={FilePath};Pooling=False");
        connection.Open();
        LedgerSchema.Execute(connection, sql);
    }
}
