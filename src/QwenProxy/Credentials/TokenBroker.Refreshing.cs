using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>The single flight: who may start a refresh, when, and what its outcome changes.</summary>
internal sealed partial class TokenBroker
{
    /// <summary>
    /// A token that the upstream refuses this soon after it was fetched for that very reason is not going to be taken after another refresh.
    /// </summary>
    private static readonly TimeSpan s_freshFor = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan s_firstProbe = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_longestProbe = TimeSpan.FromHours(1);
    private static readonly TimeSpan s_attendedFor = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_loudSkew = TimeSpan.FromSeconds(60);

    private Task _refresh = Task.CompletedTask;
    private Failures? _failures;
    private int _condemned;
    private Secret? _refusedUnserved;
    private bool _skewTold;
    private bool _stopped;

    /// <summary>
    /// Why the account counts as dead. <see cref="ProbeAfter"/> is set where only time can tell: the token is then offered again after it.
    /// </summary>
    private sealed record Verdict(string Why, bool TokenRefused, long Since, TimeSpan? ProbeAfter);

    /// <summary>The negative cache: rounds that failed in passing ways, and how long nobody asks again.</summary>
    private sealed record Failures(int Rounds, string Reason, long First, long Last, TimeSpan Pause, TimeSpan UnattendedPause);

    private string? LastFailure => _failures?.Reason;

    /// <summary>The refresh in flight, or a new one, or a completed task when asking the server now would help nobody.</summary>
    private Task RefreshOnce(string? failedToken, bool attended)
    {
        lock (_gate)
        {
            if (!_refresh.IsCompleted) return _refresh;
            if (_stopped || _verdict is not null || _held is not { } held) return Task.CompletedTask;

            // Looked at again under the gate: another caller's refresh may have ended since this one looked.
            bool needed = failedToken is null ? held.PhaseAt(_time) != TokenPhase.Valid : held.Credentials.AccessToken.Matches(failedToken);
            if (!needed || UntilNextTry(attended) > TimeSpan.Zero) return Task.CompletedTask;
            return _refresh = RefreshAsync(held, failedToken, _failures is null ? RefreshBackoff.FirstRoundTries : 1);
        }
    }

    private async Task RefreshAsync(HeldToken held, string? failedToken, int tries)
    {
        // Off the caller's stack: it holds the gate, and it must be able to leave without taking the refresh along.
        await Task.Yield();
        RefreshOutcome outcome;
        try
        {
            outcome = await _refresher.RunAsync(held, failedToken, tries, _stopping.Token);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            return;
        }
        catch (Exception unexpected)
        {
            _log.WatchFailed(unexpected);
            outcome = new RefreshOutcome(RefreshOutcomeKind.Failed, "an internal fault, see the log");
        }

        Refreshed?.Invoke(outcome.Kind);
        lock (_gate) Settle(held, failedToken, outcome);
    }

    private void Settle(HeldToken held, string? failedToken, RefreshOutcome outcome)
    {
        if (_client.ClockSkew is { } skew && skew.Duration() > s_loudSkew && !_skewTold)
        {
            _skewTold = true;
            _log.ClockIsOff(skew);
        }

        if (outcome.Token is { } token)
        {
            TakeUp(token);
            if (failedToken is null) _condemned = 0;
            if (outcome.Kind == RefreshOutcomeKind.Adopted) _log.Adopted(_store.Path);
            else _log.Refreshed(token.ExpiresAt);
            return;
        }

        // What failed was a sign-in that has been replaced meanwhile: no news about the new one.
        if (_held is not { } now || !now.Credentials.AccessToken.Equals(held.Credentials.AccessToken)) return;
        if (outcome.Kind == RefreshOutcomeKind.Refused)
        {
            _verdict = new Verdict(outcome.Reason, TokenRefused: failedToken is not null, _time.GetTimestamp(), ProbeAfter: null);
            _log.SignedOut(outcome.Reason);
            return;
        }

        int rounds = (_failures?.Rounds ?? 0) + 1;
        long at = _time.GetTimestamp();
        double chance = _chance();
        _failures = new Failures(
            rounds, outcome.Reason, _failures?.First ?? at, at,
            RefreshBackoff.After(rounds, chance, outcome.RetryAfter, attended: true),
            RefreshBackoff.After(rounds, chance, outcome.RetryAfter, attended: false));
        _log.RefreshFailed(outcome.Reason, _failures.Pause);
    }

    private void TakeUp(HeldToken token)
    {
        _held = token;
        _seen = token.Stamp;
        _verdict = null;
        _failures = null;
        SignalAdoption();
    }

    /// <summary>For the background loop: the short pauses while somebody may be waiting, long ones once the outage has lasted.</summary>
    private bool IsAttended => _failures is not { } failures || _time.GetElapsedTime(failures.First) < s_attendedFor;

    private TimeSpan UntilNextTry(bool attended = true)
    {
        if (_failures is not { } failures) return TimeSpan.Zero;
        TimeSpan left = (attended ? failures.Pause : failures.UnattendedPause) - _time.GetElapsedTime(failures.Last);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>
    /// True when the refused token was itself fetched a moment ago because its predecessor was refused, and two such tokens in a row have never
    /// served: the service does not want this sign-in, and refreshing at every request would be a loop. The account rests instead. A token that has
    /// served proves the contrary, however soon it is refused: another program may have refreshed meanwhile, or the service rotates its tokens. One
    /// that has not may have met that before its first answer, so one alone proves nothing yet.
    /// </summary>
    private bool IsFreshRefusal(HeldToken held)
    {
        Secret token = held.Credentials.AccessToken;
        if (!held.ReplacesRefused || token.Equals(_served) || (_condemned == 0 && _time.GetElapsedTime(held.StartTimestamp) >= s_freshFor)) return false;
        lock (_gate)
        {
            if (_held != held) return true;
            bool first = _condemned == 0 && (_refusedUnserved is null || token.Equals(_refusedUnserved));
            if (first) _refusedUnserved = token;
            else Condemn("the service refuses even a token that was refreshed a moment ago");
            return !first;
        }
    }

    private void Condemn(string why)
    {
        if (_verdict is { TokenRefused: true }) return;
        TimeSpan rest = s_firstProbe * Math.Pow(2, Math.Min(_condemned++, 6));
        _verdict = new Verdict(why, TokenRefused: true, _time.GetTimestamp(), rest < s_longestProbe ? rest : s_longestProbe);
        _log.SignedOut(why);
    }

    /// <summary>The upstream refused the very token whose refresh was refused too: it is not handed out any more, however long it has left.</summary>
    private void ConfirmVerdict()
    {
        lock (_gate)
        {
            if (_verdict is { TokenRefused: false } verdict) _verdict = verdict with { TokenRefused = true };
        }
    }

    /// <summary>True when the account has rested and its token may be tried again.</summary>
    private bool LiftForProbe(Verdict verdict)
    {
        if (verdict.ProbeAfter is not { } rest || _time.GetElapsedTime(verdict.Since) < rest) return false;
        lock (_gate)
        {
            if (_verdict == verdict) _verdict = null;
        }

        return true;
    }
}
