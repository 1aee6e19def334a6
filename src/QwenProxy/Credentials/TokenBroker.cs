using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>
/// Keeps one OAuth account signed in. Hands out the token in memory, refreshes it in the background before it ends, lets at most one refresh run
/// however many callers, tasks or programs need one, and takes over what another program wrote into the file. A refresh runs under the broker's
/// own cancellation: a caller that leaves gives up its own wait and nobody else's.
/// </summary>
internal sealed partial class TokenBroker : IAsyncDisposable
{
    /// <summary>How stale the knowledge of the file may be when a token is handed out.</summary>
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(5);

    /// <summary>How long a request waits for a database that could not be read yet.</summary>
    private static readonly TimeSpan s_patienceWithStore = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_lookAgain = TimeSpan.FromMilliseconds(100);

    private readonly TokenBrokerOptions _options;
    private readonly TimeProvider _time;
    private readonly CredentialLog _log;
    private readonly ICredentialsStore _store;
    private readonly OAuthClient _client;
    private readonly TokenIntake _intake;
    private readonly TokenRefresh _refresher;
    private readonly Func<double> _chance;
    private readonly CancellationTokenSource _stopping = new();

    // Everything below is written under the gate; the token and the verdict are also read outside it, whole and immutable.
    private readonly Lock _gate = new();
    private volatile HeldToken? _held;
    private volatile Verdict? _verdict;
    private volatile Secret? _served;
    private volatile bool _isUnknown;
    private string _fault = "its sign-in was not read yet";

    /// <summary>Told what came of each refresh.</summary>
    public Action<RefreshOutcomeKind>? Refreshed { get; init; }

    public TokenBroker(TokenBrokerOptions options, HttpMessageInvoker http, TimeProvider time, Random random, ILogger logger)
    {
        // The user named the OAuth server; a resource on the same host needs no further permission (https is still asked for).
        _options = options = options with { AllowedHosts = [.. options.AllowedHosts, options.OAuthBaseUrl.Host] };
        _time = time;
        _log = new CredentialLog(logger, options.AccountName);
        _chance = () =>
        {
            lock (random) return random.NextDouble();
        };
        _store = options.Store ?? FileOf(options);
        _client = new OAuthClient(options.OAuthBaseUrl, http, time, options.NewId);
        _intake = new TokenIntake(options, time, _log);
        _refresher = new TokenRefresh(_store, _client, _intake, time, _chance, _log);
    }

    /// <summary>
    /// A token that is good now. Without waiting while one is valid, whatever the token endpoint does; else after the shared refresh, waiting at most
    /// <see cref="TokenBrokerOptions.RequestBound"/>. The caller's cancellation ends only its own wait.
    /// </summary>
    public ValueTask<AccessTokenResult> GetValidAccessTokenAsync(CancellationToken stop)
    {
        Look(s_lookEvery);
        if (_held is not { } held) return _isUnknown ? WaitForSignInAsync(stop) : new(SignedOut(_fault));
        if (held.Result.Error is not null) return new(held.Result);
        TokenPhase phase = held.PhaseAt(_time);
        if (_verdict is { } verdict && !LiftForProbe(verdict))
        {
            return new(verdict.TokenRefused || phase == TokenPhase.Expired ? SignedOut(verdict.Why) : held.Result);
        }

        if (phase == TokenPhase.Expiring) _ = RefreshOnce(null, attended: true);
        return phase is TokenPhase.Valid or TokenPhase.Expiring ? new(held.Result) : WaitForTokenAsync(held, phase, stop);
    }

    /// <summary>
    /// Called when the upstream failed before the first byte. True: another token is there now, ask once more with it. False: report the
    /// upstream's error. A late refusal of a token that has been replaced meanwhile costs no refresh, and a fresh token that is refused too is
    /// not refreshed again.
    /// </summary>
    /// <param name="failedToken">What was refused.</param>
    /// <param name="why">How.</param>
    /// <param name="stop">Ends the caller's wait.</param>
    /// <param name="again">The caller has recovered once already: then only a token that has served is worth another refresh.</param>
    public async ValueTask<bool> RecoverAsync(string failedToken, AuthFailure why, CancellationToken stop, bool again = false)
    {
        Look(TimeSpan.Zero);
        if (_held is not { } held) return false;
        if (!held.Credentials.AccessToken.Matches(failedToken)) return CanServe();
        if (again && !held.Credentials.AccessToken.Equals(_served)) return false;
        if (why == AuthFailure.GatewayTimeout)
        {
            if (!AuthErrors.RefreshAfterGatewayTimeout(held.PhaseAt(_time), changedOnDisk: false)) return false;
        }
        else if (IsFreshRefusal(held))
        {
            return false;
        }

        await WaitForChangeAsync(RefreshOnce(failedToken, attended: true), _options.RequestBound, stop);
        if (_held is { } now && !now.Credentials.AccessToken.Matches(failedToken)) return CanServe();
        if (why == AuthFailure.Refused) ConfirmVerdict();
        return false;
    }

    /// <summary>
    /// Called when the upstream answered a request with this token. A sign-in that serves is not dead, whatever another request was told in between.
    /// </summary>
    public void NoteServed(string token)
    {
        if (_held is not { } held || held.Credentials.AccessToken.Equals(_served) || !held.Credentials.AccessToken.Matches(token)) return;
        lock (_gate)
        {
            if (_held is not { } now || !now.Credentials.AccessToken.Matches(token)) return;
            _served = now.Credentials.AccessToken;
            _refusedUnserved = null;
            _condemned = 0;
            if (_verdict is { ProbeAfter: not null }) _verdict = null;
        }
    }

    /// <summary>
    /// Called when the upstream says in its own words that this kind of sign-in is over (<see cref="AuthErrors.IsServiceEnded"/>): the account
    /// counts as signed out, is tried again after a minute at first and an hour at most, and causes no refresh meanwhile.
    /// </summary>
    public void ReportServiceEnded(string reason)
    {
        lock (_gate) Condemn($"the service refuses it ({OAuthReplies.Plain(reason, 240)})");
    }

    public CredentialState State
    {
        get
        {
            Look(s_lookEvery);
            HeldToken? held = _held;
            Verdict? verdict = _verdict is { } current && !LiftForProbe(current) ? current : null;
            TokenPhase phase = held?.PhaseAt(_time) ?? TokenPhase.Expired;
            (CredentialStateKind kind, string? why) = (held, verdict) switch
            {
                (null, _) => (_isUnknown ? CredentialStateKind.Expired : CredentialStateKind.SignedOut, _fault),
                ({ Result.Error: { } error }, _) => (CredentialStateKind.SignedOut, error.Message),
                (_, { } dead) when dead.TokenRefused || phase == TokenPhase.Expired => (CredentialStateKind.SignedOut, dead.Why),
                (_, { } dead) => (CredentialStateKind.Expiring, $"the last token still works; {dead.Why}"),
                _ when phase == TokenPhase.Expired => (CredentialStateKind.Expired, LastFailure ?? "the token is over and is being refreshed"),
                _ => (phase == TokenPhase.Valid ? CredentialStateKind.Ready : CredentialStateKind.Expiring, LastFailure),
            };
            return new CredentialState
            {
                Kind = kind,
                Why = why,
                FilePath = held?.Stamp?.Path ?? _store.Path,
                ExpiresAt = held?.ExpiresAt,
                BaseUrl = held?.Result.BaseUrl,
                ClockSkew = _client.ClockSkew,
                IsUnsaved = held?.IsUnsaved ?? false,
            };
        }
    }

    private FileCredentials FileOf(TokenBrokerOptions options)
    {
        CredentialsFile file = new(options.CredentialsPath, options.FallbackPath, options.FolderIsOurs, options.Files, options.NewId);
        return new FileCredentials(file, new CredentialsLock(file.Folder, options.Files, _time, _chance, options.NewId));
    }

    /// <summary>The database could not be read yet: a sign-in that may be there is waited for, and not told to be over.</summary>
    private async ValueTask<AccessTokenResult> WaitForSignInAsync(CancellationToken stop)
    {
        long began = _time.GetTimestamp();
        TimeSpan patience = _options.RequestBound < s_patienceWithStore ? _options.RequestBound : s_patienceWithStore;
        while (_held is null && _isUnknown && _time.GetElapsedTime(began) < patience)
        {
            await Task.Delay(s_lookAgain, _time, stop);
            Look(TimeSpan.Zero);
        }

        return _held is null && _isUnknown ? NotKnownYet() : await GetValidAccessTokenAsync(stop);
    }

    private AccessTokenResult NotKnownYet() => AccessTokenResult.Failed(SignInErrors.NotKnownYet(_options.AccountName, _fault));

    private AccessTokenResult SignedOut(string why) =>
        AccessTokenResult.Failed(SignInErrors.SignedOut(_options.AccountName, _options.LoginCommand, why));

    private bool CanServe() =>
        _held is { Result.Error: null } held && held.PhaseAt(_time) != TokenPhase.Expired && _verdict is not { TokenRefused: true };

    private async ValueTask<AccessTokenResult> WaitForTokenAsync(HeldToken held, TokenPhase phase, CancellationToken stop)
    {
        // In its last moments the old token is still a valid path: wait for a better one, but not until this one is gone.
        TimeSpan bound = _options.RequestBound;
        if (phase == TokenPhase.LastMoments && held.Remaining(_time) / 2 < bound) bound = held.Remaining(_time) / 2;
        bool inTime = await WaitForChangeAsync(RefreshOnce(null, attended: true), bound, stop);
        if (_held is not { } now) return _isUnknown ? NotKnownYet() : SignedOut(_fault);
        if (now.Result.Error is not null || now.PhaseAt(_time) != TokenPhase.Expired) return now.Result;
        if (_verdict is { } verdict) return SignedOut(verdict.Why);
        return AccessTokenResult.Failed(inTime
            ? SignInErrors.RefreshFailed(_options.AccountName, LastFailure ?? "it was stopped", UntilNextTry() + TimeSpan.FromSeconds(1))
            : SignInErrors.RefreshTimedOut(_options.AccountName, _options.RequestBound));
    }

    /// <summary>
    /// Waits for the refresh, or for a new token that came another way (a login while the endpoint hangs). False when the bound came first.
    /// </summary>
    private async Task<bool> WaitForChangeAsync(Task refresh, TimeSpan bound, CancellationToken stop)
    {
        if (refresh.IsCompleted) return true;
        try
        {
            await Task.WhenAny(refresh, NextAdoption()).WaitAsync(bound, _time, stop);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
