namespace QwenProxy.Core.Resilience;

public enum BreakerState
{
    Closed,
    Open,
    HalfOpen,

    /// <summary>Switched off by command; only a command brings it back.</summary>
    Isolated,
}

/// <summary>A breaker as it is written down: enough to go on after a restart.</summary>
public sealed record BreakerRecord(string Account, string Model, BreakerState State, int Failures, DateTimeOffset? NextProbe);

/// <summary>
/// Leaves a broken route alone. <paramref name="threshold"/> faults in a row open it; after <paramref name="openFor"/> one attempt is let through
/// as a probe, and one more per such interval until one succeeds. The interval does not grow: a growing one keeps a healed account idle.
/// Not thread-safe: the pool's lock covers it.
/// </summary>
public sealed class CircuitBreaker(int threshold, TimeSpan openFor)
{
    private int _failures;
    private DateTimeOffset _nextProbe;
    private bool _isolated;
    private bool _open;
    private bool _probing;
    private bool _isWanted;
    private DateTimeOffset _claimedUntil;

    /// <summary>Others watch the same route: a probe needs a claim (<see cref="GrantProbe"/>), of which there is one among all.</summary>
    public bool NeedsClaim { get; set; }

    public int Failures => _failures;

    public BreakerState State => Resting == BreakerState.Open && _probing ? BreakerState.HalfOpen : Resting;

    /// <summary>When the next attempt may go through; null when one may now or none ever will.</summary>
    public DateTimeOffset? NextProbe(DateTimeOffset now) => _isolated || !_open || now >= _nextProbe ? null : _nextProbe;

    /// <summary>Whether an attempt would be let through. That somebody asked is remembered: nobody claims a probe that no request is there for.</summary>
    public bool WouldAllow(DateTimeOffset now)
    {
        if (_isolated || !_open) return !_isolated;
        _isWanted = true;
        return now >= _nextProbe && (!NeedsClaim || now < _claimedUntil);
    }

    /// <summary>A request was there for it, the time of its probe has come or comes within <paramref name="lead"/>, and there is no claim yet.</summary>
    public bool WantsClaim(DateTimeOffset now, TimeSpan lead)
    {
        if (!_open || _isolated || !NeedsClaim || !_isWanted || _probing || now + lead < _nextProbe || now < _claimedUntil) return false;
        _isWanted = false;
        return true;
    }

    /// <summary>The one probe of this interval is this proxy's.</summary>
    public void GrantProbe(DateTimeOffset until) => _claimedUntil = until;

    /// <summary>Takes the permission for one attempt. <paramref name="isProbe"/> tells that its outcome decides for everybody.</summary>
    public bool TryEnter(DateTimeOffset now, out bool isProbe)
    {
        isProbe = false;
        if (!WouldAllow(now)) return false;
        if (!_open) return true;
        isProbe = _probing = true;
        _claimedUntil = default;
        _nextProbe = now + openFor;
        return true;
    }

    /// <summary>An attempt ended. See <see cref="ErrorPolicy.BreakerVerdict"/> for what counts as a fault.</summary>
    /// <returns>True when the state changed.</returns>
    public bool Report(bool? fault, bool wasProbe, DateTimeOffset now)
    {
        BreakerState before = State;
        if (wasProbe) _probing = false;
        if (fault is true) Fail(wasProbe, now);
        else if (fault is false) Succeed(wasProbe);
        return State != before;
    }

    public void Isolate() => _isolated = true;

    /// <summary>Back to Closed, by command.</summary>
    public void Reset() => (_isolated, _open, _probing, _failures) = (false, false, false, 0);

    public BreakerRecord Export(string account, string model) =>
        new(account, model, Resting, _failures, _open ? _nextProbe : null);

    /// <summary>A time that lies further ahead than one interval (a clock that was set back) is shortened to one.</summary>
    public void Import(BreakerRecord record, DateTimeOffset now)
    {
        _failures = Math.Max(0, record.Failures);
        _isolated = record.State == BreakerState.Isolated;
        _open = record.State is BreakerState.Open or BreakerState.HalfOpen;
        _probing = false;
        DateTimeOffset latest = now + openFor;
        _nextProbe = record.NextProbe is { } next && next < latest ? next : latest;
    }

    /// <summary>The state without regard to a probe under way, which does not outlive the process.</summary>
    private BreakerState Resting => _isolated ? BreakerState.Isolated : _open ? BreakerState.Open : BreakerState.Closed;

    private void Fail(bool wasProbe, DateTimeOffset now)
    {
        // Attempts that began before it opened end later and say nothing new: they must not push the next probe further away.
        if (_open && !wasProbe) return;
        _failures = _failures == int.MaxValue ? _failures : _failures + 1;
        if (!_open && _failures < threshold) return;
        _open = true;
        _nextProbe = now + openFor;
    }

    private void Succeed(bool wasProbe)
    {
        if (_open && !wasProbe) return;
        _open = false;
        _failures = 0;
    }
}
