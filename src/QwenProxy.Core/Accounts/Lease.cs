using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Quotas;

namespace QwenProxy.Core.Accounts;

/// <summary>The right to make one attempt on one account. It is settled exactly once, whatever happens; settling again does nothing.</summary>
public sealed class Lease : IDisposable
{
    private readonly AccountPool _pool;
    private int _settled;

    internal Lease(AccountPool pool, string account, string model, bool isProbe)
    {
        _pool = pool;
        Account = account;
        Model = model;
        IsProbe = isProbe;
    }

    public string Account { get; }

    public string Model { get; }

    /// <summary>The breaker is half open and this attempt's outcome decides for everybody.</summary>
    public bool IsProbe { get; }

    /// <summary>How often this account's limit of requests at once had been learned when the attempt began.</summary>
    internal int Cuts { get; init; }

    /// <summary>What the attempt counts in its account's quotas; null where nothing is counted.</summary>
    internal QuotaCharge? Charge { get; init; }

    /// <summary>Upstream has begun to answer: what fails after it, it has counted.</summary>
    public bool HasBegun { get; set; }

    /// <summary>Gives the lease back with the attempt's outcome; null is success.</summary>
    /// <param name="error">The failure.</param>
    /// <param name="now">The time.</param>
    /// <param name="tokens">What upstream counted in this attempt; null when it did not tell.</param>
    public Settlement Settle(ProxyError? error, DateTimeOffset now, TokenCounts? tokens = null) =>
        Interlocked.Exchange(ref _settled, 1) == 0 ? _pool.Settle(this, error, tokens, now) : new Settlement(null, null, []);

    /// <summary>The attempt came to no verdict (the client left, the program stops): nothing is held against the account.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _settled, 1) == 0) _pool.Release(this);
    }
}
