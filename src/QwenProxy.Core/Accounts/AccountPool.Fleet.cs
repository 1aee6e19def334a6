using System.Collections.Immutable;
using QwenProxy.Core.Fleet;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Accounts;

/// <summary>What the pool shares with those of other replicas. Requests never wait for it: each decides by what is known here.</summary>
public sealed partial class AccountPool
{
    /// <summary>A claim is looked for this long before its time, so that the first request after it finds it.</summary>
    private static readonly TimeSpan s_claimLead = TimeSpan.FromSeconds(1);

    private bool _claimsProbes;

    /// <summary>
    /// Whether others can be asked. While they can, there is one probe in the whole fleet: a breaker lets its probe through only with a claim. While they
    /// cannot, each replica probes by itself, and has an even share of each account's slots at least, since a request would else wait for what cannot come.
    /// </summary>
    public void Reach(bool isThere)
    {
        lock (_gate)
        {
            if (_claimsProbes == isThere) return;
            _claimsProbes = isThere;
            foreach (CircuitBreaker breaker in _breakers.Values) breaker.NeedsClaim = isThere;
            _slots.SetAlone(!isThere);
        }
    }

    /// <summary>The probes that requests are there for and nobody has claimed here.</summary>
    public ImmutableArray<(string Account, string Model)> WantedProbes(DateTimeOffset now)
    {
        lock (_gate) return _breakers.Count == 0 ? [] : [.. _breakers.Where(b => b.Value.WantsClaim(now, s_claimLead)).Select(b => b.Key)];
    }

    /// <summary>How long a claim is good for: until the next probe would be due.</summary>
    public TimeSpan ProbeInterval => breakerOpen;

    public void GrantProbe(string account, string model, DateTimeOffset now)
    {
        lock (_gate) _breakers.GetValueOrDefault((account, model))?.GrantProbe(now + breakerOpen + s_claimLead);
    }

    /// <summary>See <see cref="AccountSlots.AskForShares"/>.</summary>
    public IReadOnlyList<(string Account, LimitQuestion Question)> AskForShares(string replica, int live, bool all)
    {
        lock (_gate) return _slots.AskForShares(replica, live, all);
    }

    public void TakeShare(string account, LimitQuestion question, LimitAnswer answer)
    {
        lock (_gate) _slots.TakeShare(account, question, answer);
    }

    /// <summary>
    /// Takes over what other replicas found out, and what they took back. A cooldown from elsewhere stands by the same rule as one from here; a breaker that is
    /// open elsewhere opens here.
    /// </summary>
    public void Merge(IEnumerable<SharedState> found, IEnumerable<SharedState> takenBack, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(found);
        ArgumentNullException.ThrowIfNull(takenBack);
        lock (_gate)
        {
            foreach (SharedState state in takenBack)
            {
                if (state.Cooldown is { } cooldown) _cooldowns.Withdraw(cooldown.Account, cooldown.Model, cooldown.Kind);
                else if (state.IsIsolation) _isolated.Remove(state.Account);
                else _breakers.Remove((state.Account, state.Breaker!.Model));
            }

            foreach (SharedState state in found)
            {
                if (state.Cooldown is { } cooldown) _cooldowns.Merge(cooldown, now);
                else if (state.IsIsolation) _isolated.Add(state.Account);
                else if (BreakerFor(state.Account, state.Breaker!.Model) is { State: BreakerState.Closed } closed) closed.Import(state.Breaker, now);
            }
        }
    }
}
