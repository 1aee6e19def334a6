using QwenProxy.Core.Clients;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Clients;

public sealed class ClientMeterTests
{
    private static readonly DateTimeOffset s_noon = new(2026, 3, 31, 12, 0, 0, TimeSpan.FromHours(2));

    private readonly ClientMeter _meter = new("alice");

    [Fact]
    public void RequestsPerMinute_AreThoseOfAnySixtySecondsWithTheTrueWait()
    {
        ClientLimits limits = new() { RequestsPerMinute = 2 };
        Assert.Null(Enter(limits, s_noon));
        Assert.Null(Enter(limits, s_noon.AddSeconds(40)));
        ProxyError? refused = Enter(limits, s_noon.AddSeconds(50));
        Assert.Equal((429, "client_limit", "requestsPerMinute", TimeSpan.FromSeconds(10)), (refused!.Status, refused.Code, refused.Param, refused.RetryAfter));
        Assert.NotNull(Enter(limits, s_noon.AddSeconds(59)));
        Assert.Null(Enter(limits, s_noon.AddSeconds(60)));
        Assert.Equal(TimeSpan.FromSeconds(40), Enter(limits, s_noon.AddSeconds(60))!.RetryAfter);
    }

    [Fact]
    public void LimitThatWasLowered_TellsWhenThatManyFitAgain()
    {
        for (int i = 0; i < 3; i++) Assert.Null(Enter(new ClientLimits { RequestsPerMinute = 9 }, s_noon.AddSeconds(i * 10)));
        Assert.Equal(TimeSpan.FromSeconds(50), Enter(new ClientLimits { RequestsPerMinute = 1 }, s_noon.AddSeconds(30))!.RetryAfter);
    }

    [Fact]
    public void Concurrent_CountsUntilSettleAndOnce()
    {
        ClientLimits limits = new() { Concurrent = 1 };
        Assert.Null(_meter.TryEnter(limits, default, s_noon, out ClientAdmission? first));
        Assert.Equal("concurrent", Enter(limits, s_noon)!.Param);
        first!.Settle(default(ClientTake), s_noon);
        first.Settle(default(ClientTake), s_noon);
        Assert.Equal(0, _meter.Look(limits, s_noon).Running);
        Assert.Null(Enter(limits, s_noon));
        Assert.NotNull(Enter(limits, s_noon));
    }

    [Fact]
    public void Tokens_AreEstimatedWhileARequestRunsAndBookedRightAtItsEnd()
    {
        ClientLimits limits = new() { TokensPerDay = 100 };
        Assert.Null(_meter.TryEnter(limits, new ClientTake(100, 0), s_noon, out ClientAdmission? first));
        ProxyError? refused = Enter(limits, s_noon);
        Assert.Equal(("tokensPerDay", TimeSpan.FromHours(12)), (refused!.Param, refused.RetryAfter));
        first!.Settle(new ClientTake(40, 0), s_noon);
        Assert.Equal((40, 60), (_meter.Look(limits, s_noon).Tokens, _meter.Look(limits, s_noon).TokensLeft));
        Assert.Null(_meter.TryEnter(limits, new ClientTake(10, 0), s_noon, out ClientAdmission? second));
        second!.Settle(null, s_noon);
        Assert.Equal(50, _meter.Look(limits, s_noon).Tokens);
    }

    [Fact]
    public void DayAndMonth_TurnByTheCalendar()
    {
        ClientLimits limits = new() { TokensPerDay = 10, UsdPerMonth = 1 };
        _meter.Restore(10, 0.5m, s_noon);
        Assert.Equal("tokensPerDay", Enter(limits, s_noon)!.Param);
        Assert.Equal("tokensPerDay", Enter(limits, s_noon.AddHours(12).AddSeconds(-1))!.Param);
        Assert.Null(_meter.TryEnter(limits, default, s_noon.AddHours(12), out ClientAdmission? first));
        Assert.Equal((0, 0m), (_meter.Look(limits, s_noon.AddHours(12)).Tokens, _meter.Look(limits, s_noon.AddHours(12)).Dollars));
        first!.Settle(new ClientTake(1, 1m), s_noon.AddHours(12));
        ProxyError? refused = Enter(limits, s_noon.AddHours(13));
        Assert.Equal(("usdPerMonth", TimeSpan.FromDays(30) - TimeSpan.FromHours(1)), (refused!.Param, refused.RetryAfter));
    }

    [Fact]
    public void DayOnWhichTheClocksChange_IsOneDay()
    {
        ClientLimits limits = new() { TokensPerDay = 10 };
        _meter.Restore(10, 0, new DateTimeOffset(2026, 10, 25, 1, 0, 0, TimeSpan.FromHours(2)));
        Assert.NotNull(Enter(limits, new DateTimeOffset(2026, 10, 25, 4, 0, 0, TimeSpan.FromHours(1))));
        Assert.Null(Enter(limits, new DateTimeOffset(2026, 10, 26, 0, 0, 0, TimeSpan.FromHours(1))));
    }

    [Fact]
    public void ClockThatGoesBack_GivesNoBudgetTwice()
    {
        ClientLimits limits = new() { TokensPerDay = 10 };
        _meter.Restore(10, 0, s_noon);
        Assert.NotNull(Enter(limits, s_noon.AddDays(-1)));
        Assert.NotNull(Enter(limits, s_noon));
    }

    [Fact]
    public void RefusedRequest_CountsNowhere()
    {
        ClientLimits limits = new() { RequestsPerMinute = 1, Concurrent = 1 };
        Assert.Null(Enter(limits, s_noon));
        for (int i = 0; i < 5; i++) Assert.NotNull(Enter(limits, s_noon.AddSeconds(i)));
        ClientStanding standing = _meter.Look(limits, s_noon.AddSeconds(5));
        Assert.Equal((1, 0, s_noon.AddSeconds(60)), (standing.Running, standing.RequestsLeft, standing.RequestsReset));
    }

    [Fact]
    public void ManyAtOnce_NeverGoBeyondWhatWasInFlight()
    {
        ClientLimits limits = new() { TokensPerDay = 10_000, Concurrent = 8 };
        Random random = new(7);
        List<(ClientAdmission Admission, long Takes)> running = [];
        long booked = 0;
        long worst = 0;
        for (int i = 0; i < 5000; i++)
        {
            if (running.Count > 0 && random.Next(2) == 0)
            {
                (ClientAdmission admission, long takes) = running[random.Next(running.Count)];
                running.RemoveAll(r => r.Admission == admission);
                admission.Settle(new ClientTake(takes, 0), s_noon);
                booked += takes;
            }
            else if (_meter.TryEnter(limits, new ClientTake(random.Next(50), 0), s_noon, out ClientAdmission? admission) is null)
            {
                worst = Math.Max(worst, booked);
                running.Add((admission!, random.Next(300)));
            }

            Assert.Equal(booked, _meter.Look(limits, s_noon).Tokens);
        }

        Assert.InRange(worst, 9000, 9999);
        Assert.InRange(booked, 10_000, 10_000 + (8 * 300));
    }

    private ProxyError? Enter(ClientLimits limits, DateTimeOffset now) => _meter.TryEnter(limits, default, now, out _);
}
