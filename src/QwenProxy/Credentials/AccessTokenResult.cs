using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;

namespace QwenProxy.Credentials;

/// <summary>A token with the base URL it is for, or the error that the client gets. Exactly one of the two is there.</summary>
internal sealed record AccessTokenResult
{
    private AccessTokenResult()
    {
    }

    public Secret? Token { get; private init; }

    /// <summary>Where the token may go, without a trailing slash, e.g. <c>https://portal.qwen.ai/v1</c>.</summary>
    public Uri? BaseUrl { get; private init; }

    public ProxyError? Error { get; private init; }

    /// <summary>True when only a new sign-in (or a changed file) helps; false for a failure that passes by itself.</summary>
    public bool IsSignedOut => Error is { Kind: FaultKind.AccountSignedOut };

    public static AccessTokenResult Of(Secret token, Uri baseUrl) => new() { Token = token, BaseUrl = baseUrl };

    public static AccessTokenResult Failed(ProxyError error) => new() { Error = error };
}
