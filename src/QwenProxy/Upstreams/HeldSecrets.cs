using System.Runtime.CompilerServices;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Errors;

namespace QwenProxy.Upstreams;

/// <summary>The secrets of a configuration, for hiding them in what upstreams say: keys of accounts and clients, and what accounts send in headers of their own.</summary>
internal static class HeldSecrets
{
    /// <summary>Values of headers are words as often as secrets; short ones would black out others.</summary>
    private const int ShortestHeaderPart = 6;

    private static readonly ConditionalWeakTable<ProxySnapshot, SecretWords> Known = [];

    public static SecretWords Of(ProxySnapshot snapshot) => Known.GetValue(snapshot, static s => new SecretWords(
        s.Accounts.Concat(s.DisabledAccounts).SelectMany(Of).Concat(s.Clients.Select(c => c.Key.Reveal()))));

    private static IEnumerable<string?> Of(AccountSnapshot account) =>
        account.Headers.SelectMany(h => h.Value.Split(' ').Append(h.Value)).Where(v => v.Length >= ShortestHeaderPart).Append(account.ApiKey?.Reveal());
}
