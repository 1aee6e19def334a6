namespace QwenProxy.Credentials;

internal enum CredentialStateKind
{
    Ready,

    /// <summary>The token serves and is being replaced.</summary>
    Expiring,

    /// <summary>The token is over and the refresh has not succeeded yet; it is tried again.</summary>
    Expired,

    /// <summary>Dead: only a new sign-in or a changed file helps.</summary>
    SignedOut,
}

/// <summary>What <c>accounts</c>, <c>status</c>, <c>doctor</c> and <c>/readyz</c> show of one sign-in. Holds no token.</summary>
internal sealed record CredentialState
{
    public required CredentialStateKind Kind { get; init; }

    /// <summary>Why it is not simply ready; null when it is.</summary>
    public string? Why { get; init; }

    /// <summary>The file in use, which may be another program's that was adopted.</summary>
    public required string FilePath { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public Uri? BaseUrl { get; init; }

    /// <summary>How far the OAuth server's clock is ahead of this machine's; null until it was asked once.</summary>
    public TimeSpan? ClockSkew { get; init; }

    /// <summary>True while the newest tokens are in memory only, because the file could not be written.</summary>
    public bool IsUnsaved { get; init; }

    /// <summary>True when a request could be sent now.</summary>
    public bool CanServe => Kind is CredentialStateKind.Ready or CredentialStateKind.Expiring;
}
