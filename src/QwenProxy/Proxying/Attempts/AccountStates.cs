using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Quotas;
using QwenProxy.Credentials;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>The state of each account as every surface shows it: the page, the commands, <c>/readyz</c>, the metrics.</summary>
internal sealed class AccountStates(Router router, AccountAuthorizer authorizer, TimeProvider time)
{
    /// <summary>In the order of the configuration.</summary>
    public ImmutableArray<KeyValuePair<AccountSnapshot, AccountState>> All()
    {
        DateTimeOffset now = time.GetUtcNow();
        PoolRecord pool = router.Pool.Export(now);
        ILookup<string, QuotaStanding> quotas = router.Pool.Quotas(now).ToLookup(q => q.Account);
        return [.. router.Table.Accounts.Select(a => KeyValuePair.Create(a, AccountState.Of(a, SignInOf(a), pool, now, time.LocalTimeZone, [.. quotas[a.Name]])))];
    }

    /// <summary>The file, address and end of an OAuth account's sign-in; null for others.</summary>
    public CredentialState? SignInStateOf(AccountSnapshot account) => authorizer.StateOf(account);

    private AccountSignIn? SignInOf(AccountSnapshot account)
    {
        if (account.Kind != AccountKind.QwenOAuth) return null;
        if (authorizer.WhyUnusable(account) is { } dead) return new AccountSignIn(IsDead: true, IsOver: true, dead);
        CredentialState? state = authorizer.StateOf(account);
        return new AccountSignIn(IsDead: false, state is { Kind: CredentialStateKind.Expired }, state?.Why);
    }
}
