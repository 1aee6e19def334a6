using System.Collections.Immutable;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Quotas;

namespace QwenProxy.Core.Accounts;

public enum AccountKind
{
    ApiKey,
    QwenOAuth,
}

/// <summary>One configured account, validated and immutable. What changes while the proxy runs (tokens, cooldowns, load) lives elsewhere.</summary>
public sealed record AccountSnapshot
{
    public required string Name { get; init; }

    public AccountKind Kind { get; init; }

    /// <summary>Where requests go, without a trailing slash, e.g. <c>https://host/v1</c>. Null for an OAuth account: its credentials name the endpoint.</summary>
    public Uri? BaseUrl { get; init; }

    public required UpstreamProfile Profile { get; init; }

    /// <summary>Null for OAuth accounts and for local servers that want no key.</summary>
    public Secret? ApiKey { get; init; }

    /// <summary>The file that the key stands in, whose mode decides who can read it; null when it came from a variable.</summary>
    public string? KeyFile { get; init; }

    /// <summary>The credentials file of an OAuth account; null otherwise.</summary>
    public string? CredentialsPath { get; init; }

    /// <summary>Models routed to this account; empty means any model that no other account names.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>True for the account <c>env</c>: it accepts any model name, also those that other accounts name.</summary>
    public bool AcceptsAnyModel { get; init; }

    /// <summary>Lower numbers are used first; equal numbers share load.</summary>
    public int Priority { get; init; }

    /// <summary>Requests that may run at once; further ones wait. Null for any number.</summary>
    public int? MaxConcurrent { get; init; }

    /// <summary>What its plan allows; null for what is known of its profile.</summary>
    public QuotaSettings? Quota { get; init; }

    /// <summary>Whether requests go to the upstream in the client's own dialect.</summary>
    public NativeMode Native { get; init; }

    /// <summary>Headers the user wrote for this account; they override what the proxy would send.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Headers { get; init; } = [];
}
