using System.Collections.Immutable;
using QwenProxy.Core.Fleet;

namespace QwenProxy.Core.Accounts;

/// <summary>How many requests an account may run at once, as its upstream's refusals have taught.</summary>
public sealed record SlotRecord(string Account, double Limit);

/// <summary>
/// How many requests each account runs, how many it may, and who waits. What it may is what the configuration says, and less when the upstream has refused a
/// request for running beside others: then half of what ran is its limit, which grows by one each time that as many requests as it counts were
/// answered at it. So bursts wait here and do not fail there. Not thread-safe: the pool's lock covers it.
/// </summary>
internal sealed class AccountSlots
{
    /// <summary>A limit that has grown this far holds nobody back.</summary>
    private const double Forgotten = 512;

    private readonly Dictionary<string, int> _taken = [];
    private readonly Dictionary<string, Learned> _learned = [];
    private Dictionary<string, int?> _configured = [];
    private readonly Dictionary<string, LimitHold> _shares = [];
    private int _live;
    private bool _isAlone;

    public FairQueue Queue { get; } = new(0);

    public int TakenOf(string account) => _taken.GetValueOrDefault(account);

    /// <summary>How many may run at once; null for any number.</summary>
    public int? LimitOf(string account)
    {
        int? configured = Share(account, _configured.GetValueOrDefault(account));
        if (_learned.Count == 0 || !_learned.TryGetValue(account, out Learned? learned) || learned.Limit >= Forgotten) return configured;
        return Math.Min((int)learned.Limit, configured ?? int.MaxValue);
    }

    /// <summary>Nobody can be asked for shares: one that is smaller than an even one counts as that.</summary>
    public void SetAlone(bool isAlone)
    {
        _isAlone = isAlone;
        foreach (string account in _shares.Keys) HandOver(account);
    }

    /// <summary>One of several replicas asks for its shares of the slots that accounts have: what there is news of, or <paramref name="all"/>.</summary>
    public List<(string Account, LimitQuestion Question)> AskForShares(string replica, int live, bool all)
    {
        _live = live;
        List<(string, LimitQuestion)> questions = [];
        foreach ((string account, int? limit) in _configured)
        {
            if (limit is null && !_shares.ContainsKey(account)) continue;
            if (!_shares.TryGetValue(account, out LimitHold? hold)) _shares.Add(account, hold = new LimitHold());
            int taken = TakenOf(account);
            int waiting = Queue.CountFor(account);
            if ((all && limit is not null) || hold.IsDue(limit, 0, taken + waiting)) questions.Add((account, hold.AskShare(replica, limit, taken, waiting)));
        }

        return questions;
    }

    public void TakeShare(string account, LimitQuestion question, LimitAnswer answer)
    {
        if (!_shares.TryGetValue(account, out LimitHold? hold)) return;
        hold.Take(question, answer);
        HandOver(account);
    }

    private int? Share(string account, int? configured)
    {
        if (configured is not { } limit || !_shares.TryGetValue(account, out LimitHold? hold)) return configured;
        long even = ShareRules.BeforeAsking(limit, _live);
        return (int)Math.Min(limit, Math.Max(_isAlone ? even : 0, hold.Cap(even)));
    }

    public bool IsFull(string account) => LimitOf(account) is { } limit && TakenOf(account) >= limit;

    /// <summary>The limit was learned, and is less than what is configured.</summary>
    public bool IsLearned(string account) => LimitOf(account) is { } limit && limit != Share(account, _configured.GetValueOrDefault(account));

    /// <summary>How often a limit was learned so far; a request keeps what it began with.</summary>
    public int CutsOf(string account) => _learned.GetValueOrDefault(account)?.Cuts ?? 0;

    public void Configure(IEnumerable<AccountSnapshot> accounts, int queueLength)
    {
        _configured = accounts.ToDictionary(a => a.Name, a => a.MaxConcurrent);
        foreach (string gone in _learned.Keys.Where(k => !_configured.ContainsKey(k)).ToArray()) _learned.Remove(gone);
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

    /// <summary>The upstream refused a request, which still holds its slot, for what runs beside it. Of a burst that was refused together the first counts.</summary>
    /// <param name="account">Whose upstream.</param>
    /// <param name="cuts">What <see cref="CutsOf"/> was when the request began.</param>
    public void Refused(string account, int cuts)
    {
        if (!_configured.ContainsKey(account) || cuts != CutsOf(account)) return;
        _learned[account] = new Learned { Limit = Math.Max(1, TakenOf(account) / 2), Cuts = cuts + 1 };
    }

    /// <summary>A request, which still holds its slot, was answered.</summary>
    public void Answered(string account)
    {
        if (_learned.Count == 0 || !_learned.TryGetValue(account, out Learned? learned) || TakenOf(account) < (int)learned.Limit) return;
        learned.Limit += 1 / learned.Limit;
    }

    /// <summary>Forgets what was learned of an account.</summary>
    public void Forget(string account)
    {
        if (_learned.TryGetValue(account, out Learned? learned)) learned.Limit = Forgotten;
        HandOver(account);
    }

    public ImmutableArray<SlotRecord> Export() => [.. _learned.Where(l => l.Value.Limit < Forgotten).Select(l => new SlotRecord(l.Key, l.Value.Limit))];

    /// <summary>Those of accounts that are not configured any more say nothing.</summary>
    public void Import(IEnumerable<SlotRecord> records)
    {
        foreach (SlotRecord record in records.Where(r => _configured.ContainsKey(r.Account) && r.Limit is >= 1 and < Forgotten)) _learned[record.Account] = new Learned { Limit = record.Limit, Cuts = CutsOf(record.Account) + 1 };
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

    private sealed class Learned
    {
        public double Limit { get; set; }

        public int Cuts { get; init; }
    }
}
