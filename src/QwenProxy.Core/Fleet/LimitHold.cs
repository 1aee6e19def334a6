namespace QwenProxy.Core.Fleet;

/// <summary>One replica's own part of a limit, in its memory. Not thread-safe: whose limit it is has a lock.</summary>
public sealed class LimitHold
{
    /// <summary>In parts of a second: how fast it forgets what was spent, half of it in a minute.</summary>
    private static readonly double s_decay = Math.Log(2) / 60;

    private long _number;
    private LimitQuestion? _asked;
    private long? _cap;
    private double _recent;
    private long _recentSpent;
    private DateTimeOffset _recentAt;

    private (long Spent, long? Limit) _told = (0, null);
    private bool _asksAgain;
    private bool _hadItsShare;

    /// <summary>What all others have used, as the last answer told.</summary>
    public long Others { get; private set; }

    public bool HasAnswer => _cap is not null;

    /// <summary>There is news for the database, or something is needed of it.</summary>
    public bool IsDue(long? limit, long spent, long needed) => _asksAgain || (spent, limit) != _told || (limit is not null && (_cap is null || needed > _cap));

    /// <summary>How much it may have spent in all, or its share.</summary>
    /// <param name="beforeAsking">What it goes by before the first answer.</param>
    public long Cap(long beforeAsking) => _cap ?? beforeAsking;

    /// <summary>
    /// Its share, for what would be refused and not wait: while a replica that came lately has not been given its even share yet, because others hold it still,
    /// it goes by that. Its clients would else be refused for having been sent to it.
    /// </summary>
    public long ShareWhileNew(long even) => _hadItsShare ? Cap(even) : Math.Max(Cap(even), even);

    /// <summary>The next question about a budget of which <paramref name="spent"/> is spent and <paramref name="reserved"/> is going to be.</summary>
    public LimitQuestion AskBudget(string replica, long? limit, long spent, long reserved, DateTimeOffset now)
    {
        double passed = Math.Max(0, (now - _recentAt).TotalSeconds);
        _recent = (_recent * Math.Exp(-s_decay * passed)) + Math.Max(0, spent - _recentSpent);
        (_recentSpent, _recentAt) = (spent, now);
        long wants = (long)Math.Min(long.MaxValue / 4, _recent * s_decay * BudgetRules.LastsFor.TotalSeconds) + reserved;
        return Asked(new LimitQuestion(replica, ++_number, limit) { Spent = spent, Keeps = limit is null ? 0 : Math.Max(0, (_cap ?? 0) - spent), Wants = wants });
    }

    /// <summary>The next question about a share of which <paramref name="inUse"/> is in use and <paramref name="waiting"/> more could be used.</summary>
    public LimitQuestion AskShare(string replica, long? limit, long inUse, long waiting) =>
        Asked(new LimitQuestion(replica, ++_number, limit) { Keeps = limit is null ? 0 : _cap ?? 0, InUse = inUse, Wants = inUse + waiting });

    /// <summary>Takes over an answer, unless it is one to an older question or to one about another window.</summary>
    public void Take(LimitQuestion question, LimitAnswer answer)
    {
        ArgumentNullException.ThrowIfNull(question);
        ArgumentNullException.ThrowIfNull(answer);
        if (!ReferenceEquals(question, _asked) || answer.Number != question.Number) return;
        _cap = question.Limit is null ? null : question.Spent + answer.Amount;
        _told = (question.Spent, question.Limit);
        // It goes by the smaller part from now on; the rest is free for others once the database was told so.
        _hadItsShare |= !answer.IsShort;
        _asksAgain = answer.Amount < question.Keeps || answer.IsShort;
        Others = answer.Used - question.Spent;
    }

    private LimitQuestion Asked(LimitQuestion question)
    {
        // Without a limit there is no part either: what is set later begins anew.
        if (question.Limit is null) _cap = null;
        return _asked = question;
    }
}
