using QwenProxy.Core.Clients;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Tests.Clients;

/// <summary>A client's meters at several replicas that divide its limits.</summary>
public sealed class ClientPartsTests
{
    private static readonly DateTimeOffset s_noon = new(2026, 3, 31, 12, 0, 0, TimeSpan.FromHours(2));

    private readonly Dictionary<string, LimitBook> _books = [];
    private readonly Dictionary<(string, string), LimitPart> _parts = [];
    private DateTimeOffset _now = s_noon;
    private int _live = 3;
    private readonly ClientMeter[] _meters = [new("alice"), new("alice"), new("alice")];

    [Fact]
    public void Tokens_AreThoseOfTheFleetAndEndTogether()
    {
        ClientLimits limits = new() { TokensPerDay = 10_000 };
        int taken = 0;
        ProxyError? refused = null;
        for (int i = 0; i < 3000; i++)
        {
            if (i % 5 == 0) Share(limits);
            refused = _meters[i % 3].TryEnter(limits, new ClientTake(10, 0), s_noon, out ClientAdmission? admission);
            admission?.Settle(new ClientTake(10, 0), s_noon);
            if (admission is not null) taken += 10;
        }

        Assert.InRange(taken, 10_000, 10_500);
        Assert.Equal(("tokensPerDay", TimeSpan.FromHours(12)), (refused!.Param, refused.RetryAfter));
        ClientStanding standing = _meters[0].Look(limits, s_noon);
        Assert.Equal((taken, 0L), (standing.Tokens, standing.TokensLeft));
    }

    [Fact]
    public void PartThatIsUsedUp_IsToldAsThatWithASecondToWait()
    {
        ClientLimits limits = new() { UsdPerMonth = 30 };
        Share(limits);
        Assert.Null(_meters[0].TryEnter(limits, new ClientTake(0, 1m), s_noon, out _));
        ProxyError? refused = _meters[0].TryEnter(limits, default, s_noon, out _);
        Assert.Equal(("usdPerMonth", TimeSpan.FromSeconds(1)), (refused!.Param, refused.RetryAfter));
        Assert.Contains("this replica", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RequestsAtOnceAndPerMinute_AreDividedAndMoveToWhereTheyAreWanted()
    {
        ClientLimits limits = new() { RequestsPerMinute = 9, Concurrent = 6 };
        Share(limits);
        List<ClientAdmission> running = [];
        for (int i = 0; i < 6; i++) Enter(0);
        Assert.Equal(2, running.Count);
        for (int i = 0; i < 6; i++)
        {
            Share(limits);
            Share(limits);
            for (int j = 0; j < 6; j++) Enter(0);
        }

        // All six at once, as nobody else wants any.
        Assert.Equal(6, running.Count);
        Enter(1);
        Assert.Equal(6, running.Count);
        foreach (ClientAdmission one in running) one.Settle(default(ClientTake), s_noon);
        _now = s_noon.AddSeconds(10);
        for (int i = 0; i < 6; i++)
        {
            Share(limits);
            Share(limits);
            for (int j = 0; j < 6; j++) Enter(1);
        }

        // Six had begun within the minute elsewhere: three are left.
        Assert.Equal(9, running.Count);

        void Enter(int replica)
        {
            _meters[replica].TryEnter(limits, default, _now, out ClientAdmission? admission);
            if (admission is not null) running.Add(admission);
        }
    }

    /// <summary>One that comes while the first holds everything must not refuse those who are sent to it.</summary>
    [Fact]
    public void ReplicaThatHasJustCome_GoesByAnEvenShareUntilItHasOne()
    {
        ClientLimits limits = new() { Concurrent = 6 };
        _live = 1;
        Share(limits, 0);
        _live = 2;
        Share(limits, 1);
        Assert.Null(_meters[1].TryEnter(limits, default, _now, out _));
        for (int i = 0; i < 3; i++)
        {
            Share(limits, 0);
            Share(limits, 1);
        }

        Assert.Equal(3, _parts[("concurrent", "r1")].Amount);
    }

    [Fact]
    public void NewDay_BeginsWithNothingSpentAndALateAnswerOfTheOldOneChangesNothing()
    {
        ClientLimits limits = new() { TokensPerDay = 1000 };
        _meters[0].TryEnter(limits, default, s_noon, out ClientAdmission? admission);
        admission!.Settle(new ClientTake(2000, 0), s_noon);
        PartQuestion late = _meters[0].AskForParts("r0", 3, limits, s_noon, all: true).Single(q => q.Limit.StartsWith("tokens", StringComparison.Ordinal));
        DateTimeOffset tomorrow = s_noon.AddHours(13);
        Assert.Equal(1000, _meters[0].Look(limits, tomorrow).TokensLeft);
        _meters[0].TakePart(late, new LimitAnswer(late.Question.Number, 0, 2000));
        Assert.Null(_meters[0].TryEnter(limits, default, tomorrow, out _));
    }

    private void Share(ClientLimits limits)
    {
        for (int replica = 0; replica < _meters.Length; replica++) Share(limits, replica);
    }

    private void Share(ClientLimits limits, int replica)
    {
        foreach (PartQuestion asked in _meters[replica].AskForParts($"r{replica}", _live, limits, _now, all: true))
        {
            LimitBook book = _books.GetValueOrDefault(asked.Limit, LimitBook.Empty);
            LimitPart part = _parts.GetValueOrDefault((asked.Limit, $"r{replica}"), LimitPart.None);
            (book, part, LimitAnswer answer) = asked.IsBudget ? LimitRules.AskBudget(book, part, asked.Question, _live, _now) : LimitRules.AskShare(book, part, asked.Question, _live, _now);
            (_books[asked.Limit], _parts[(asked.Limit, $"r{replica}")]) = (book, part);
            _meters[replica].TakePart(asked, answer);
        }
    }
}
