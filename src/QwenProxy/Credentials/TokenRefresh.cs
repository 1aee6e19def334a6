using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

internal enum RefreshOutcomeKind
{
    Refreshed,

    /// <summary>Another program had already put a newer token into the file.</summary>
    Adopted,

    /// <summary>The server will not take this sign-in again.</summary>
    Refused,

    Failed,
}

internal sealed record RefreshOutcome(RefreshOutcomeKind Kind, string Reason, HeldToken? Token = null, TimeSpan? RetryAfter = null);

/// <summary>
/// One refresh from end to end: lock, re-read, adopt or ask, save, release. It knows the file and the server, and nothing of who waits for it.
/// </summary>
internal sealed class TokenRefresh(
    ICredentialsStore store, OAuthClient client, TokenIntake intake, TimeProvider time, Func<double> chance, CredentialLog log)
{
    // Further tries are made under the lock, and others wait for it.
    private static readonly TimeSpan s_triesEnd = TimeSpan.FromSeconds(3);

    /// <param name="held">What is in memory.</param>
    /// <param name="failedToken">The token that the upstream refused, which must not be adopted from the file; null when only time calls for the
    /// refresh.</param>
    /// <param name="tries">How often the server is asked while it fails in passing ways.</param>
    public async Task<RefreshOutcome> RunAsync(HeldToken held, string? failedToken, int tries, CancellationToken stop)
    {
        using LockAttempt attempt = await store.AcquireAsync(() => Adoptable(held, failedToken, store.Read()) is not null, stop);
        if (attempt.Outcome == LockOutcome.TimedOut) return new RefreshOutcome(RefreshOutcomeKind.Failed, attempt.Reason!);
        if (attempt.Outcome == LockOutcome.Unavailable) log.LockUnavailable(attempt.Reason!);
        CredentialsReading reading = store.Read();
        if (Adoptable(held, failedToken, reading) is { } newer) return Adopted(newer);
        if (reading.Stamp is null && store.WasSignedOut(held.Credentials)) return Refused("it was signed out with logout");

        // The file is the truth, except while it lacks what memory has because it could not be written.
        QwenCredentials before = reading.Credentials is { } read && !(held.IsUnsaved && reading.Stamp == held.Stamp) ? read : held.Credentials;
        if (before.RefreshToken is null) return Refused("the token has expired and the sign-in has no refresh token");
        RefreshOutcome outcome = await AskAsync(held, before, failedToken, tries, stop);
        bool isProof = outcome.Kind != RefreshOutcomeKind.Refused || !attempt.IsInDoubt;
        return isProof ? outcome : new RefreshOutcome(RefreshOutcomeKind.Failed, $"{outcome.Reason}, but a replica that was at it before may still come with new tokens");
    }

    /// <summary>Writes tokens that could not be saved before. Returns them as saved, or as they were.</summary>
    public async Task<HeldToken> SaveAgainAsync(HeldToken held, CancellationToken stop)
    {
        using LockAttempt attempt = await store.AcquireAsync(() => store.Stamp() != held.Stamp, stop);

        // A file that changed meanwhile holds somebody's newer login; the next look at it decides.
        if (store.Stamp() != held.Stamp) return held;
        return await SaveAsync(held, isRetry: true, stop);
    }

    private static RefreshOutcome Adopted(HeldToken token) => new(RefreshOutcomeKind.Adopted, "another program put it there", token);

    private static RefreshOutcome Refused(string reason) => new(RefreshOutcomeKind.Refused, reason);

    private async Task<RefreshOutcome> AskAsync(HeldToken held, QwenCredentials before, string? failedToken, int tries, CancellationToken stop)
    {
        long began = time.GetTimestamp();
        for (int attempt = 1; ; attempt++)
        {
            DateTimeOffset asked = time.GetUtcNow();
            long askedAt = time.GetTimestamp();
            OAuthReply reply = await client.RefreshAsync(before.RefreshToken!, stop);
            if (reply.Kind == OAuthReplyKind.Granted)
            {
                // A login copied into place while we asked wins over the refresh of the one before it.
                CredentialsReading now = store.Read();
                bool replaced = now.Credentials?.RefreshToken is { } refreshToken && !refreshToken.Equals(before.RefreshToken);
                if (replaced && Adoptable(held, failedToken, now) is { } other) return Adopted(other);
                HeldToken fresh = intake.FromGrant(reply.Grant!, before, held, asked, askedAt) with { ReplacesRefused = failedToken is not null };
                return new RefreshOutcome(RefreshOutcomeKind.Refreshed, "refreshed", await SaveAsync(fresh, isRetry: false, stop));
            }

            if (reply.Kind == OAuthReplyKind.Refused)
            {
                // A program that does not know the lock may have used the token a moment ago: then its new one is in the file.
                return Adoptable(held, failedToken, store.Read()) is { } newer
                    ? Adopted(newer)
                    : Refused($"{client.Host} refused to refresh it ({reply.Reason})");
            }

            bool again = attempt < tries && reply.RetryAfter is null && time.GetElapsedTime(began) < s_triesEnd;
            if (!again) return new RefreshOutcome(RefreshOutcomeKind.Failed, $"{client.Host}: {reply.Reason}", null, reply.RetryAfter);
            await Task.Delay(RefreshBackoff.BetweenTries(chance()), time, stop);
        }
    }

    /// <summary>Saved before use: a rotated refresh token that only memory knows is lost with the process.</summary>
    private async Task<HeldToken> SaveAsync(HeldToken fresh, bool isRetry, CancellationToken stop)
    {
        SaveResult saved = await store.SaveAsync(fresh.Credentials, stop);
        if (saved.Fault is not { } fault)
        {
            if (isRetry) log.SavedAfterAll(store.Path);
            return fresh with { Stamp = saved.Stamp, IsUnsaved = false };
        }

        if (!isRetry) log.SaveFailed(store.Path, fault);
        return fresh with { Stamp = saved.Stamp, IsUnsaved = true };
    }

    private HeldToken? Adoptable(HeldToken held, string? failedToken, CredentialsReading reading)
    {
        if (reading.Credentials is not { } onDisk || onDisk.AccessToken.Equals(held.Credentials.AccessToken)) return null;
        if (failedToken is not null && onDisk.AccessToken.Matches(failedToken)) return null;
        if (held.IsUnsaved && reading.Stamp == held.Stamp) return null;
        HeldToken token = intake.FromFile(onDisk, reading.Stamp, isChange: true);
        return token.PhaseAt(time) is TokenPhase.Valid or TokenPhase.Expiring ? token : null;
    }
}
