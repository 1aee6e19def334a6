namespace QwenProxy.Core.Fleet;

/// <summary>What the database holds of one limit (in one window, for a budget). All numbers in the limit's own unit: tokens, billionths of a dollar, requests.</summary>
/// <param name="Used">What all replicas have reported as spent.</param>
/// <param name="Held">What the replicas that live may still spend without asking.</param>
/// <param name="Lost">What replicas that were given up may have spent without saying so.</param>
public sealed record LimitBook(long Used, long Held, long Lost)
{
    public static LimitBook Empty { get; } = new(0, 0, 0);

    /// <summary>Who did not get what it needed last, and until when the others leave room for it.</summary>
    public string? Hungry { get; init; }

    /// <summary>See <see cref="Hungry"/>; the database's time.</summary>
    public DateTimeOffset HungryUntil { get; init; }

    public bool LeavesRoom(string replica, DateTimeOffset now) => Hungry is not null && Hungry != replica && HungryUntil > now;
}

/// <summary>What the database holds of one replica's part of a limit.</summary>
/// <param name="Amount">What it may still spend, or its share.</param>
/// <param name="Reported">What it has spent so far in all, as it said last.</param>
/// <param name="Number">The number of its last question: an older one that arrives late, or one that arrives twice, changes nothing.</param>
/// <param name="IsLost">Its replica was given up.</param>
public sealed record LimitPart(long Amount, long Reported, long Number, bool IsLost)
{
    public static LimitPart None { get; } = new(0, 0, 0, false);
}

/// <summary>A replica's question. It says what the replica keeps, so that an answer that is lost leaves nothing in doubt.</summary>
/// <param name="Replica">Who asks.</param>
/// <param name="Number">One more than in its question before.</param>
/// <param name="Limit">The limit by its configuration; null when there is none, so that only what was spent is told.</param>
public sealed record LimitQuestion(string Replica, long Number, long? Limit)
{
    /// <summary>What it has spent so far in all; 0 for a share.</summary>
    public long Spent { get; init; }

    /// <summary>What it goes on with until it is told otherwise: it has given up the rest already.</summary>
    public long Keeps { get; init; }

    /// <summary>How much of it cannot be given up: requests that run, or that began within the minute; 0 for a budget.</summary>
    public long InUse { get; init; }

    /// <summary>What it could do with.</summary>
    public long Wants { get; init; }
}

/// <param name="Number">Of the question that it answers.</param>
/// <param name="Amount">What the replica may spend from what it had spent when it asked, or its share.</param>
/// <param name="Used">What the fleet has used.</param>
/// <param name="IsShort">It is less than it has a right to, because others hold it yet: worth asking again soon.</param>
public sealed record LimitAnswer(long Number, long Amount, long Used, bool IsShort = false);

/// <summary>
/// How a limit is divided among replicas: each spends from a part that it holds, without asking anybody, and asks in the background for more or gives back.
/// What is handed out never depends on a clock, so a replica that stands still for an hour and goes on exceeds nothing; times decide only who is given up and
/// who waits for room.
/// </summary>
public static class LimitRules
{
    private static readonly TimeSpan s_hungryFor = TimeSpan.FromSeconds(10);

    /// <summary>Answers a question about a budget, whose parts are used up. See <see cref="BudgetRules"/>.</summary>
    public static (LimitBook Book, LimitPart Part, LimitAnswer Answer) AskBudget(LimitBook book, LimitPart part, LimitQuestion question, int live, DateTimeOffset now) =>
        Ask(book, part, question, now, (b, room) => BudgetRules.Part(b, question, room, live, b.LeavesRoom(question.Replica, now)), BudgetRules.Room);

    /// <summary>Answers a question about a share of requests that may run, or begin within a minute. See <see cref="ShareRules"/>.</summary>
    public static (LimitBook Book, LimitPart Part, LimitAnswer Answer) AskShare(LimitBook book, LimitPart part, LimitQuestion question, int live, DateTimeOffset now) =>
        Ask(book, part, question, now, (b, room) => ShareRules.Part(question, room, live, b.LeavesRoom(question.Replica, now)), ShareRules.Room);

    /// <summary>A replica is given up. Of a budget, what it held may be spent; a share is free again.</summary>
    public static (LimitBook Book, LimitPart Part) GiveUp(LimitBook book, LimitPart part, bool isBudget)
    {
        ArgumentNullException.ThrowIfNull(book);
        ArgumentNullException.ThrowIfNull(part);
        if (part.IsLost) return (book, part);
        return isBudget
            ? (book with { Held = book.Held - part.Amount, Lost = book.Lost + part.Amount }, part with { IsLost = true })
            : (book with { Held = book.Held - part.Amount }, part with { Amount = 0 });
    }

    private static (LimitBook Book, LimitPart Part, LimitAnswer Answer) Ask(
        LimitBook book, LimitPart part, LimitQuestion question, DateTimeOffset now, Func<LimitBook, long, (long Amount, bool IsHungry, bool IsShort)> divide, Func<LimitBook, long, long> roomOf)
    {
        ArgumentNullException.ThrowIfNull(book);
        ArgumentNullException.ThrowIfNull(part);
        ArgumentNullException.ThrowIfNull(question);
        if (question.Number <= part.Number) return (book, part, new LimitAnswer(question.Number, 0, book.Used));
        LimitBook others = part.IsLost ? book with { Lost = book.Lost - part.Amount } : book with { Held = book.Held - part.Amount };
        long spent = Math.Max(0, question.Spent - part.Reported);
        others = others with { Used = others.Used + spent };
        (long amount, bool isHungry, bool isShort) = question.Limit is { } limit ? divide(others, roomOf(others, limit)) : (0, false, false);
        if (isHungry) others = others with { Hungry = question.Replica, HungryUntil = now + s_hungryFor };
        else if (others.Hungry == question.Replica) others = others with { Hungry = null };
        // It may go on with what it keeps until this answer has arrived, if it ever does.
        long booked = Math.Max(amount, question.Keeps);
        LimitPart next = new(booked, Math.Max(part.Reported, question.Spent), question.Number, IsLost: false);
        return (others with { Held = others.Held + booked }, next, new LimitAnswer(question.Number, amount, others.Used, isShort));
    }
}

/// <summary>
/// Budgets. Of the five parts in a hundred by which a fleet may exceed one, two are handed out beyond the limit, so that nobody is turned away while its last
/// parts are being divided; two are what replicas that were given up may hold without anybody having to go without for it; one is for replicas that have not
/// asked yet (<see cref="BeforeAsking"/>). While U is used, H held and L lost, a part is given only while U + H + max(0, L − 2 %) stays below 102 %. So
/// U + H + L, which is all that can ever be spent, stays below 104 %, and with what was begun before asking below 105 %.
/// </summary>
public static class BudgetRules
{
    /// <summary>What a part is to last for at the speed of the moment, so that a database that is away for this long is not noticed.</summary>
    public static readonly TimeSpan LastsFor = TimeSpan.FromMinutes(10);

    private const int Slack = 50;

    /// <summary>What a replica may spend of a window before its first answer.</summary>
    public static long BeforeAsking(long limit, int live) => Math.Max(1, limit / 100 / Math.Max(1, live));

    internal static long Room(LimitBook others, long limit) =>
        others.Used >= limit ? 0 : limit + (limit / Slack) - others.Used - others.Held - Math.Max(0, others.Lost - (limit / Slack));

    /// <summary>
    /// What it wants, but at most one part in twice as many as there are replicas of what is left: so parts shrink near the limit, and a replica that dies takes
    /// little with it. At least its part of the two in a hundred, so that it need not ask before it may begin. Nobody keeps more than that while another goes without.
    /// </summary>
    internal static (long Amount, bool IsHungry, bool IsShort) Part(LimitBook others, LimitQuestion question, long room, int live, bool leavesRoom)
    {
        int replicas = Math.Max(1, live);
        long least = Math.Max(1, question.Limit!.Value / Slack / replicas);
        long wanted = leavesRoom ? least : Math.Max(least, Math.Min(question.Wants, room / (2L * replicas)));
        long amount = Math.Max(0, Math.Min(wanted, room));
        bool isShort = amount < least && others.Used < question.Limit.Value;
        return (amount, isShort, isShort);
    }
}

/// <summary>
/// Shares of how many requests run at once, or begin within a minute. Each replica has an even share, and more while the others have no use for theirs; what is
/// in use is never taken away, so the sum stays within the limit also while shares move.
/// </summary>
public static class ShareRules
{
    /// <summary>What a replica goes by while it has had no answer: an even share, and at least one request.</summary>
    public static long BeforeAsking(long limit, int live) => Math.Max(1, limit / Math.Max(1, live));

    internal static long Room(LimitBook others, long limit) => limit - others.Held;

    internal static (long Amount, bool IsHungry, bool IsShort) Part(LimitQuestion question, long room, int live, bool leavesRoom)
    {
        long even = question.Limit!.Value / Math.Max(1, live);
        long needed = Math.Max(question.InUse, question.Wants);
        long wanted = leavesRoom ? Math.Min(needed, Math.Max(even, 1)) : Math.Max(needed, even);
        long amount = Math.Max(question.InUse, Math.Max(0, Math.Min(wanted, room)));
        // Who has no use for its even share does not press those who have.
        return (amount, amount < needed && amount < question.Limit.Value, amount < even && !leavesRoom);
    }
}
