using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Tests.Fleet;

public sealed class LimitRulesTests
{
    private static readonly DateTimeOffset s_now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private LimitBook _book = LimitBook.Empty;
    private readonly Dictionary<string, (LimitHold Hold, LimitPart Part)> _replicas = [];

    [Fact]
    public void Parts_ShrinkNearTheLimitAndAreGivenBackWhenNothingIsSpent()
    {
        // It spends as fast as it can: a twentieth of the limit in a second wants all of it.
        long first = AskBudget("a", spent: 50, at: 0);
        long second = AskBudget("a", spent: 500, at: 1);
        Assert.True(first > second, $"{first} then {second}");
        AskBudget("a", spent: 500, at: 120);
        long idle = AskBudget("a", spent: 500, at: 3600);
        Assert.Equal(1000 / 50 / 4, idle);
        Assert.Equal(0, AskBudget("a", spent: 1000, at: 3601));
        Assert.Equal(1000, _book.Used);
    }

    [Fact]
    public void ReplicaThatGoesWithout_GetsWhatTheOthersDoNotNeed()
    {
        AskBudget("a", spent: 400, at: 0);
        long held = AskBudget("a", spent: 400, at: 1);
        long spent = 0;
        // b spends all that it is given, until it is given nothing although the limit is not reached.
        while (AskBudget("b", spent, at: 2) is > 0 and long amount) spent += amount;
        Assert.True(held > 5 && _book.Used < 1000, $"{held} held, {_book.Used} used");
        Assert.Equal(1000 / 50 / 4, AskBudget("a", spent: 400, at: 3));
        AskBudget("a", spent: 400, at: 4);
        Assert.True(AskBudget("b", spent, at: 5) > 0);
    }

    [Fact]
    public void Shares_AreEvenAndGoWhereRequestsAre()
    {
        Assert.Equal([3, 3, 3], new[] { "a", "b", "c" }.Select(r => AskShare(r, inUse: 0, waiting: 0)));
        // a needs all ten: it gets the one that is over, and the others' once they were asked.
        Assert.Equal(4, AskShare("a", inUse: 3, waiting: 7));
        AskShare("b", inUse: 1, waiting: 0);
        AskShare("c", inUse: 0, waiting: 0);
        AskShare("b", inUse: 1, waiting: 0);
        AskShare("c", inUse: 0, waiting: 0);
        Assert.Equal(9, AskShare("a", inUse: 4, waiting: 6));
        // What is in use is not taken away, whoever goes without.
        Assert.Equal(0, AskShare("c", inUse: 0, waiting: 2));
        Assert.Equal(9, AskShare("a", inUse: 9, waiting: 0));
        Assert.Equal(2, AskShare("a", inUse: 2, waiting: 0));
    }

    [Fact]
    public void ShareOfAReplicaThatWasGivenUp_IsFreeAgain()
    {
        Assert.Equal(10, AskShare("a", inUse: 10, waiting: 0));
        Assert.Equal(0, AskShare("b", inUse: 0, waiting: 1));
        (_book, LimitPart part) = LimitRules.GiveUp(_book, _replicas["a"].Part, isBudget: false);
        Assert.Equal(0, part.Amount);
        Assert.True(AskShare("b", inUse: 0, waiting: 8) >= 8);
    }

    [Fact]
    public void QuestionThatComesTwice_ChangesNothing()
    {
        LimitQuestion question = new("a", 1, 1000) { Spent = 10, Wants = 100 };
        (LimitBook once, LimitPart part, _) = LimitRules.AskBudget(LimitBook.Empty, LimitPart.None, question, 1, s_now);
        (LimitBook twice, LimitPart same, _) = LimitRules.AskBudget(once, part, question, 1, s_now);
        Assert.Equal((once, part), (twice, same));
    }

    private long AskBudget(string replica, long spent, double at)
    {
        (LimitHold hold, LimitPart part) = _replicas.GetValueOrDefault(replica, (new LimitHold(), LimitPart.None));
        DateTimeOffset now = s_now.AddSeconds(at);
        LimitQuestion question = hold.AskBudget(replica, 1000, spent, 0, now);
        (_book, part, LimitAnswer answer) = LimitRules.AskBudget(_book, part, question, 4, now);
        hold.Take(question, answer);
        _replicas[replica] = (hold, part);
        return answer.Amount;
    }

    private long AskShare(string replica, int inUse, int waiting)
    {
        (LimitHold hold, LimitPart part) = _replicas.GetValueOrDefault(replica, (new LimitHold(), LimitPart.None));
        LimitQuestion question = hold.AskShare(replica, 10, inUse, waiting);
        (_book, part, LimitAnswer answer) = LimitRules.AskShare(_book, part, question, 3, s_now);
        hold.Take(question, answer);
        _replicas[replica] = (hold, part);
        return answer.Amount;
    }
}
