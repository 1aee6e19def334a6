using System.Globalization;

namespace QwenProxy.Core.Errors;

/// <summary>What a client is told when it or the proxy is at a limit that was set here.</summary>
public static partial class OwnErrors
{
    /// <summary>503 <c>queue_full</c>: every slot of the accounts is taken, and nobody may wait (any longer).</summary>
    /// <param name="waited">How long this request has waited; zero when there was no room to wait.</param>
    /// <param name="waiting">How many wait now.</param>
    public static ProxyError QueueFull(TimeSpan waited, int waiting) => Wait(
        FaultKind.QueueFull,
        FaultSource.Internal,
        "queue_full",
        $"Every account that serves this model runs as many requests as it may, and {(waited > TimeSpan.Zero ? $"none had room within {Seconds(waited)}" : "no more may wait")}. "
            + $"{waiting} {(waiting == 1 ? "request waits" : "requests wait")} now. Try again in a moment.",
        TimeSpan.FromSeconds(1));

    /// <summary>429 <c>client_limit</c>: the client's key has a limit, and it is reached.</summary>
    /// <param name="limit">Which, by its name in the configuration.</param>
    /// <param name="what">A sentence without its point.</param>
    /// <param name="retryAfter">When there is room again.</param>
    public static ProxyError ClientLimit(string limit, string what, TimeSpan retryAfter) => new()
    {
        Kind = FaultKind.ClientLimited,
        Source = FaultSource.Downstream,
        Status = 429,
        Code = "client_limit",
        Type = "rate_limit_error",
        Param = limit,
        Message = $"{what} ({limit}). Try again in {Seconds(RoundUp(retryAfter))}, or ask whoever gave you the key for more.",
        RetryAfter = RoundUp(retryAfter),
    };

    /// <summary>403 <c>model_not_allowed</c>: the client's key is for other models.</summary>
    /// <param name="model">As the client wrote it; empty when it named none.</param>
    /// <param name="allowed">Names and patterns.</param>
    public static ProxyError ModelNotAllowed(string model, IEnumerable<string> allowed) => new()
    {
        Kind = FaultKind.ModelNotAllowed,
        Source = FaultSource.Downstream,
        Status = 403,
        Code = "model_not_allowed",
        Type = "permission_error",
        Param = "model",
        Message = $"This key may not use {(model.Length == 0 ? "a request that names no model in a JSON body" : $"the model '{model}'")}. It is for: {string.Join(", ", allowed)}.",
    };

    /// <summary>429 <c>quota_reserved</c>: what is left of an account's quota is kept for others.</summary>
    /// <param name="account">Whose quota.</param>
    /// <param name="window">Which of its windows.</param>
    /// <param name="percent">How much of it is kept.</param>
    /// <param name="whom">For whom.</param>
    /// <param name="until">When there is more again; null when that is not known.</param>
    public static ProxyError QuotaReserved(string account, string window, int percent, string whom, DateTimeOffset? until, DateTimeOffset now) => new()
    {
        Kind = FaultKind.QuotaReserved,
        Source = FaultSource.Internal,
        Status = 429,
        Code = "quota_reserved",
        Type = "rate_limit_error",
        Message = $"The last {percent} % of the {window} quota of the account '{account}' are kept for {whom}{Until(until)}. Try again then, or add another account.",
        RetryAfter = until is { } end ? RoundUp(end - now) : null,
    };

    /// <summary>429 <c>quota_used_up</c>: by this proxy's own count nothing is left of an account's quota. It is asked last; upstream's own answer is what clients hear.</summary>
    public static ProxyError QuotaUsedUp(string account, string window, DateTimeOffset? until, DateTimeOffset now) => new()
    {
        Kind = FaultKind.QuotaExhausted,
        Source = FaultSource.Internal,
        Status = 429,
        Code = "quota_used_up",
        Type = "rate_limit_error",
        Message = $"The {window} quota of the account '{account}' is used up by this proxy's own count{Until(until)}. Wait for that, or add another account.",
        RetryAfter = until is { } end ? RoundUp(end - now) : null,
    };

    private static string Until(DateTimeOffset? until) => until is { } end ? end.UtcDateTime.ToString("' until 'yyyy-MM-dd HH:mm' UTC'", CultureInfo.InvariantCulture) : "";
}
