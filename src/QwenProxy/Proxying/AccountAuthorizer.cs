using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;

namespace QwenProxy.Proxying;

/// <summary>What a request to an account carries and where it goes, or why it cannot go.</summary>
internal readonly record struct Authorization(Uri? BaseUrl, string? Token, ProxyError? Error)
{
    public static implicit operator Authorization(ProxyError error) => new(null, null, error);
}

/// <summary>Authorize: the key of an account, or the access token of a signed-in one.</summary>
internal sealed class AccountAuthorizer
{
    public ValueTask<Authorization> AuthorizeAsync(AccountSnapshot account, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new(new Authorization(account.BaseUrl, account.ApiKey?.Reveal(), null));
    }

    /// <summary>True when upstream refused a token and a newer one is there now, so that the request may be sent once more.</summary>
    public ValueTask<bool> RecoverAsync(AccountSnapshot account, Authorization used, ProxyError error, CancellationToken cancellationToken) => new(false);

    /// <summary>Why the account cannot be used now, in a person's words; null when it can.</summary>
    public string? WhyUnusable(AccountSnapshot account) => null;
}
