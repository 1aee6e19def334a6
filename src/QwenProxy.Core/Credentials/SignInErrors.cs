using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Credentials;

/// <summary>What a client is told when an account has no token to offer.</summary>
public static class SignInErrors
{
    /// <summary>The way out when a new sign-in is refused too.</summary>
    public const string EndedSentence =
        "Qwen's free sign-in service ended on 2026-04-15; if a new sign-in is refused too, use an API key "
        + "(set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL) or another account.";

    /// <summary>Nothing but a new sign-in (or another file) helps: 401 <c>account_signed_out</c>.</summary>
    public static ProxyError SignedOut(string account, string command, string why) => new()
    {
        Kind = FaultKind.AccountSignedOut,
        Source = FaultSource.Upstream,
        Status = 401,
        Code = "account_signed_out",
        Type = "authentication_error",
        Message = $"Account '{account}' is signed out: {why}. Sign in again with `{command}`. {EndedSentence}",
        Fix = command,
    };

    /// <summary>
    /// The token endpoint failed in a way that says nothing about the sign-in: 502 <c>upstream_unreachable</c> with a time to try again.
    /// </summary>
    public static ProxyError RefreshFailed(string account, string why, TimeSpan retryAfter) => new()
    {
        Kind = FaultKind.ConnectFailed,
        Source = FaultSource.Upstream,
        Status = 502,
        Code = "upstream_unreachable",
        Type = "upstream_error",
        Message = $"The token of account '{account}' has expired and refreshing it failed: {why}. "
            + "The sign-in itself is kept; try again in a few seconds.",
        RetryAfter = retryAfter,
    };

    /// <summary>The sign-in may be there and could not be read yet: 503 <c>upstream_unreachable</c> with a time to try again.</summary>
    public static ProxyError NotKnownYet(string account, string why) => new()
    {
        Kind = FaultKind.ConnectFailed,
        Source = FaultSource.Upstream,
        Status = 503,
        Code = "upstream_unreachable",
        Type = "upstream_error",
        Message = $"The sign-in of account '{account}' could not be read yet: {why}. It is kept; try again in a few seconds.",
        RetryAfter = TimeSpan.FromSeconds(2),
    };

    /// <summary>The refresh took longer than a request may wait: 504 <c>upstream_timeout</c>. The refresh itself goes on.</summary>
    public static ProxyError RefreshTimedOut(string account, TimeSpan waited) => new()
    {
        Kind = FaultKind.FirstTokenTimeout,
        Source = FaultSource.Upstream,
        Status = 504,
        Code = "upstream_timeout",
        Type = "upstream_error",
        Message = $"The token of account '{account}' has expired and its refresh did not end within {waited.TotalSeconds:0.#} s. "
            + "It goes on; try again.",
        RetryAfter = TimeSpan.FromSeconds(5),
    };
}
