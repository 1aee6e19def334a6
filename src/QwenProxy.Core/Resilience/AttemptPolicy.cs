using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>
/// Decides whom a request asks next, from what it has tried, what the error table says and how the accounts stand. It knows no clock and does
/// not wait; chance (for jitter) comes in.
/// </summary>
public sealed class AttemptPolicy(AttemptLimits limits, Random random)
{
    /// <summary>A wait longer than this is not worth it when a fallback model could answer at once.</summary>
    private static readonly TimeSpan PatienceBeforeFallback = Backoff.Cap;

    private readonly Lock _gate = new();

    /// <summary>
    /// The first step and each one after a failure. <paramref name="routes"/> is the state of this moment: the model asked for, then its fallbacks.
    /// </summary>
    public NextStep Decide(AttemptHistory history, IReadOnlyList<ModelRoute> routes, DateTimeOffset now)
    {
        FailedAttempt? last = history.Last;
        ErrorRule? rule = last is { } failed ? ErrorPolicy.For(failed.Error.Kind) : null;
        if (rule is { IsFinal: true }) return new NextStep.GiveUp(ErrorPolicy.WithRetryAfter(last!.Value.Error));
        int start = last is null ? 0 : Math.Max(0, IndexOf(routes, last.Value.Model));
        for (int i = start; i < routes.Count; i++)
        {
            if (i > start && rule is { OtherModel: false }) break;
            ErrorRule? here = i == start ? rule : null;
            Pick? pick = PickOn(history, routes, i, here, now);
            if (pick is { Delay.Ticks: 0 } ready) return Ask(history, routes, i, ready);
            if (FullOn(history, routes[i], here) is { Count: > 0 } full) return new NextStep.AwaitSlot(full);
            if (pick is { } found) return Ask(history, routes, i, found);
        }

        if (last is null && LastResort(routes) is { } banned) return banned.Candidate.State == CandidateState.Full ? new NextStep.AwaitSlot([banned.Candidate.Account]) : Ask(history, routes, banned.Index, new Pick(banned.Candidate, TimeSpan.Zero));
        return new NextStep.GiveUp(FinalError(history, routes, now));
    }

    /// <summary>
    /// Whom to ask beside an attempt that has said nothing for a while: another account that is ready for the same model and was not asked yet.
    /// Null when there is none, or when the budget, in which both count, does not allow it.
    /// </summary>
    public NextStep.Ask? Hedge(AttemptHistory history, IReadOnlyList<ModelRoute> routes, NextStep.Ask running)
    {
        int index = IndexOf(routes, running.Model);
        if (index < 0 || history.CountOn(running.Model) + 1 >= limits.MaxAttempts) return null;
        foreach (Candidate candidate in routes[index].Candidates)
        {
            if (candidate.Account == running.Account || candidate.State != CandidateState.Ready || !Untried(history, candidate)) continue;
            return Ask(history, routes, index, new Pick(candidate, TimeSpan.Zero));
        }

        return null;
    }

    private NextStep.Ask Ask(AttemptHistory history, IReadOnlyList<ModelRoute> routes, int index, Pick pick)
    {
        history.AddWait(pick.Delay);
        bool another = AnotherCouldServe(history, routes, index, pick.Candidate.Account);
        return new NextStep.Ask(pick.Candidate.Account, pick.Candidate.Model, pick.Delay, another) { IsLastResort = pick.Candidate.IsBanned };
    }

    private Pick? PickOn(AttemptHistory history, IReadOnlyList<ModelRoute> routes, int index, ErrorRule? rule, DateTimeOffset now)
    {
        ModelRoute route = routes[index];
        if (rule is { Here: false, Elsewhere: false } || history.CountOn(route.Model) >= limits.MaxAttempts) return null;
        TimeSpan budget = limits.MaxWait - history.Waited;
        bool fallbackReady = UntriedFrom(history, routes, index + 1);
        bool othersServe = fallbackReady || UntriedFrom(history, routes, index);
        if (fallbackReady && budget > PatienceBeforeFallback) budget = PatienceBeforeFallback;
        Pick? waiting = null;
        int fewest = int.MaxValue;
        foreach (Candidate candidate in Ordered(history, route))
        {
            if (candidate.IsBanned || history.Refused(candidate.Account, candidate.Model)) continue;
            if (othersServe && history.Leaves(candidate)) continue;
            int tries = history.CountOn(candidate.Account, candidate.Model);
            if (tries == 0 && candidate.CanServe && !(candidate.LimitedUntil > now)) return new Pick(candidate, TimeSpan.Zero);
            TimeSpan? delay = DelayFor(candidate, tries, history, now);
            if (delay is not { } wait || wait > budget) continue;
            if (waiting is not null && (tries > fewest || (tries == fewest && wait >= waiting.Value.Delay))) continue;
            waiting = new Pick(candidate, wait);
            fewest = tries;
        }

        return waiting;
    }

    /// <summary>The accounts that could be asked for this model now if they had a free slot. Waiting for one beats a fallback model, which is for what fails.</summary>
    private List<string> FullOn(AttemptHistory history, ModelRoute route, ErrorRule? rule)
    {
        if (rule is { Here: false, Elsewhere: false } || history.CountOn(route.Model) >= limits.MaxAttempts) return [];
        return [.. route.Candidates.Where(c => c.State == CandidateState.Full && !c.IsBanned && !history.Refused(c.Account, c.Model) && MayAgain(c)).Select(c => c.Account)];

        bool MayAgain(Candidate c) => history.CountOn(c.Account, c.Model) == 0 || ErrorPolicy.For(history.LastOf(c.Account, c.Model)!.Kind).Here;
    }

    /// <summary>How long until this account may be asked (again); null for never within this request.</summary>
    private TimeSpan? DelayFor(Candidate candidate, int tries, AttemptHistory history, DateTimeOffset now)
    {
        TimeSpan backoff = TimeSpan.Zero;
        if (tries > 0)
        {
            ProxyError error = history.LastOf(candidate.Account, candidate.Model)!;
            if (!ErrorPolicy.For(error.Kind).Here) return null;
            backoff = Jittered(history.CountOn(candidate.Model), ErrorPolicy.For(error.Kind).LeastWait);
        }

        // Another request met the limit a moment ago.
        if (candidate.LimitedUntil is { } limited && limited - now > backoff) backoff = limited - now;

        return candidate.State switch
        {
            CandidateState.Ready or CandidateState.Last => backoff,
            CandidateState.Cooling when candidate.ReadyAt is { } ready => ready - now > backoff ? ready - now : backoff,
            _ => null,
        };
    }

    private TimeSpan Jittered(int retry, TimeSpan least)
    {
        lock (_gate) return Backoff.Wait(retry, least, random);
    }

    /// <summary>Ready ones first, of those the ones that have not failed this answer; otherwise the pool's order (priority, affinity, load).</summary>
    private static IEnumerable<Candidate> Ordered(AttemptHistory history, ModelRoute route) => route.Candidates.Count == 1 ? route.Candidates
        : route.Candidates.OrderBy(c => c.State != CandidateState.Ready ? int.MaxValue : history.FailuresBefore(c));

    /// <summary>On this route or a later one somebody could serve who was not asked yet.</summary>
    private bool UntriedFrom(AttemptHistory history, IReadOnlyList<ModelRoute> routes, int index)
    {
        for (int i = index; i < routes.Count; i++)
        {
            if (history.CountOn(routes[i].Model) < limits.MaxAttempts && routes[i].Candidates.Any(c => Untried(history, c))) return true;
        }

        return false;
    }

    private bool AnotherCouldServe(AttemptHistory history, IReadOnlyList<ModelRoute> routes, int index, string account)
    {
        // The attempt about to be made counts: with none left after it there is nowhere to go on this model.
        bool attemptsLeft = history.CountOn(routes[index].Model) + 1 < limits.MaxAttempts;
        if (attemptsLeft && routes[index].Candidates.Any(c => c.Account != account && Untried(history, c))) return true;
        return UntriedFrom(history, routes, index + 1);
    }

    private static bool Untried(AttemptHistory history, Candidate c) =>
        c.CanServe && !history.Refused(c.Account, c.Model) && !history.Leaves(c) && history.CountOn(c.Account, c.Model) == 0;

    /// <summary>Nobody can serve but accounts that said no a while ago: upstream's own answer is better than the pool's guess.</summary>
    private static (int Index, Candidate Candidate)? LastResort(IReadOnlyList<ModelRoute> routes)
    {
        for (int i = 0; i < routes.Count; i++)
        {
            foreach (Candidate candidate in routes[i].Candidates)
            {
                if (candidate.State is CandidateState.Last or CandidateState.Full) return (i, candidate);
            }
        }

        return null;
    }

    private static int IndexOf(IReadOnlyList<ModelRoute> routes, string model)
    {
        for (int i = 0; i < routes.Count; i++)
        {
            if (routes[i].Model == model) return i;
        }

        return -1;
    }

    private static ProxyError FinalError(AttemptHistory history, IReadOnlyList<ModelRoute> routes, DateTimeOffset now)
    {
        DateTimeOffset? earliest = routes.SelectMany(r => r.Candidates).Where(c => !c.CanServe).Min(c => c.ReadyAt);
        TimeSpan? wait = earliest is null ? null : TimeSpan.FromSeconds(Math.Max(1, Math.Ceiling((earliest.Value - now).TotalSeconds)));
        if (history.Failures.Count == 0) return WithoutAttempt(routes, wait);
        ProxyError told = MostTelling(history, routes);
        // Another account may be back sooner than the one whose words are told.
        if (told.Status is 429 or 503 && wait is not null && !(told.RetryAfter < wait)) told = told with { RetryAfter = wait };
        return ErrorPolicy.WithRetryAfter(ErrorSummary.OfAttempts(told, [.. history.Failures.Where(f => f.Model == routes[0].Model)], now));
    }

    /// <summary>
    /// The last failure on the model that was asked for, since a fallback's troubles mean nothing to the client; and one that passes rather than
    /// one account's bad key, since the request may well succeed later.
    /// </summary>
    private static ProxyError MostTelling(AttemptHistory history, IReadOnlyList<ModelRoute> routes)
    {
        ProxyError? any = null;
        ProxyError? passing = null;
        foreach (FailedAttempt attempt in history.Failures)
        {
            if (attempt.Model != routes[0].Model) continue;
            any = attempt.Error;
            if (!ErrorPolicy.For(attempt.Error.Kind).Bans) passing = attempt.Error;
        }

        return passing ?? any ?? history.Failures[^1].Error;
    }

    private static ProxyError WithoutAttempt(IReadOnlyList<ModelRoute> routes, TimeSpan? wait)
    {
        Candidate[] all = [.. routes.SelectMany(r => r.Candidates)];
        if (all.Length == 0) return OwnErrors.ModelNotFound(routes.Count > 0 ? routes[0].Model : "");
        TimeSpan retryAfter = wait ?? TimeSpan.FromSeconds(60);
        Candidate[] cooling = [.. all.Where(c => c.State == CandidateState.Cooling)];
        if (cooling.Length == 0) return ErrorSummary.OfCandidates(OwnErrors.CircuitOpen(retryAfter), all);
        // What is kept for others is a limit of this client, not a fault of the accounts.
        if (cooling.All(c => c.Reason is { Kind: FaultKind.QuotaReserved })) return ErrorSummary.OfCandidates(cooling.MinBy(c => c.ReadyAt)!.Reason! with { RetryAfter = retryAfter }, all);
        // With one account there is no pool to speak of: later callers hear what the first one heard.
        bool alone = all.All(c => c.Account == all[0].Account);
        if (alone && cooling.MinBy(c => c.ReadyAt)!.Reason is { } reason) return reason with { RetryAfter = retryAfter };
        return ErrorSummary.OfCandidates(OwnErrors.AccountsCooling(retryAfter), all);
    }

    private readonly record struct Pick(Candidate Candidate, TimeSpan Delay);
}
