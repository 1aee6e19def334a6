using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Resilience;

public sealed class BreakerAndCooldownTests
{
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Open = TimeSpan.FromSeconds(15);

    [Fact]
    public void FaultsInARow_OpenItAndASuccessBetweenDoesNot()
    {
        CircuitBreaker breaker = new(3, Open);
        foreach (bool fault in new[] { true, true, false, true, true }) Assert.False(breaker.Report(fault, false, Start));
        Assert.True(breaker.Report(true, false, Start));
        Assert.Equal(BreakerState.Open, breaker.State);
        Assert.False(breaker.WouldAllow(Start.AddSeconds(14.9)));
        Assert.Equal(Start + Open, breaker.NextProbe(Start));
    }

    [Fact]
    public void AfterOpenSeconds_OneProbePerInterval()
    {
        CircuitBreaker breaker = Opened();
        DateTimeOffset due = Start + Open;
        Assert.True(breaker.TryEnter(due, out bool probe));
        Assert.True(probe);
        Assert.Equal(BreakerState.HalfOpen, breaker.State);
        Assert.False(breaker.TryEnter(due.AddSeconds(14), out _));
        Assert.True(breaker.TryEnter(due.AddSeconds(15), out _));
    }

    [Fact]
    public void FailedProbes_DoNotMakeTheIntervalGrow()
    {
        CircuitBreaker breaker = Opened();
        DateTimeOffset now = Start + Open;
        for (int i = 0; i < 8; i++)
        {
            Assert.True(breaker.TryEnter(now, out bool probe));
            breaker.Report(true, probe, now);
            Assert.False(breaker.WouldAllow(now.AddSeconds(14)));
            now += Open;
        }

        Assert.True(breaker.TryEnter(now, out bool last));
        Assert.True(breaker.Report(false, last, now));
        Assert.Equal(BreakerState.Closed, breaker.State);
        Assert.Equal(0, breaker.Failures);
    }

    [Fact]
    public void LateEndsOfOlderAttempts_MoveNothingWhileOpen()
    {
        CircuitBreaker breaker = Opened();
        breaker.Report(true, false, Start.AddSeconds(10));
        breaker.Report(false, false, Start.AddSeconds(10));
        Assert.True(breaker.WouldAllow(Start + Open));
        Assert.False(breaker.WouldAllow(Start.AddSeconds(14)));
    }

    [Fact]
    public void ClientThatLeftDuringAProbe_GivesNoVerdict()
    {
        CircuitBreaker breaker = Opened();
        Assert.True(breaker.TryEnter(Start + Open, out bool probe));
        breaker.Report(null, probe, Start + Open);
        Assert.Equal(BreakerState.Open, breaker.State);
        Assert.True(breaker.WouldAllow(Start + (Open * 2)));
    }

    [Fact]
    public void Isolated_LetsNothingThroughUntilReset()
    {
        CircuitBreaker breaker = new(3, Open);
        breaker.Isolate();
        Assert.False(breaker.TryEnter(Start.AddDays(1), out _));
        breaker.Reset();
        Assert.True(breaker.TryEnter(Start, out _));
    }

    [Fact]
    public void ExportAndImport_GoOnWhereItStood()
    {
        BreakerRecord record = Opened().Export("a", "m");
        CircuitBreaker restored = new(3, Open);
        restored.Import(record, Start.AddSeconds(5));
        Assert.Equal(BreakerState.Open, restored.State);
        Assert.False(restored.WouldAllow(Start.AddSeconds(14)));
        Assert.True(restored.WouldAllow(Start + Open));
        restored.Import(record, Start.AddDays(-1));
        Assert.True(restored.WouldAllow(Start.AddDays(-1) + Open));
    }

    [Fact]
    public void Table_HasARuleForEveryKindAndBreaksOnlyOnUpstreamFaults()
    {
        Assert.Equal(Enum.GetValues<FaultKind>(), ErrorPolicy.Table.Select(r => r.Kind));
        FaultKind[] breaks =
        [
            FaultKind.Overloaded, FaultKind.ServerError, FaultKind.ConnectFailed, FaultKind.ConnectTimeout, FaultKind.Reset, FaultKind.FirstTokenTimeout,
            FaultKind.IdleTimeout, FaultKind.ProtocolError, FaultKind.Cut,
        ];
        Assert.Equal(breaks, ErrorPolicy.Table.Where(r => r.Breaks).Select(r => r.Kind));
        Assert.Null(ErrorPolicy.BreakerVerdict(OwnErrors.ClientGone()));
        Assert.False(ErrorPolicy.BreakerVerdict(null));
    }

    [Fact]
    public void RateLimitWithATime_IsHardAndOfItsModelOnly()
    {
        Cooldowns cooldowns = new();
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited, 30), Start);
        Assert.True(cooldowns.Find("a", "m", Start)?.Hard);
        Assert.Null(cooldowns.Find("a", "n", Start));
        Assert.Null(cooldowns.Find("b", "m", Start));
        Assert.Null(cooldowns.Find("a", "m", Start.AddSeconds(30)));
    }

    [Fact]
    public void ShorterGuess_DoesNotReplaceANamedTimeAndSuccessDoesNotForgiveIt()
    {
        Cooldowns cooldowns = new();
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited, 30), Start);
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited), Start);
        cooldowns.Forgive("a", "m");
        Assert.Equal(Start.AddSeconds(30), cooldowns.Find("a", "m", Start)?.Until);
        cooldowns.Clear("a");
        Assert.Null(cooldowns.Find("a", "m", Start));
    }

    [Fact]
    public void LongerGuess_DoesNotReplaceANamedTimeThatStillRuns()
    {
        Cooldowns cooldowns = new();
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited, 3), Start);
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited), Start);
        Assert.True(cooldowns.Find("a", "m", Start) is { Hard: true } found && found.Until == Start.AddSeconds(3));
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited), Start.AddSeconds(4));
        Assert.False(cooldowns.Find("a", "m", Start.AddSeconds(4))?.Hard);
    }

    [Fact]
    public void BadKey_CoolsTheWholeAccountSoftlyAndSuccessForgivesIt()
    {
        Cooldowns cooldowns = new();
        cooldowns.Note("a", "m", World.Fail(FaultKind.InvalidKey, 500), Start);
        Assert.False(cooldowns.Find("a", "other", Start)?.Hard);
        cooldowns.Forgive("a", "n");
        Assert.Equal(0, cooldowns.Count);
    }

    [Fact]
    public void ExportAndImport_DropWhatIsOver()
    {
        Cooldowns cooldowns = new();
        cooldowns.Note("a", "m", World.Fail(FaultKind.RateLimited, 30), Start);
        cooldowns.Note("b", "m", World.Fail(FaultKind.RateLimited, 90), Start);
        Cooldowns restored = new();
        restored.Import(cooldowns.Export(Start), Start.AddSeconds(60));
        Assert.Equal(1, restored.Count);
        Assert.NotNull(restored.Find("b", "m", Start.AddSeconds(60)));
    }

    [Fact]
    public void ManyModels_StayBounded()
    {
        Cooldowns cooldowns = new(maxEntries: 8);
        for (int i = 0; i < 100; i++) cooldowns.Note("a", $"m{i}", World.Fail(FaultKind.RateLimited, 10 + i), Start);
        Assert.Equal(8, cooldowns.Count);
        Assert.NotNull(cooldowns.Find("a", "m99", Start));
    }

    [Theory]
    [InlineData("Free allocated quota exceeded.", 4)]
    [InlineData("hour allocated quota exceeded", 0.25)]
    [InlineData("month allocated quota exceeded", 24)]
    [InlineData("week allocated quota exceeded", 4)]
    [InlineData("Your quota is exhausted and will reset at 2026-03-01 23:30:00.", 3.5)]
    [InlineData("Your quota is exhausted and will reset at 2026-03-01T14:00:00Z", 2)]
    [InlineData("quota used up", 0.25)]
    public void QuotaWindow_EndsWhereUpstreamSaysInChinaTime(string message, double hours)
    {
        // 12:00 UTC on a Sunday is 20:00 in China: four hours to its midnight and to its Monday.
        ProxyError error = World.Fail(FaultKind.QuotaExhausted) with { Message = message };
        Assert.Equal(TimeSpan.FromHours(hours), QuotaWindow.Length(error, Start, TimeSpan.FromMinutes(15)));
    }

    [Fact]
    public void FreeQuota_CoolsOneModelAndAPlansQuotaTheAccount()
    {
        Cooldowns cooldowns = new();
        cooldowns.Note("a", "m", World.Fail(FaultKind.QuotaExhausted) with { Message = "Free allocated quota exceeded." }, Start);
        Assert.Null(cooldowns.Find("a", "n", Start));
        cooldowns.Note("a", "m", World.Fail(FaultKind.QuotaExhausted) with { Message = "week allocated quota exceeded" }, Start);
        Assert.NotNull(cooldowns.Find("a", "n", Start));
    }

    [Fact]
    public void Backoff_DoublesToItsCapWithFullJitter()
    {
        Assert.Equal([100, 200, 400, 800, 1600, 3200, 5000, 5000], Enumerable.Range(1, 8).Select(i => Backoff.Longest(i).TotalMilliseconds));
        Random random = new(3);
        for (int i = 0; i < 1000; i++) Assert.InRange(Backoff.Wait(3, TimeSpan.Zero, random), TimeSpan.Zero, Backoff.Longest(3));
        Assert.Equal(Backoff.Cap, Backoff.Longest(int.MaxValue));
    }

    [Theory]
    [InlineData(true, 0, 45, 10)]
    [InlineData(true, 40_000, 45, 20)]
    [InlineData(true, 900_000, 45, 45)]
    [InlineData(true, 0, 2, 2)]
    [InlineData(false, 0, 45, 45)]
    [InlineData(false, 100_000, 45, 95)]
    public void FirstTokenAuto_DependsOnPromptAndOnWhoElseCouldServe(bool another, long tokens, int readTimeout, double seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), FirstTokenRule.Deadline(null, another, tokens, TimeSpan.FromSeconds(readTimeout)));

    [Fact]
    public void FirstTokenConfigured_IsTakenAsWritten() =>
        Assert.Equal(TimeSpan.FromSeconds(7), FirstTokenRule.Deadline(TimeSpan.FromSeconds(7), true, 1_000_000, TimeSpan.FromSeconds(45)));

    private static CircuitBreaker Opened()
    {
        CircuitBreaker breaker = new(3, Open);
        for (int i = 0; i < 3; i++) breaker.Report(true, false, Start);
        return breaker;
    }
}
