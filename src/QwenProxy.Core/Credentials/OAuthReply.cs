namespace QwenProxy.Core.Credentials;

/// <summary>What a reply of the OAuth server means for what happens next.</summary>
public enum OAuthReplyKind
{
    /// <summary>Tokens.</summary>
    Granted,

    /// <summary>The person has not confirmed yet.</summary>
    Pending,

    /// <summary>Not yet, and ask less often.</summary>
    SlowDown,

    /// <summary>The device code is over: begin again.</summary>
    CodeExpired,

    /// <summary>The person said no.</summary>
    Denied,

    /// <summary>The server will not take this refresh token (or this request) again: asking more often helps nobody.</summary>
    Refused,

    /// <summary>This login is over, for the server's own reason: asking again with the same code cannot help.</summary>
    Ended,

    /// <summary>Says nothing about the sign-in: try again later.</summary>
    Transient,
}

/// <summary>One reply, read. <see cref="Reason"/> is safe to show: no tokens, no control characters, at most 240 characters.</summary>
public sealed record OAuthReply(OAuthReplyKind Kind, string Reason)
{
    /// <summary>Set for <see cref="OAuthReplyKind.Granted"/>.</summary>
    public TokenGrant? Grant { get; init; }

    /// <summary>The server's Retry-After, where it sent one.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static OAuthReply Transient(string reason) => new(OAuthReplyKind.Transient, reason);
}

/// <summary>The answer to a request for a device code.</summary>
public sealed record DeviceCode
{
    public required string Code { get; init; }

    /// <summary>What the person types.</summary>
    public required string UserCode { get; init; }

    public required string VerificationUri { get; init; }

    /// <summary>With the code filled in; the same as <see cref="VerificationUri"/> when the server gave only that.</summary>
    public required string VerificationUriComplete { get; init; }

    public required TimeSpan Lifetime { get; init; }

    /// <summary>How long to wait between polls.</summary>
    public required TimeSpan Interval { get; init; }

    // The device code is as good as the tokens until it is used.
    public override string ToString() => $"DeviceCode {{ UserCode = {UserCode}, Code = *** }}";
}
