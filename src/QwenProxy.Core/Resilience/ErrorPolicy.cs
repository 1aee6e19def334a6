using System.Collections.Frozen;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Resilience;

/// <summary>How much of an account a failure says something about.</summary>
public enum CooldownScope
{
    None,

    /// <summary>This account with this model; its other models are not touched.</summary>
    Model,

    /// <summary>Everything that uses the account's key.</summary>
    Account,
}

/// <summary>What one kind of failure means for the request that met it and for the account that caused it. docs/errors.md shows this table.</summary>
/// <param name="Kind">The kind of failure.</param>
/// <param name="Here">The same account may be asked again, after a wait.</param>
/// <param name="Elsewhere">Another account may be asked for the same model, at once.</param>
/// <param name="OtherModel">A configured fallback model may be asked.</param>
/// <param name="Scope">What cools down.</param>
/// <param name="Cooldown">For how long when upstream does not say; zero for none.</param>
/// <param name="Bans">The account said no for good: it is not asked again while another can serve.</param>
/// <param name="Breaks">The breaker counts it: the upstream is broken, not merely unwilling.</param>
public sealed record ErrorRule(
    FaultKind Kind, bool Here, bool Elsewhere, bool OtherModel, CooldownScope Scope, TimeSpan Cooldown, bool Bans = false, bool Breaks = false)
{
    /// <summary>
    /// At least so long nobody asks the same account again. A fault may be over at once; a limit that was reached is not, and asking sooner only
    /// keeps it reached.
    /// </summary>
    public TimeSpan LeastWait { get; init; }

    /// <summary>Upstream did not take the call on, so that no plan counts it. Of a stream that has begun this says nothing.</summary>
    public bool Refuses => Kind is FaultKind.InvalidKey or FaultKind.AccountSignedOut or FaultKind.PermissionDenied or FaultKind.ClientGate or FaultKind.Billing or FaultKind.QuotaExhausted
        or FaultKind.RateLimited or FaultKind.ConcurrencyLimited or FaultKind.Overloaded or FaultKind.InvalidRequest or FaultKind.ContextTooLong or FaultKind.ModelNotFound
        or FaultKind.RequestTooLarge or FaultKind.ConnectFailed or FaultKind.ConnectTimeout;

    /// <summary>Nothing else is tried: the request itself is at fault, or time is up.</summary>
    public bool IsFinal => !Here && !Elsewhere && !OtherModel;
}

/// <summary>The one table that says what to do about a failure. Nothing else in the program looks at a failure's kind to decide that.</summary>
public static class ErrorPolicy
{
    private const bool Yes = true;
    private const bool No = false;
    private static readonly TimeSpan None = TimeSpan.Zero;

    /// <summary>Every kind, in the order of <see cref="FaultKind"/>.</summary>
    public static IReadOnlyList<ErrorRule> Table { get; } =
    [
        // The account or its key: others stay eligible, this one is left alone.      here elsewhere other model
        new(FaultKind.InvalidKey, No, Yes, Yes, CooldownScope.Account, TimeSpan.FromSeconds(60), Bans: true),
        new(FaultKind.AccountSignedOut, No, Yes, Yes, CooldownScope.Account, TimeSpan.FromSeconds(10), Bans: true),
        new(FaultKind.PermissionDenied, No, Yes, Yes, CooldownScope.Model, TimeSpan.FromSeconds(60), Bans: true),
        // The gate looks at the client's User-Agent: another client of the same account is welcome, so nothing cools down.
        new(FaultKind.ClientGate, No, Yes, Yes, CooldownScope.None, None, Bans: true),
        new(FaultKind.Billing, No, Yes, Yes, CooldownScope.Account, TimeSpan.FromMinutes(10), Bans: true),
        new(FaultKind.QuotaExhausted, No, Yes, Yes, CooldownScope.Account, TimeSpan.FromMinutes(15), Bans: true),

        new(FaultKind.RateLimited, Yes, Yes, Yes, CooldownScope.Model, TimeSpan.FromSeconds(5)) { LeastWait = Backoff.LeastForLimit },
        new(FaultKind.ConcurrencyLimited, Yes, Yes, Yes, CooldownScope.Model, TimeSpan.FromSeconds(1)) { LeastWait = Backoff.LeastForLimit },
        new(FaultKind.Overloaded, Yes, Yes, Yes, CooldownScope.Model, TimeSpan.FromSeconds(2), Breaks: true),

        // The request itself: asking again gives the same answer.
        new(FaultKind.InvalidRequest, No, No, No, CooldownScope.None, None),
        new(FaultKind.ContextTooLong, No, No, Yes, CooldownScope.None, None),
        new(FaultKind.ContentFilter, No, No, No, CooldownScope.None, None),
        new(FaultKind.ModelNotFound, No, Yes, Yes, CooldownScope.Model, TimeSpan.FromSeconds(60), Bans: true),
        new(FaultKind.RequestTooLarge, No, No, No, CooldownScope.None, None),

        // The upstream broke. Silence has already cost its full deadline, so the silent account is not waited for a second time.
        new(FaultKind.ServerError, Yes, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.ConnectFailed, Yes, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.ConnectTimeout, No, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.Reset, Yes, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.FirstTokenTimeout, No, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.IdleTimeout, No, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.LifetimeLimit, No, No, No, CooldownScope.None, None),
        new(FaultKind.ProtocolError, Yes, Yes, Yes, CooldownScope.None, None, Breaks: true),
        new(FaultKind.Cut, Yes, Yes, Yes, CooldownScope.None, None, Breaks: true),
        // It works and has answered, only not to any use.
        new(FaultKind.Unusable, Yes, Yes, No, CooldownScope.None, None),
        new(FaultKind.ResumeDiffers, No, No, No, CooldownScope.None, None),

        // This proxy or its client: no account is to blame.
        new(FaultKind.NoAccount, No, No, No, CooldownScope.None, None),
        new(FaultKind.CircuitOpen, No, Yes, Yes, CooldownScope.None, None),
        new(FaultKind.AccountsCooling, No, No, No, CooldownScope.None, None),
        new(FaultKind.QuotaReserved, No, No, No, CooldownScope.None, None),
        new(FaultKind.Draining, No, No, No, CooldownScope.None, None),
        new(FaultKind.TooManyRequests, No, No, No, CooldownScope.None, None),
        new(FaultKind.QueueFull, No, No, No, CooldownScope.None, None),
        new(FaultKind.ClientKeyInvalid, No, No, No, CooldownScope.None, None),
        new(FaultKind.ClientLimited, No, No, No, CooldownScope.None, None),
        new(FaultKind.ModelNotAllowed, No, No, No, CooldownScope.None, None),
        new(FaultKind.ClientGone, No, No, No, CooldownScope.None, None),
        new(FaultKind.Internal, No, No, No, CooldownScope.None, None),
    ];

    private static readonly FrozenDictionary<FaultKind, ErrorRule> ByKind = Table.ToFrozenDictionary(r => r.Kind);

    public static ErrorRule For(FaultKind kind) => ByKind[kind];

    /// <summary>How a settled attempt moves the breaker: true a fault, false a sign of life, null no verdict (the client left).</summary>
    public static bool? BreakerVerdict(ProxyError? error) => error switch
    {
        null => false,
        { Kind: FaultKind.ClientGone or FaultKind.LifetimeLimit } => null,
        { Source: FaultSource.Internal } => null,
        _ => For(error.Kind).Breaks,
    };

    /// <summary>429 and 503 carry Retry-After also when upstream did not name a time: a client that gets none retries at once.</summary>
    public static ProxyError WithRetryAfter(ProxyError error)
    {
        if (error.Status is not (429 or 503) || error.RetryAfter is not null) return error;
        TimeSpan wait = For(error.Kind).Cooldown;
        return error with { RetryAfter = wait > TimeSpan.Zero ? wait : TimeSpan.FromSeconds(5) };
    }
}
