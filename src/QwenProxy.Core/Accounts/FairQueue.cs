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
/// Who gets the next free slot: the clients in turn, by priority and then by who was served longest ago, but nobody twice before one that waits all the while
/// for such a slot; each client's own requests in the order they came. So a client with 500 requests adds one turn to the wait of another, whatever the
/// priorities, and whichever other slots the two could use meanwhile: rounds that begin anew for all would not hold that over several accounts. When the
/// queue is full, the client with the most in it loses its newest. Not thread-safe: the pool's lock covers it.
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
        if (line.Waiters.Count == 0) line.Since = _turns;
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
        long oldest = long.MaxValue;
        foreach (Line line in _lines.Values)
        {
            if (line.FirstFor(account) is not null) oldest = Math.Min(oldest, line.Since);
        }

        Line? chosen = null;
        foreach (Line line in _lines.Values)
        {
            // Who was served after the oldest began to wait has had his turn.
            if (line.Served <= oldest && line.FirstFor(account) is not null && (chosen is null || line.IsBefore(chosen))) chosen = line;
        }

        if (chosen is null) return false;
        next = chosen.FirstFor(account)!;
        chosen.Served = chosen.Since = ++_turns;
        chosen.Waiters.Remove(next);
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

        /// <summary>The turn that it had last; 0 for none.</summary>
        public long Served { get; set; }

        /// <summary>The turn at which it began to wait, or was served while it went on waiting.</summary>
        public long Since { get; set; }

        public ISlotWaiter? FirstFor(string account) => Waiters.FirstOrDefault(w => w.Accepts(account));

        public bool IsBefore(Line other) => (Priority, Served, Since).CompareTo((other.Priority, other.Served, other.Since)) < 0;
    }
}
