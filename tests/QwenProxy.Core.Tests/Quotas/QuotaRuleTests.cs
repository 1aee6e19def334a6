using System.Globalization;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;

namespace QwenProxy.Core.Tests.Quotas;

/// <summary>The rules of the plans, as data and as calendars.</summary>
public sealed class QuotaRuleTests
{
    [Theory]
    [InlineData(QuotaPeriod.Day, null, "2026-03-01T15:59:59Z", "2026-02-28T16:00:00Z", "2026-03-01T16:00:00Z")]
    [InlineData(QuotaPeriod.Day, null, "2026-03-01T16:00:00Z", "2026-03-01T16:00:00Z", "2026-03-02T16:00:00Z")]
    [InlineData(QuotaPeriod.Week, null, "2026-03-01T12:00:00Z", "2026-02-22T16:00:00Z", "2026-03-01T16:00:00Z")]
    [InlineData(QuotaPeriod.Week, null, "2026-03-01T16:00:00Z", "2026-03-01T16:00:00Z", "2026-03-08T16:00:00Z")]
    [InlineData(QuotaPeriod.Month, 15, "2026-03-14T15:59:59Z", "2026-02-14T16:00:00Z", "2026-03-14T16:00:00Z")]
    [InlineData(QuotaPeriod.Month, 31, "2026-02-28T00:00:00Z", "2026-02-27T16:00:00Z", "2026-03-30T16:00:00Z")]
    [InlineData(QuotaPeriod.Month, 31, "2026-02-27T00:00:00Z", "2026-01-30T16:00:00Z", "2026-02-27T16:00:00Z")]
    public void CalendarWindows_BeginAtMidnightInChina(QuotaPeriod period, int? day, string now, string start, string end)
    {
        QuotaRule rule = new(QuotaUnit.Requests, period) { MonthStarts = day };
        Assert.Equal((At(start), At(end)), rule.Around(At(now)));
        Assert.False(rule.Slides);
    }

    [Fact]
    public void HoursAndMonthsOfAnUnknownDay_Slide()
    {
        Assert.All<QuotaRule>([new(QuotaUnit.Requests, QuotaPeriod.Hours) { Hours = 5 }, new(QuotaUnit.Requests, QuotaPeriod.Month)], r => Assert.True(r.Slides && r.Around(At("2026-03-01T12:00:00Z")) is null));
    }

    [Fact]
    public void Plans_AreAsTheirVendorsStateThem()
    {
        Assert.Equal([6_000L, 45_000, 90_000], QuotaPlans.Find("coding-plan", "pro")!.Windows.Select(w => w.Limit!.Value));
        Assert.Equal(["requests/5h", "requests/week", "requests/month"], QuotaPlans.Find("coding-plan", "lite")!.Windows.Select(w => w.Key));
        Assert.Equal(["lite", "essential", "standard", "pro"], QuotaPlans.NamesOf("token-plan"));
        Assert.All(QuotaPlans.All, p => Assert.True(p.Source.Length > 10 && p.AsOf.Year >= 2026 && Profiles.ByName(p.Profile) is not null, p.Profile));
        Assert.All(QuotaSettings.Of(Profiles.CodingPlan).Windows, w => Assert.Null(w.Limit));
        Assert.Empty(QuotaSettings.Of(Profiles.Generic).Windows);
    }

    [Fact]
    public void Credits_GoByTheFirstRateThatFits()
    {
        QuotaRule rule = new(QuotaUnit.Credits, QuotaPeriod.Month) { Rates = [new("qwen3.7-*", 2, 8) { Cached = 0.5m }, new("*", 1, 1)] };
        Assert.Equal(1.6m, QuotaAmount.Of(rule, "qwen3.7-plus", new TokenCounts(400_000, 100_000, Cached: 0)));
        Assert.Equal(1.15m, QuotaAmount.Of(rule, "qwen3.7-plus", new TokenCounts(400_000, 100_000, Cached: 300_000)));
        Assert.Equal(0.5m, QuotaAmount.Of(rule, "glm-5", new TokenCounts(400_000, 100_000, Cached: 300_000)));
        Assert.Equal(0m, QuotaAmount.Of(rule with { Rates = [new("glm-*", 1, 1)] }, "qwen3.7-plus", new TokenCounts(1, 1)));
        Assert.Equal(500_000m, QuotaAmount.Of(rule with { Counts = QuotaUnit.Tokens }, "m", new TokenCounts(400_000, 100_000)));
    }

    private static DateTimeOffset At(string time) => DateTimeOffset.Parse(time, CultureInfo.InvariantCulture);
}
