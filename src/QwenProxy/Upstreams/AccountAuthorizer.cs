using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Core.Errors;
using QwenProxy.Credentials;

namespace QwenProxy.Upstreams;

/// <summary>What a request to an account carries and where it goes, or why it cannot go.</summary>
internal readonly record struct Authorization(Uri? BaseUrl, string? Token, ProxyError? Error)
{
    public static implicit operator Authorization(ProxyError error) => new(null, null, error);
}

/// <summary>5 Authorize: the key of an account, or the access token of a signed-in one. Owns the token brokers.</summary>
internal sealed class AccountAuthorizer(TimeProvider time, Random random, ILogger logger, FleetCredentials? fleet = null) : IAsyncDisposable
{
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, ConnectTimeout = TimeSpan.FromSeconds(10) });
    private volatile FrozenDictionary<string, TokenBroker> _brokers = FrozenDictionary<string, TokenBroker>.Empty;
    private FrozenDictionary<string, TokenBrokerOptions> _options = FrozenDictionary<string, TokenBrokerOptions>.Empty;

    /// <summary>Told of each refresh: the account's name, and <c>refreshed</c>, <c>adopted</c>, <c>refused</c> or <c>failed</c>.</summary>
    public Action<string, string>? Refreshed { get; init; }

    /// <summary>Takes over the accounts of a configuration. A broker whose account did not change goes on with what it knows.</summary>
    public void Apply(ProxySnapshot snapshot)
    {
        Dictionary<string, TokenBrokerOptions> options = [];
        Dictionary<string, TokenBroker> brokers = [];
        foreach (AccountSnapshot account in snapshot.Accounts.Where(a => a.Kind == AccountKind.QwenOAuth))
        {
            TokenBrokerOptions wanted = OptionsOf(account, snapshot);
            bool same = _options.TryGetValue(account.Name, out TokenBrokerOptions? known)
                && known.CredentialsPath == wanted.CredentialsPath && known.OAuthBaseUrl == wanted.OAuthBaseUrl && known.AllowedHosts.SequenceEqual(wanted.AllowedHosts);
            options[account.Name] = same ? known! : wanted;
            brokers[account.Name] = same ? _brokers[account.Name] : Started(wanted);
        }

        FrozenDictionary<string, TokenBroker> old = _brokers;
        _brokers = brokers.ToFrozenDictionary();
        _options = options.ToFrozenDictionary();
        foreach ((string name, TokenBroker broker) in old)
        {
            if (!brokers.TryGetValue(name, out TokenBroker? kept) || !ReferenceEquals(kept, broker)) _ = broker.DisposeAsync().AsTask();
        }
    }

    public ValueTask<Authorization> AuthorizeAsync(AccountSnapshot account, CancellationToken cancellationToken) =>
        account.Kind == AccountKind.QwenOAuth ? FromBrokerAsync(account, cancellationToken) : new(new Authorization(account.BaseUrl, account.ApiKey?.Reveal(), null));

    /// <summary>Upstream answered: what it was asked with is good.</summary>
    public void NoteServed(AccountSnapshot account, Authorization used)
    {
        if (used.Token is not null && _brokers.TryGetValue(account.Name, out TokenBroker? broker)) broker.NoteServed(used.Token);
    }

    /// <summary>True when upstream refused a token and a newer one is there now, so that the request may be sent once more.</summary>
    /// <param name="account">Who was asked.</param>
    /// <param name="used">With what.</param>
    /// <param name="error">What it said.</param>
    /// <param name="again">The same attempt has recovered once already.</param>
    /// <param name="cancellationToken">Ends the wait, not the refresh.</param>
    public async ValueTask<bool> RecoverAsync(AccountSnapshot account, Authorization used, ProxyError error, bool again, CancellationToken cancellationToken)
    {
        if (used.Token is null || !_brokers.TryGetValue(account.Name, out TokenBroker? broker)) return false;
        if (AuthErrors.IsServiceEnded(error.Status, error.Code, error.Message))
        {
            broker.ReportServiceEnded(error.Message);
            return false;
        }

        if (AuthErrors.IsAuthError(error.Status, error.Code, error.Message)) return await broker.RecoverAsync(used.Token, AuthFailure.Refused, cancellationToken, again);
        // A time-out of this proxy's own says nothing about the token; a gateway's 504 may.
        bool gatewayTimeout = error is { Status: 504, Source: FaultSource.Upstream } && error.Code != "upstream_timeout";
        return gatewayTimeout && !again && await broker.RecoverAsync(used.Token, AuthFailure.GatewayTimeout, cancellationToken);
    }

    /// <summary>Why the account cannot be used now, in a person's words; null when it can.</summary>
    public string? WhyUnusable(AccountSnapshot account)
    {
        if (account.Kind != AccountKind.QwenOAuth) return null;
        if (!_brokers.TryGetValue(account.Name, out TokenBroker? broker)) return "the account is not loaded yet";
        CredentialState state = broker.State;
        return state.Kind == CredentialStateKind.SignedOut ? $"{state.Why ?? "signed out"}" : null;
    }

    /// <summary>The sign-in state of an OAuth account; null for others.</summary>
    public CredentialState? StateOf(AccountSnapshot account) => _brokers.TryGetValue(account.Name, out TokenBroker? broker) ? broker.State : null;

    public async ValueTask DisposeAsync()
    {
        foreach (TokenBroker broker in _brokers.Values) await broker.DisposeAsync();
        _http.Dispose();
    }

    private TokenBrokerOptions OptionsOf(AccountSnapshot account, ProxySnapshot snapshot) => new()
    {
        AccountName = account.Name,
        CredentialsPath = account.CredentialsPath ?? "",
        Store = account.CredentialsPath is null ? fleet?.StoreOf(account.Name) : null,
        LoginCommand = LoginCommandOf(account),
        OAuthBaseUrl = snapshot.Storage.OAuthBaseUrl,
        AllowedHosts = snapshot.AllowedOAuthHosts,
        RequestBound = snapshot.Timeouts.Request,
        FolderIsOurs = account.CredentialsPath is { } path && Path.GetFullPath(Path.GetDirectoryName(path)!) == Path.GetFullPath(snapshot.Storage.QwenHome),
    };

    /// <summary>A row, and a file of the proxy's own naming, is signed in again by its name; any other file by the plain command.</summary>
    internal static string LoginCommandOf(AccountSnapshot account)
    {
        if (account.CredentialsPath is not { } path) return $"qwen-proxy login {account.Name}";
        const string prefix = "qwenproxy_creds_";
        string file = Path.GetFileNameWithoutExtension(path);
        return file.StartsWith(prefix, StringComparison.Ordinal) ? $"qwen-proxy login {file[prefix.Length..]}" : "qwen-proxy login";
    }

    private TokenBroker Started(TokenBrokerOptions options)
    {
        TokenBroker broker = new(options, _http, time, random, logger) { Refreshed = outcome => Refreshed?.Invoke(options.AccountName, outcome.ToString().ToLowerInvariant()) };
        broker.Start();
        return broker;
    }

    private async ValueTask<Authorization> FromBrokerAsync(AccountSnapshot account, CancellationToken cancellationToken)
    {
        if (!_brokers.TryGetValue(account.Name, out TokenBroker? broker)) return OwnErrors.AccountSignedOut(account.Name);
        AccessTokenResult result = await broker.GetValidAccessTokenAsync(cancellationToken);
        return result.Error is { } error ? error : new Authorization(result.BaseUrl, result.Token!.Reveal(), null);
    }
}
