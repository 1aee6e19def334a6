using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Accounts;

/// <summary>
/// What a settled attempt changed, for the log: a breaker's new state, a cooldown that now stands, marks of a quota that were passed; null or empty when
/// nothing did.
/// </summary>
public readonly record struct Settlement(BreakerState? Breaker, Cooldown? Cooldown, ImmutableArray<QuotaStanding> Marks);

/// <summary>What survives a restart.</summary>
public sealed record PoolRecord(ImmutableArray<BreakerRecord> Breakers, ImmutableArray<Cooldown> Cooldowns)
{
    public static PoolRecord Empty { get; } = new([], []);

    /// <summary>How much of the plans is used.</summary>
    public ImmutableArray<QuotaRecord> Quotas { get; init; } = [];

    /// <summary>Learned limits of requests at once.</summary>
    public ImmutableArray<SlotRecord> Slots { get; init; } = [];
}

/// <summary>
/// How the accounts are doing: load, breakers, cooldowns, quotas. The one owner of them all, behind one lock that is held for microseconds. State is
/// kept by name, so a reload of the configuration needs no hand-over.
/// </summary>
/// <param name="breakerFailures">Faults in a row that open a breaker.</param>
/// <param name="breakerOpen">How long it stays open, and the time between probes.</param>
public sealed partial class AccountPool(int breakerFailures, TimeSpan breakerOpen)
{
    /// <summary>Model names come from clients, so what is kept per model is bounded.</summary>
    private const int MaxBreakers = 4096;

    /// <summary>A timer may fire this much early; who has waited for a named time by it has waited long enough.</summary>
    internal static readonly TimeSpan TimerSlack = TimeSpan.FromMilliseconds(20);

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Account, string Model), CircuitBreaker> _breakers = [];
    private readonly AccountSlots _slots = new();
    private readonly HashSet<string> _isolated = [];
    private readonly Cooldowns _cooldowns = new();
    private readonly AccountQuotas _quotas = new();
    private readonly HashSet<string> _served = new(StringComparer.Ordinal);

    /// <summary>Leases not yet settled.</summary>
    public int LeasesOut { get; private set; }

    /// <summary>The candidates of each model in the order to ask: by priority, then by affinity, else by load.</summary>
    /// <param name="plan">Whom there is.</param>
    /// <param name="affinity">What keeps a conversation at one account; null for none.</param>
    /// <param name="now">The time.</param>
    /// <param name="held">An account of which the asking request holds a slot: for it, it is not full.</param>
    /// <param name="claim">Who asks: a part of a quota may be kept for others.</param>
    public IReadOnlyList<ModelRoute> View(RoutePlan plan, ulong? affinity, DateTimeOffset now, string? held = null, QuotaClaim claim = default)
    {
        lock (_gate)
        {
            ModelRoute[] routes = new ModelRoute[plan.Models.Length];
            for (int i = 0; i < routes.Length; i++)
            {
                ModelAccounts model = plan.Models[i];
                Candidate[] candidates = [.. Order(model.Accounts, affinity).Select(a => WithSlots(Look(a.Name, model.Model, claim, now), held))];
                routes[i] = new ModelRoute(model.Model, candidates);
            }

            return routes;
        }
    }

    /// <summary>
    /// Takes a lease; false when, since the view was made, the breaker opened, another request took its one probe, the last slot or what was left of a quota,
    /// or upstream named a time before which it will not answer.
    /// </summary>
    /// <param name="account">Whom to ask.</param>
    /// <param name="model">For which model.</param>
    /// <param name="now">The time.</param>
    /// <param name="lease">To be settled once.</param>
    /// <param name="holdsSlot">The request was granted a slot of this account (<see cref="TryWait"/>), which is used or given back here.</param>
    /// <param name="claim">As in <see cref="View"/>.</param>
    /// <param name="lastResort">The account is asked although its quota seems used up.</param>
    public bool TryLease(
        string account, string model, DateTimeOffset now, [NotNullWhen(true)] out Lease? lease, bool holdsSlot = false, QuotaClaim claim = default, bool lastResort = false)
    {
        lock (_gate)
        {
            lease = null;
            bool isProbe = false;
            bool isFree = !_isolated.Contains(account) && (holdsSlot || !_slots.IsFull(account)) && _cooldowns.Find(account, model, now + TimerSlack) is not { Hard: true }
                && (_quotas.Hold(account, model, claim, now + TimerSlack) is not { } hold || (lastResort && hold.Reserve is null));
            if (!isFree || (_breakers.TryGetValue((account, model), out CircuitBreaker? breaker) && !breaker.TryEnter(now, out isProbe)))
            {
                if (holdsSlot) _slots.Free(account);
                return false;
            }

            if (!holdsSlot) _slots.Take(account);
            LeasesOut++;
            lease = new Lease(this, account, model, isProbe) { Cuts = _slots.CutsOf(account), Charge = _quotas.Begin(account, model, claim, now) };
            return true;
        }
    }

    public int LoadOf(string account)
    {
        lock (_gate) return _slots.TakenOf(account);
    }

    /// <summary>How many requests may run at once at an account, as configured or, if that is less, as learned; null for any number.</summary>
    public int? LimitOf(string account)
    {
        lock (_gate) return _slots.LimitOf(account);
    }

    /// <summary>Requests that wait for a slot.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate) return _slots.Queue.Count;
        }
    }

    /// <summary>Takes over how many requests each account may run at once, and how many may wait.</summary>
    public void ConfigureSlots(IEnumerable<AccountSnapshot> accounts, int queueLength)
    {
        lock (_gate) _slots.Configure(accounts, queueLength);
    }

    /// <summary>Waits for a slot of one of the accounts it accepts; one that is free by now is granted at once. False when the queue is full.</summary>
    public bool TryWait(ISlotWaiter waiter, IEnumerable<string> accounts)
    {
        lock (_gate)
        {
            if (accounts.FirstOrDefault(a => !_slots.IsFull(a)) is not { } free) return _slots.Queue.TryAdd(waiter);
            _slots.Take(free);
            waiter.Grant(free);
            return true;
        }
    }

    /// <summary>Waits no more. False when it was granted a slot or sent away meanwhile.</summary>
    public bool StopWaiting(ISlotWaiter waiter)
    {
        lock (_gate) return _slots.Queue.Remove(waiter);
    }

    /// <summary>Gives back a slot that was granted and not used.</summary>
    public void ReturnSlot(string account)
    {
        lock (_gate) _slots.Free(account);
    }

    internal Settlement Settle(Lease lease, ProxyError? error, TokenCounts? tokens, DateTimeOffset now)
    {
        lock (_gate)
        {
            if (error is null) _slots.Answered(lease.Account);
            else if (error.Kind == FaultKind.ConcurrencyLimited) _slots.Refused(lease.Account, lease.Cuts);
            GiveBack(lease);
            bool counts = error is null || lease.HasBegun || !ErrorPolicy.For(error.Kind).Refuses;
            AccountQuotas.End(lease.Charge, counts, served: error is null || lease.HasBegun, tokens);
            bool? verdict = ErrorPolicy.BreakerVerdict(error);
            CircuitBreaker? breaker = _breakers.GetValueOrDefault((lease.Account, lease.Model));
            if (breaker is null && verdict is true) breaker = BreakerFor(lease.Account, lease.Model);
            bool changed = breaker?.Report(verdict, lease.IsProbe, now) ?? false;
            if (error is null) Serve(lease);
            DateTimeOffset? reset = error is { Kind: FaultKind.QuotaExhausted } ? _quotas.Refused(lease.Account, lease.Model, error, now) : null;
            Cooldown? cooldown = error is null || IsOfAnUnknownName(lease.Model, error) ? null : _cooldowns.Note(lease.Account, lease.Model, error, now, reset);
            BreakerState? state = changed ? breaker!.State : null;
            if (breaker is { State: BreakerState.Closed, Failures: 0 }) _breakers.Remove((lease.Account, lease.Model));
            return new Settlement(state, cooldown, _quotas.Crossings(lease.Account, now));
        }
    }

    internal void Release(Lease lease)
    {
        lock (_gate)
        {
            GiveBack(lease);
            // Upstream was asked, and counts what it was asked.
            AccountQuotas.End(lease.Charge, counts: true, served: false, tokens: null);
            // No verdict means that no time is needed either: a probe without one only frees its place.
            _breakers.GetValueOrDefault((lease.Account, lease.Model))?.Report(fault: null, lease.IsProbe, default);
        }
    }

    private void Serve(Lease lease)
    {
        _cooldowns.Forgive(lease.Account, lease.Model);
        if (_served.Count < MaxBreakers) _served.Add(lease.Model);
    }

    /// <summary>A name that no account ever served says nothing about an account that does not know it, and clients make up any number of names.</summary>
    private bool IsOfAnUnknownName(string model, ProxyError error) => error.Kind == FaultKind.ModelNotFound && !_served.Contains(model);

    private void GiveBack(Lease lease)
    {
        LeasesOut--;
        _slots.Free(lease.Account);
    }

    /// <summary>Null at the bound: a route that cannot be watched is still served.</summary>
    private CircuitBreaker? BreakerFor(string account, string model)
    {
        if (_breakers.TryGetValue((account, model), out CircuitBreaker? breaker)) return breaker;
        if (_breakers.Count >= MaxBreakers && !ForgetUnknown()) return null;
        breaker = new CircuitBreaker(breakerFailures, breakerOpen) { NeedsClaim = _claimsProbes };
        _breakers.Add((account, model), breaker);
        return breaker;
    }

    /// <summary>Names that nobody ever served make room for those that somebody may.</summary>
    private bool ForgetUnknown()
    {
        foreach ((string Account, string Model) key in _breakers.Keys.Where(k => !_served.Contains(k.Model)).ToArray()) _breakers.Remove(key);
        return _breakers.Count < MaxBreakers;
    }

    private Candidate Look(string account, string model, QuotaClaim claim, DateTimeOffset now)
    {
        if (_isolated.Contains(account)) return new Candidate(account, model, CandidateState.Isolated);
        if (_breakers.TryGetValue((account, model), out CircuitBreaker? breaker) && !breaker.WouldAllow(now))
        {
            CandidateState blocked = breaker.State == BreakerState.Isolated ? CandidateState.Isolated : CandidateState.BreakerOpen;
            return new Candidate(account, model, blocked, breaker.NextProbe(now));
        }

        Cooldown? cooldown = _cooldowns.Find(account, model, now);
        QuotaHold? hold = cooldown is { Hard: true } ? null : _quotas.Hold(account, model, claim, now);
        // Upstream's own words are better than our count, but what is kept for others nobody asks for.
        bool isTold = cooldown is not null && (cooldown.Hard || ErrorPolicy.For(cooldown.Kind).Bans);
        if (hold is not null && (hold.Reserve is not null || !isTold)) return HeldBack(account, model, hold, now);
        if (cooldown is null) return new Candidate(account, model, CandidateState.Ready);
        CandidateState state = cooldown.Hard ? CandidateState.Cooling : CandidateState.Last;
        // A named time is when it may be asked; where an account is asked last, the end of its window is what callers can count on.
        return new Candidate(account, model, state, cooldown.Hard ? cooldown.Until : cooldown.ReadyAt, cooldown.ToError(now));
    }

    /// <summary>Used up by our own count it is asked last, so that others are asked before the wall; what is kept for others is not asked at all.</summary>
    private static Candidate HeldBack(string account, string model, QuotaHold hold, DateTimeOffset now) => hold.Reserve is { } reserve
        ? new Candidate(account, model, CandidateState.Cooling, hold.Until, OwnErrors.QuotaReserved(account, hold.Standing.Window, reserve.Percent, reserve.Whom, hold.Until, now))
        : new Candidate(account, model, CandidateState.Last, hold.Until, OwnErrors.QuotaUsedUp(account, hold.Standing.Window, hold.Until, now));

    /// <summary>An account that could be asked, but runs all that it may.</summary>
    private Candidate WithSlots(Candidate candidate, string? held)
    {
        bool isFull = candidate.State is CandidateState.Ready or CandidateState.Last && candidate.Account != held && _slots.IsFull(candidate.Account);
        return isFull ? candidate with { State = CandidateState.Full } : candidate;
    }

    private IEnumerable<AccountSnapshot> Order(ImmutableArray<AccountSnapshot> accounts, ulong? affinity)
    {
        if (accounts.Length < 2) return accounts;
        IOrderedEnumerable<AccountSnapshot> byPriority = accounts.OrderBy(a => a.Priority);
        return affinity is { } key
            ? byPriority.ThenByDescending(a => AffinityKey.Score(key, a.Name))
            : byPriority.ThenBy(a => _slots.TakenOf(a.Name));
    }
}
