namespace QwenProxy.Core.Errors;

/// <summary>Whose fault it was. A client's fault never hurts an account.</summary>
public enum FaultSource
{
    Upstream,
    Downstream,
    Internal,
}

/// <summary>What went wrong, as far as it decides what to do next.</summary>
public enum FaultKind
{
    // The account or its key.
    InvalidKey,
    AccountSignedOut,
    PermissionDenied,
    ClientGate,
    Billing,
    QuotaExhausted,

    // Too much at once.
    RateLimited,
    ConcurrencyLimited,
    Overloaded,

    // The request itself.
    InvalidRequest,
    ContextTooLong,
    ContentFilter,
    ModelNotFound,
    RequestTooLarge,

    // The upstream broke.
    ServerError,
    ConnectFailed,
    ConnectTimeout,
    Reset,
    FirstTokenTimeout,
    IdleTimeout,
    LifetimeLimit,
    ProtocolError,
    Cut,
    Unusable,
    ResumeDiffers,

    // This proxy or its client.
    NoAccount,
    CircuitOpen,
    AccountsCooling,
    QuotaReserved,
    Draining,
    TooManyRequests,
    QueueFull,
    ClientKeyInvalid,
    ClientLimited,
    ModelNotAllowed,
    ClientGone,
    Internal,
}

/// <summary>
/// One failure as a value: what the client is told (status, code, type, message, param, request id) and what the proxy needs to decide.
/// Upstream's own words are kept; own errors use the stable codes listed in docs/errors.md.
/// </summary>
public sealed record ProxyError
{
    public required FaultKind Kind { get; init; }

    public required FaultSource Source { get; init; }

    /// <summary>The HTTP status for the client, ≥ 400.</summary>
    public required int Status { get; init; }

    public string? Code { get; init; }

    public string? Type { get; init; }

    public required string Message { get; init; }

    public string? Param { get; init; }

    /// <summary>The upstream's request id.</summary>
    public string? RequestId { get; init; }

    public TimeSpan? RetryAfter { get; init; }

    /// <summary>What upstream says about a <c>max_tokens</c> that it refuses for its size; null for everything else.</summary>
    public OutputLimit? OutputLimit { get; init; }

    /// <summary>One line that tells a person what to do; null where the message says it already.</summary>
    public string? Fix { get; init; }
}
