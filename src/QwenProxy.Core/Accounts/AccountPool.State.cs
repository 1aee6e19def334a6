using System.Collections.Immutable;
using QwenProxy.Core.Quotas;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Accounts;

/// <summary>What people and the configuration change, what is shown, and what survives a restart.</summary>
public sealed partial class AccountPool
{
    /// <summary>Switches an account off, or on again, which <see cref="Reset"/> does too.</summary>
    public void Isolate(string account, bool isolated = true)
    {
        lock (_gate) _ = isolated ? _isolated.Add(account) : _isolated.Remove(account);
    }

    /// <summary>
    /// Forgets everything held against an account: by command, or because it was seen to serve, which leaves one that is switched off as it is. Also a quota
    /// that is used up is counted anew.
    /// </summary>
    public void Reset(string account, DateTimeOffset now, bool keepIsolated = false)
    {
        lock (_gate)
        {
            if (!keepIsolated) _isolated.Remove(account);
            _cooldowns.Clear(account);
            _slots.Forget(account);
            _quotas.Reset(account, now);
            foreach (((string name, _), CircuitBreaker breaker) in _breakers)
            {
                if (name == account) breaker.Reset();
            }
        }
    }

    /// <summary>Takes over what is known of the accounts' plans.</summary>
    public void ConfigureQuotas(IEnumerable<AccountSnapshot> accounts)
    {
        lock (_gate) _quotas.Configure(accounts.Select(a => KeyValuePair.Create(a.Name, a.Quota ?? QuotaSettings.Of(a.Profile))));
    }

    /// <summary>How the windows of the plans stand.</summary>
    public ImmutableArray<QuotaStanding> Quotas(DateTimeOffset now)
    {
        lock (_gate) return _quotas.Look(now);
    }

    /// <summary>What an answer's headers tell of the plans; <paramref name="header"/> gives a number or null.</summary>
    public void TellQuota(string account, string model, Func<string, long?> header, DateTimeOffset now)
    {
        lock (_gate) _quotas.Tell(account, model, header, now);
    }

    /// <summary>Why routes are skipped: breakers that are not closed, accounts switched off, cooldowns. For the file also what was counted and learned.</summary>
    public PoolRecord Export(DateTimeOffset now, bool withCounts = false)
    {
        lock (_gate)
        {
            ImmutableArray<BreakerRecord>.Builder breakers = ImmutableArray.CreateBuilder<BreakerRecord>();
            breakers.AddRange(_isolated.Order(StringComparer.Ordinal).Select(a => new BreakerRecord(a, "*", BreakerState.Isolated, 0, null)));
            foreach (((string account, string model), CircuitBreaker breaker) in _breakers)
            {
                if (breaker.State != BreakerState.Closed || (breaker.Failures > 0 && _served.Contains(model))) breakers.Add(breaker.Export(account, model));
            }

            PoolRecord record = new(breakers.ToImmutable(), [.. _cooldowns.Export(now)]);
            return withCounts ? record with { Quotas = _quotas.Export(now), Slots = _slots.Export() } : record;
        }
    }

    /// <summary>Takes over other breaker settings. What the breakers have seen stays, and so do leases, loads and cooldowns.</summary>
    public void Configure(int failures, TimeSpan open, DateTimeOffset now)
    {
        lock (_gate)
        {
            if (failures == breakerFailures && open == breakerOpen) return;
            (breakerFailures, breakerOpen) = (failures, open);
            foreach (((string account, string model) key, CircuitBreaker old) in _breakers.ToArray())
            {
                CircuitBreaker breaker = new(failures, open);
                breaker.Import(old.Export(key.account, key.model), now);
                _breakers[key] = breaker;
            }
        }
    }

    public void Import(PoolRecord record, DateTimeOffset now)
    {
        lock (_gate)
        {
            foreach (BreakerRecord breaker in record.Breakers)
            {
                if (breaker is { State: BreakerState.Isolated, Model: "*" }) _isolated.Add(breaker.Account);
                else BreakerFor(breaker.Account, breaker.Model)?.Import(breaker, now);
            }

            _cooldowns.Import(record.Cooldowns, now);
            _quotas.Import(record.Quotas);
            _slots.Import(record.Slots);
        }
    }
}
