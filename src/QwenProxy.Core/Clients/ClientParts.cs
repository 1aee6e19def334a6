using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Clients;

/// <summary>A question about one limit of a client.</summary>
/// <param name="Limit">Which: <c>tokens/DAY</c>, <c>dollars/MONTH</c>, <c>requests</c> or <c>concurrent</c>.</param>
/// <param name="IsBudget">It is used up and not only held.</param>
/// <param name="Question">For the database.</param>
public sealed record PartQuestion(string Limit, bool IsBudget, LimitQuestion Question);

/// <summary>What a client takes here at this moment.</summary>
internal readonly record struct ClientUse(long Tokens, long TokensReserved, decimal Dollars, decimal DollarsReserved, int Begun, int Running);

/// <summary>One replica's parts of a client's limits. The meter's lock covers it.</summary>
internal sealed class ClientParts
{
    public const decimal Nano = 1_000_000_000m;

    /// <summary>When somebody who was refused for a part may ask again: parts are asked for at least once a second.</summary>
    public static readonly TimeSpan ComesWithin = TimeSpan.FromSeconds(1);

    private LimitHold _requests = new();
    private LimitHold _concurrent = new();
    private Refused _refusedRequests;
    private Refused _refusedConcurrent;

    public int Live { get; set; } = 1;

    /// <summary>Nobody can be asked for shares: one that is smaller than an even one counts as that.</summary>
    public bool IsAlone { get; set; }

    public LimitHold Tokens { get; private set; } = new();

    public LimitHold Dollars { get; private set; } = new();

    public static long ToNano(decimal dollars) => (long)decimal.Round(Math.Min(dollars, long.MaxValue / 4 / Nano) * Nano);

    public long TokensPerDay(long limit) => Tokens.Cap(BudgetRules.BeforeAsking(limit, Live));

    public long NanoDollarsPerMonth(decimal limit) => Dollars.Cap(BudgetRules.BeforeAsking(ToNano(limit), Live));

    public long RequestsPerMinute(int limit) => Share(_requests, limit);

    public long Concurrent(int limit) => Share(_concurrent, limit);

    /// <summary>A request that could have been taken with a larger share.</summary>
    public void NoteRefusal(bool isRate, DateTimeOffset now)
    {
        if (isRate) _refusedRequests.Note(now);
        else _refusedConcurrent.Note(now);
    }

    public void TurnDay() => Tokens = new LimitHold();

    public void TurnMonth() => Dollars = new LimitHold();

    private long Share(LimitHold hold, int limit)
    {
        long even = ShareRules.BeforeAsking(limit, Live);
        return Math.Max(hold.ShareWhileNew(even), IsAlone ? even : 0);
    }

    public List<PartQuestion> Ask(string replica, ClientLimits limits, ClientUse use, (int Day, int Month) window, DateTimeOffset now, bool all)
    {
        List<PartQuestion> questions = [];
        long? nano = limits.UsdPerMonth is { } dollars ? ToNano(dollars) : null;
        long spentNano = ToNano(use.Dollars);
        long reservedNano = ToNano(use.DollarsReserved);
        if ((all && limits.TokensPerDay is not null) || Tokens.IsDue(limits.TokensPerDay, use.Tokens, use.Tokens + use.TokensReserved))
            questions.Add(new($"tokens/{window.Day}", true, Tokens.AskBudget(replica, limits.TokensPerDay, use.Tokens, use.TokensReserved, now)));
        if ((all && nano is not null) || Dollars.IsDue(nano, spentNano, spentNano + reservedNano))
            questions.Add(new($"dollars/{window.Month}", true, Dollars.AskBudget(replica, nano, spentNano, reservedNano, now)));
        AskShare(questions, "requests", _requests, limits.RequestsPerMinute, use.Begun, _refusedRequests.Lately(now));
        AskShare(questions, "concurrent", _concurrent, limits.Concurrent, use.Running, _refusedConcurrent.Lately(now));
        return questions;

        void AskShare(List<PartQuestion> list, string name, LimitHold hold, int? limit, int inUse, int refused)
        {
            if ((all && limit is not null) || hold.IsDue(limit, 0, inUse + refused)) list.Add(new(name, false, hold.AskShare(replica, limit, inUse, refused)));
        }
    }

    public void Take(PartQuestion question, LimitAnswer answer) => HoldOf(question.Limit)?.Take(question.Question, answer);

    /// <summary>Null for a window that is over.</summary>
    private LimitHold? HoldOf(string limit) => limit switch
    {
        "requests" => _requests,
        "concurrent" => _concurrent,
        _ => limit.StartsWith("tokens/", StringComparison.Ordinal) ? Tokens : Dollars,
    };

    /// <summary>Those that were refused within three seconds of each other: long enough that a share can come for their next try.</summary>
    private struct Refused
    {
        private static readonly TimeSpan s_lately = TimeSpan.FromSeconds(3);

        private int _count;
        private DateTimeOffset _last;

        public void Note(DateTimeOffset now)
        {
            _count = Lately(now) + 1;
            _last = now;
        }

        public readonly int Lately(DateTimeOffset now) => now - _last > s_lately ? 0 : _count;
    }
}
