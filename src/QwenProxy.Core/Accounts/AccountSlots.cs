namespace QwenProxy.Core.Accounts;

/// <summary>How many requests each account runs, how many it may, and who waits. Not thread-safe: the pool's lock covers it.</summary>
internal sealed class AccountSlots
{
    private readonly Dictionary<string, int> _taken = [];
    private Dictionary<string, int> _limits = [];

    public FairQueue Queue { get; } = new(0);

    public int TakenOf(string account) => _taken.GetValueOrDefault(account);

    public bool IsFull(string account) => _limits.Count > 0 && _limits.TryGetValue(account, out int limit) && TakenOf(account) >= limit;

    public void Configure(IEnumerable<AccountSnapshot> accounts, int queueLength)
    {
        _limits = accounts.Where(a => a.MaxConcurrent is not null).ToDictionary(a => a.Name, a => a.MaxConcurrent!.Value);
        Queue.MaxLength = queueLength;
        // A limit that was raised or taken away has room for some who wait for an account that runs as much as before.
        foreach (string account in _taken.Keys.ToArray()) HandOver(account);
    }

    public void Take(string account) => _taken[account] = TakenOf(account) + 1;

    public void Free(string account)
    {
        int taken = TakenOf(account) - 1;
        if (taken == 0) _taken.Remove(account);
        else _taken[account] = taken;
        HandOver(account);
    }

    /// <summary>Whoever has waited gets the slot at once: somebody who comes just now could else take it from under his hands.</summary>
    private void HandOver(string account)
    {
        while (Queue.Count > 0 && !IsFull(account) && Queue.TryTake(account, out ISlotWaiter? next))
        {
            Take(account);
            next.Grant(account);
        }
    }
}
