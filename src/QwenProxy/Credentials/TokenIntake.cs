using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>
/// Turns credentials, from the file or from the server, into a token that can be held: measures its time and checks where it may go.
/// </summary>
internal sealed class TokenIntake(TokenBrokerOptions options, TimeProvider time, CredentialLog log)
{
    /// <param name="isChange">
    /// True when the file changed while we watched: the time left is then close to the whole life. At the start it says nothing, and the usual
    /// windows hold.
    /// </param>
    public HeldToken FromFile(QwenCredentials credentials, FileStamp? stamp, bool isChange)
    {
        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset end = credentials.ExpiresAt ?? now + TokenLifetime.Assumed;
        TimeSpan? lifetime = isChange && end > now ? end - now : null;
        return new HeldToken
        {
            Credentials = credentials,
            Result = Place(credentials),
            Stamp = stamp,
            ExpiresAt = end,
            LeftAtStart = end - now,
            StartTimestamp = time.GetTimestamp(),
            Lifetime = credentials.ExpiresAt is null ? TokenLifetime.Assumed : lifetime,
        };
    }

    /// <summary>
    /// The life counts from the moment the request was sent, by this machine's clock: what the server's clock shows does not enter, so a wrong clock
    /// on either side makes no token end early or late.
    /// </summary>
    public HeldToken FromGrant(TokenGrant grant, QwenCredentials before, HeldToken held, DateTimeOffset asked, long askedAt)
    {
        if (ResourceEndpoint.Resolve(grant.ResourceUrl, options.AllowedHosts, out string? refusal) is null
            && ResourceEndpoint.Resolve(before.ResourceUrl, options.AllowedHosts, out _) is not null)
        {
            log.EndpointRefused(refusal!);
            grant = grant with { ResourceUrl = null };
        }

        QwenCredentials credentials = QwenCredentials.After(grant, before, asked);
        TimeSpan lifetime = grant.Lifetime ?? TokenLifetime.Assumed;
        return new HeldToken
        {
            Credentials = credentials,
            Result = Place(credentials),
            Stamp = held.Stamp,
            // What is unsaved replaces what the file holds, not the unsaved tokens in between.
            Replaced = held.IsUnsaved && before == held.Credentials ? held.Replaced : before.AccessToken,
            ExpiresAt = asked + lifetime,
            LeftAtStart = lifetime,
            StartTimestamp = askedAt,
            Lifetime = lifetime,
        };
    }

    private AccessTokenResult Place(QwenCredentials credentials)
    {
        Uri? baseUrl = ResourceEndpoint.Resolve(credentials.ResourceUrl, options.AllowedHosts, out string? refusal);
        return baseUrl is not null
            ? AccessTokenResult.Of(credentials.AccessToken, baseUrl)
            : AccessTokenResult.Failed(SignInErrors.SignedOut(
                options.AccountName, options.LoginCommand, $"its sign-in names an endpoint that gets no token: {refusal}"));
    }
}
