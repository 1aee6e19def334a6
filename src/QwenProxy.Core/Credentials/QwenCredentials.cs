using QwenProxy.Core.Accounts;

namespace QwenProxy.Core.Credentials;

/// <summary>
/// One sign-in: the tokens of a credentials file. Tokens are <see cref="Secret"/>, so printing the record shows <c>***</c> in their place.
/// What else the file holds is not here: it stays in the file's bytes (see <see cref="CredentialsDocument"/>).
/// </summary>
public sealed record QwenCredentials
{
    public required Secret AccessToken { get; init; }

    /// <summary>Null when the server never gave one: the sign-in then ends with its access token.</summary>
    public Secret? RefreshToken { get; init; }

    public string TokenType { get; init; } = "Bearer";

    /// <summary>As the server said it, e.g. <c>portal.qwen.ai</c>; see <see cref="ResourceEndpoint"/> for what becomes of it.</summary>
    public string? ResourceUrl { get; init; }

    /// <summary>When the access token ends, by this machine's clock; null when the file does not say.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>
    /// What the sign-in is after a grant. A member the reply lacks keeps its old value: a server that rotates sends a new refresh token,
    /// one that does not sends none, and forgetting either way ends the login at the next refresh.
    /// </summary>
    public static QwenCredentials After(TokenGrant grant, QwenCredentials? before, DateTimeOffset asked) => new()
    {
        AccessToken = grant.AccessToken,
        RefreshToken = grant.RefreshToken ?? before?.RefreshToken,
        TokenType = grant.TokenType ?? before?.TokenType ?? "Bearer",
        ResourceUrl = grant.ResourceUrl ?? before?.ResourceUrl,
        ExpiresAt = WholeMilliseconds(asked + (grant.Lifetime ?? TokenLifetime.Assumed)),
    };

    // What the file can hold, so that a sign-in reads back as it was written.
    private static DateTimeOffset WholeMilliseconds(DateTimeOffset time) => DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());
}

/// <summary>What the token endpoint handed out. <see cref="Lifetime"/> is null when the reply had no usable <c>expires_in</c>.</summary>
public sealed record TokenGrant(Secret AccessToken, Secret? RefreshToken, string? TokenType, string? ResourceUrl, TimeSpan? Lifetime);
