using System.Diagnostics.CodeAnalysis;

namespace QwenProxy.Core.Accounts;

/// <summary>A request that waits for a free slot of one of some accounts.</summary>
public interface ISlotWaiter
{
    /// <summary>Whose request it is; empty without keys.</summary>
    string Client { get; }

    /// <summary>The client's place in a round: the lower number first.</summary>
    int Priority { get; }

    bool Accepts(string account);

    /// <summary>The account's slot is held for it. Called under the pool's lock: it may only note it.</summary>
    void Grant(string account);

    /// <summary>The queue is full and its client has the most in it. Called under the pool's lock.</summary>
    void Evict(int waiting);
}

/// <summary>
/// Who gets the next free slot: deficit round robin over clients, one turn for each in a round, within a round by priority and then by who was served
/// longest ago; each client's own requests in the order they came. A client that could not use its turn, since none of its requests goes to the account that
/// became free, keeps that one turn. So a client with 500 requests adds one turn to the wait of another. When the queue is full, the client with the most in it
/// loses its newest. Not thread-safe: the pool's lock covers it.
/// </summary>
public sealed class FairQueue(int maxLength)
{
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);
    private long _turns;

    /// <summary>How many wait.</summary>
    public int Count { get; private set; }

    public int MaxLength { get; set; } = maxLength;

    /// <summary>How many of them would take a slot of this account.</summary>
    public int CountFor(string account) => Count == 0 ? 0 : _lines.Values.Sum(l => l.Waiters.Count(w => w.Accepts(account)));

    /// <summary>False when there is no room, and nobody who has more in the queue than this client.</summary>
    public bool TryAdd(ISlotWaiter waiter)
    {
        ArgumentNullException.ThrowIfNull(waiter);
        if (Count >= MaxLength && !MakeRoom(waiter.Client)) return false;
        if (!_lines.TryGetValue(waiter.Client, out Line? line)) _lines.Add(waiter.Client, line = new Line());
        line.Priority = waiter.Priority;
        line.Waiters.AddLast(waiter);
        Count++;
        return true;
    }

    /// <summary>The waiter gives up. False when it is no longer in the queue.</summary>
    public bool Remove(ISlotWaiter waiter)
    {
        ArgumentNullException.ThrowIfNull(waiter);
        return _lines.TryGetValue(waiter.Client, out Line? line) && line.Waiters.Remove(waiter) && Left();
    }

    /// <summary>Takes out who is to get a free slot of this account.</summary>
    public bool TryTake(string account, [NotNullWhen(true)] out ISlotWaiter? next)
    {
        next = null;
        Line? chosen = null;
        ISlotWaiter? first = null;
        foreach (Line line in _lines.Values)
        {
            if (line.Waiters.FirstOrDefault(w => w.Accepts(account)) is not { } waiter || (chosen is not null && !line.IsBefore(chosen))) continue;
            (chosen, first) = (line, waiter);
        }

        if (chosen is null) return false;
        // Nobody who could use this slot has a turn left: the next round begins.
        if (!chosen.HasTurn)
        {
            foreach (Line line in _lines.Values) line.HasTurn = line.Waiters.Count > 0;
        }

        chosen.HasTurn = false;
        chosen.Served = ++_turns;
        chosen.Waiters.Remove(first!);
        next = first!;
        return Left();
    }

    /// <summary>Clients that wait no more are forgotten once nobody waits: until then their last turn counts.</summary>
    private bool Left()
    {
        if (--Count == 0) _lines.Clear();
        return true;
    }

    private bool MakeRoom(string client)
    {
        Line? longest = _lines.Values.MaxBy(l => l.Waiters.Count);
        int own = _lines.TryGetValue(client, out Line? line) ? line.Waiters.Count : 0;
        if (longest is null || longest.Waiters.Count <= own + 1) return false;
        ISlotWaiter newest = longest.Waiters.Last!.Value;
        longest.Waiters.RemoveLast();
        Count--;
        newest.Evict(Count);
        return true;
    }

    private sealed class Line
    {
        public LinkedList<ISlotWaiter> Waiters { get; } = [];

        public int Priority { get; set; }

        public bool HasTurn { get; set; }

        public long Served { get; set; }

        public bool IsBefore(Line other) => HasTurn != other.HasTurn ? HasTurn : (Priority, Served).CompareTo((other.Priority, other.Served)) < 0;
    }
}
