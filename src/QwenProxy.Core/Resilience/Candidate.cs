using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

public enum CandidateState
{
    /// <summary>May be asked now.</summary>
    Ready,

    /// <summary>Failed lately in a way that names no time: asked only after the ready ones.</summary>
    Last,

    /// <summary>Upstream named a time before which it will not answer.</summary>
    Cooling,

    /// <summary>The breaker is open, or its one probe is under way.</summary>
    BreakerOpen,

    /// <summary>Would be ready, or asked last, but runs as many requests as it may.</summary>
    Full,

    /// <summary>Switched off by command.</summary>
    Isolated,
}

/// <summary>One account that could serve one model, as it stands at this moment.</summary>
/// <param name="Account">The account's name.</param>
/// <param name="Model">The model as the account knows it.</param>
/// <param name="State">Whether it may be asked.</param>
/// <param name="ReadyAt">When that changes by itself; null when it may be asked now or nobody knows.</param>
/// <param name="Reason">The failure behind a state other than ready; null for none.</param>
public sealed record Candidate(string Account, string Model, CandidateState State, DateTimeOffset? ReadyAt = null, ProxyError? Reason = null)
{
    /// <summary>Held back because the account said no for good (key, quota, bill), not because it is busy.</summary>
    public bool IsBanned => State is CandidateState.Last or CandidateState.Full && Reason is not null && ErrorPolicy.For(Reason.Kind).Bans;

    /// <summary>A limit that named no time was met so lately that asking now would only meet it again; null when that is no question.</summary>
    public DateTimeOffset? LimitedUntil =>
        State == CandidateState.Last && Reason is not null && ErrorPolicy.For(Reason.Kind) is { LeastWait.Ticks: > 0 } rule ? ReadyAt - rule.Cooldown + rule.LeastWait : null;

    /// <summary>May be asked now without wasting an attempt on a known no.</summary>
    public bool CanServe => State == CandidateState.Ready || (State == CandidateState.Last && !IsBanned);
}

/// <summary>One model of a route with its candidates, the best first. The first route is the model asked for, the rest are its fallbacks.</summary>
public sealed record ModelRoute(string Model, IReadOnlyList<Candidate> Candidates);
