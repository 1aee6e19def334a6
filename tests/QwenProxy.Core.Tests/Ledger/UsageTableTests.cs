using QwenProxy.Core.Ledger;

namespace QwenProxy.Core.Tests.Ledger;

public sealed class UsageTableTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeZoneInfo East = TimeZoneInfo.CreateCustomTimeZone("east", TimeSpan.FromHours(8), "east", "east");

    [Fact]
    public void Entries_AreSummedByTheirKeys()
    {
        UsageTable table = new(["model", "client"], TimeZoneInfo.Utc);
        table.Add(UsageSum.Of(Entry("qwen3.7-max", "alice", new TokenCounts(10, 2))));
        table.Add(UsageSum.Of(Entry("qwen3.7-max", "alice", new TokenCounts(5, 1), "cut")));
        table.Add(UsageSum.Of(Entry("qwen3.7-max", null, null)));
        table.Add(UsageSum.Of(Entry("other", "alice", new TokenCounts(1, 1))));
        Assert.Equal(["other alice 1 0 1", "qwen3.7-max - 1 0 0", "qwen3.7-max alice 2 1 15"], table.Lines.Select(l => $"{l.Keys[0]} {l.Keys[1]} {l.Requests} {l.Failed} {l.Tokens.Input}"));
        Assert.Equal(new TokenCounts(16, 4), table.Total.Tokens);
        Assert.Equal(4, table.Total.Requests);
    }

    [Fact]
    public void Day_IsThatOfTheZone()
    {
        UsageTable table = new(["day"], East);
        table.Add(UsageSum.Of(Entry("m", null, null) with { Time = new DateTimeOffset(2026, 3, 10, 15, 59, 0, TimeSpan.Zero) }));
        table.Add(UsageSum.Of(Entry("m", null, null) with { Time = new DateTimeOffset(2026, 3, 10, 16, 0, 0, TimeSpan.Zero) }));
        Assert.Equal(["2026-03-10", "2026-03-11"], table.Lines.Select(l => l.Keys[0]));
    }

    [Fact]
    public void Hour_IsThatOfTheZone()
    {
        UsageTable table = new(["hour"], East);
        table.Add(UsageSum.Of(Entry("m", null, null) with { Time = new DateTimeOffset(2026, 3, 10, 15, 59, 59, TimeSpan.Zero) }));
        table.Add(UsageSum.Of(Entry("m", null, null) with { Time = new DateTimeOffset(2026, 3, 10, 16, 0, 0, TimeSpan.Zero) }));
        table.Add(UsageSum.Of(Entry("m", null, null) with { Time = new DateTimeOffset(2026, 3, 10, 16, 59, 0, TimeSpan.Zero) }));
        Assert.Equal(["2026-03-10 23:00 1", "2026-03-11 00:00 2"], table.Lines.Select(l => $"{l.Keys[0]} {l.Requests}"));
    }

    [Fact]
    public void Cost_FollowsTheTierAndTheCache()
    {
        // 2.50 and 7.50 USD per million; cached input at a fifth, or at a tenth when the explicit cache was written to, which costs 125 %.
        Assert.Equal(10m, UsageTable.CostOf("qwen3.7-max", new TokenCounts(1_000_000, 1_000_000)));
        Assert.Equal(0.5m, UsageTable.CostOf("qwen3.7-max", new TokenCounts(1_000_000, 0, Cached: 1_000_000)));
        Assert.Equal(1.6875m, UsageTable.CostOf("qwen3.7-max", new TokenCounts(1_000_000, 0, Cached: 500_000, CacheWritten: 500_000)));
        Assert.Equal(0.4m * 0.1m, UsageTable.CostOf("qwen3.7-plus", new TokenCounts(100_000, 0)));
        Assert.Equal(1.2m, UsageTable.CostOf("qwen3.7-plus", new TokenCounts(1_000_000, 0)));
        Assert.Null(UsageTable.CostOf("no-such-model", new TokenCounts(1, 1)));
        Assert.Null(UsageTable.CostOf("qwen3.7-max", null));
    }

    [Theory]
    [InlineData("7d", "2026-03-03T12:00:00+00:00")]
    [InlineData("12h", "2026-03-10T00:00:00+00:00")]
    [InlineData("30m", "2026-03-10T11:30:00+00:00")]
    [InlineData("2w", "2026-02-24T12:00:00+00:00")]
    [InlineData("2026-03-01", "2026-03-01T00:00:00+08:00")]
    [InlineData("2026-03-01T08:30", "2026-03-01T08:30:00+08:00")]
    [InlineData("2026-03-01T08:30:00Z", "2026-03-01T08:30:00+00:00")]
    public void Since_IsReadAsPeopleWriteIt(string text, string expected)
    {
        Assert.True(SinceText.TryRead(text, Now, East, out DateTimeOffset since));
        Assert.Equal(expected, since.ToString("yyyy-MM-ddTHH:mm:sszzz", System.Globalization.CultureInfo.InvariantCulture));
    }

    [Theory]
    [InlineData("")]
    [InlineData("d")]
    [InlineData("-7d")]
    [InlineData("7")]
    [InlineData("7y")]
    [InlineData("1.5d")]
    [InlineData("2147483647d")]
    [InlineData("2026-13-01")]
    [InlineData("yesterday")]
    public void Since_RefusesOtherWords(string text) => Assert.False(SinceText.TryRead(text, Now, East, out _));

    private static LedgerEntry Entry(string model, string? client, TokenCounts? tokens, string end = "complete") =>
        new() { Time = Now, RequestId = "r", Dialect = "openai.chat", AskedModel = model, ServedModel = model, Client = client, Tokens = tokens, End = end };
}
