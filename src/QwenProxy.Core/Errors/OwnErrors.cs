using System.Globalization;

namespace QwenProxy.Core.Errors;

/// <summary>
/// The proxy's own failures, one factory per stable code of docs/errors.md. Each message says what happened, whose fault it is and what to do.
/// </summary>
public static partial class OwnErrors
{
    private const string ServerType = "server_error";
    private const string RequestType = "invalid_request_error";
    private const string KeyType = "authentication_error";

    /// <summary>401 <c>no_account</c>: nothing is configured that could serve.</summary>
    public static ProxyError NoAccount() => new()
    {
        Kind = FaultKind.NoAccount,
        Source = FaultSource.Internal,
        Status = 401,
        Code = "no_account",
        Type = KeyType,
        Message = "No account is configured. Run `qwen-proxy login`, or set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL.",
    };

    /// <summary>401 <c>account_signed_out</c>: the account's refresh token was refused and only a person can mend that.</summary>
    public static ProxyError AccountSignedOut(string account) => new()
    {
        Kind = FaultKind.AccountSignedOut,
        Source = FaultSource.Upstream,
        Status = 401,
        Code = "account_signed_out",
        Type = KeyType,
        Message = $"The account '{account}' is signed out: its refresh token was refused. Run `qwen-proxy login {account}`.",
    };

    /// <summary>504 <c>upstream_timeout</c>: no TCP or TLS connection in time.</summary>
    public static ProxyError ConnectTimeout(TimeSpan after) => Timeout(
        FaultKind.ConnectTimeout,
        $"The upstream could not be connected to within {Seconds(after)} (timeouts.connectSeconds). Check the network, or raise that setting.");

    /// <summary>504 <c>upstream_timeout</c>: connected, but no first event in time.</summary>
    public static ProxyError FirstTokenTimeout(TimeSpan after) => Timeout(
        FaultKind.FirstTokenTimeout,
        $"The upstream sent no first event within {Seconds(after)}. Try again, or raise timeouts.firstTokenSeconds or READ_TIMEOUT_SECONDS.");

    /// <summary>504 <c>upstream_timeout</c>: silence in the middle of an answer.</summary>
    public static ProxyError IdleTimeout(TimeSpan after) => Timeout(
        FaultKind.IdleTimeout,
        $"The upstream fell silent for {Seconds(after)} inside its answer. Try again, or raise READ_TIMEOUT_SECONDS (timeouts.idleSeconds).");

    /// <summary>504 <c>upstream_timeout</c>: the whole request took longer than allowed.</summary>
    /// <param name="after">The limit that was reached.</param>
    /// <param name="streaming">Which of the two limits it was.</param>
    public static ProxyError LifetimeLimit(TimeSpan after, bool streaming = true) => Timeout(
        FaultKind.LifetimeLimit,
        $"The request took longer than {Seconds(after)} as a whole. Raise {(streaming ? "STREAMING_TIMEOUT_SECONDS" : "REQUEST_TIMEOUT_SECONDS")}.");

    /// <summary>502 <c>upstream_unreachable</c>: refused, no such host, TLS failure, or a connection that broke before any answer.</summary>
    /// <param name="why">A short description without secrets, e.g. <c>Connection refused (host:443)</c>.</param>
    /// <param name="kind"><see cref="FaultKind.ConnectFailed"/> or <see cref="FaultKind.Reset"/>.</param>
    public static ProxyError Unreachable(string why, FaultKind kind = FaultKind.ConnectFailed) => Broken(
        kind,
        "upstream_unreachable",
        $"The upstream could not be reached: {Sentence(why)} Check baseUrl and the network; `qwen-proxy doctor` tells more.");

    /// <summary>The same for an exception of the HTTP client; its innermost message names the cause.</summary>
    public static ProxyError Unreachable(Exception exception, FaultKind kind = FaultKind.ConnectFailed) =>
        Unreachable(exception.GetBaseException().Message, kind);

    /// <summary>502 <c>upstream_protocol_error</c>: the upstream broke the rules of its own protocol.</summary>
    public static ProxyError ProtocolError(string what) =>
        Broken(FaultKind.ProtocolError, "upstream_protocol_error", $"The upstream broke the protocol: {Sentence(what)} Try again.");

    /// <summary>502 <c>upstream_protocol_error</c>: the answer ended before it was finished.</summary>
    public static ProxyError Cut(Exception? exception = null) => Broken(
        FaultKind.Cut,
        "upstream_protocol_error",
        exception is null
            ? "The upstream ended its answer before it was finished. What was received is incomplete; try again."
            : $"The upstream's connection broke before its answer was finished ({exception.GetBaseException().Message.TrimEnd('.')}). Try again.");

    /// <summary>
    /// 502 <c>upstream_protocol_error</c>: a finished answer without text, thinking or call. Clients never read it: another attempt gives a better
    /// answer, or this one passes as it is.
    /// </summary>
    public static ProxyError SaidNothing() => Broken(
        FaultKind.Unusable, "upstream_protocol_error", "The upstream finished its answer without having said anything. Try again.");

    /// <summary>502 <c>upstream_protocol_error</c>: a finished whole answer with a tool call whose arguments are no JSON. Clients never read it either.</summary>
    public static ProxyError BrokenArguments() => Broken(
        FaultKind.Unusable, "upstream_protocol_error", "The upstream finished its answer with a tool call whose arguments are not JSON. Try again.");

    /// <summary>502 <c>upstream_protocol_error</c>: asked again, the upstream gave another answer than the one it had begun.</summary>
    public static ProxyError ResumeDiffers() => Broken(
        FaultKind.ResumeDiffers,
        "upstream_protocol_error",
        "The upstream broke off its answer and, asked again, gave a different one, so it cannot be continued. What was received is incomplete; try again.");

    /// <summary>502 <c>upstream_protocol_error</c>: a success status with something that is no answer.</summary>
    /// <param name="contentType">The content type that came, or null.</param>
    public static ProxyError NotAStream(string? contentType) => ProtocolError(
        $"it answered with {(string.IsNullOrWhiteSpace(contentType) ? "data of no declared type" : contentType)} where an event stream was expected");

    /// <summary>502 <c>upstream_protocol_error</c>: a success status with a web page, mostly a wrong baseUrl or a captive network.</summary>
    public static ProxyError WebPage(string? title = null) =>
        ProtocolError($"it answered with a web page{(title is null ? "" : $" (\"{title}\")")} where an answer was expected; check baseUrl");

    /// <summary>502 <c>upstream_protocol_error</c>: a success status and no body, or only comments.</summary>
    public static ProxyError EmptyAnswer() => ProtocolError("it answered with nothing");

    /// <summary>
    /// A choice finished with <c>error_finish</c>: the upstream put its error's text where the answer should be. The text is kept as the message
    /// and read like any other upstream error.
    /// </summary>
    public static ProxyError FailedFinish(string text) => UpstreamErrorReader.FromFailedFinish(text);

    /// <summary>503 <c>circuit_open</c>: the account failed too often in a row and is being left alone for a moment.</summary>
    public static ProxyError CircuitOpen(TimeSpan retryAfter) => Wait(
        FaultKind.CircuitOpen,
        FaultSource.Upstream,
        "circuit_open",
        $"The upstream failed too often in a row, so it is not asked now. Try again in {Seconds(RoundUp(retryAfter))}.",
        retryAfter);

    /// <summary>503 <c>all_accounts_cooling</c>: every account that serves the model is at its limit.</summary>
    public static ProxyError AccountsCooling(TimeSpan retryAfter) => Wait(
        FaultKind.AccountsCooling,
        FaultSource.Upstream,
        "all_accounts_cooling",
        $"Every account that serves this model is at its limit. Try again in {Seconds(RoundUp(retryAfter))}, or add an account.",
        retryAfter);

    /// <summary>503 <c>draining</c>: the proxy is stopping.</summary>
    public static ProxyError Draining(TimeSpan retryAfter) => Wait(
        FaultKind.Draining, FaultSource.Internal, "draining", "The proxy is stopping and takes no new requests. Try again in a moment.", retryAfter);

    /// <summary>503 <c>draining</c>: the proxy stopped while it answered.</summary>
    public static ProxyError EndedByDrain(TimeSpan retryAfter) => Wait(
        FaultKind.Draining, FaultSource.Internal, "draining", "The proxy is stopping and ended this answer before it was finished. What was received is incomplete; ask again in a moment.", retryAfter);

    /// <summary>503 <c>too_many_requests</c>: more requests at once than this proxy takes.</summary>
    public static ProxyError TooManyRequests(int limit, TimeSpan retryAfter) => Wait(
        FaultKind.TooManyRequests,
        FaultSource.Internal,
        "too_many_requests",
        $"The proxy already serves {limit} requests, which is its limit. Try again in a moment.",
        retryAfter);

    /// <summary>413 <c>request_too_large</c>.</summary>
    public static ProxyError RequestTooLarge(long limitBytes) => new()
    {
        Kind = FaultKind.RequestTooLarge,
        Source = FaultSource.Downstream,
        Status = 413,
        Code = "request_too_large",
        Type = RequestType,
        Message = $"The request body is larger than {Bytes(limitBytes)}, packed or unpacked. Send less.",
    };

    /// <summary>400 <c>invalid_request</c>: the client's request cannot be read.</summary>
    public static ProxyError InvalidRequest(string message, string? param = null) => new()
    {
        Kind = FaultKind.InvalidRequest,
        Source = FaultSource.Downstream,
        Status = 400,
        Code = "invalid_request",
        Type = RequestType,
        Message = message,
        Param = param,
    };

    /// <summary>400 <c>invalid_request</c>: no model is named like that, and logs, terminals and headers would stumble over it.</summary>
    public static ProxyError ControlCharactersInModel() => InvalidRequest("The model's name holds control characters. Name a model of `qwen-proxy models`.", "model");

    /// <summary>401 <c>invalid_api_key</c>: the client's own key is missing or wrong.</summary>
    public static ProxyError InvalidApiKey() => new()
    {
        Kind = FaultKind.ClientKeyInvalid,
        Source = FaultSource.Downstream,
        Status = 401,
        Code = "invalid_api_key",
        Type = KeyType,
        Message = "This proxy asks for a client key, and the one sent is missing or wrong. Send it as `Authorization: Bearer` or `x-api-key`.",
    };

    /// <summary>421 <c>foreign_host</c>: no key is asked for, and the name in <c>Host</c> is not known to be the proxy's.</summary>
    public static ProxyError ForeignHost(string host) => new()
    {
        Kind = FaultKind.ClientKeyInvalid,
        Source = FaultSource.Downstream,
        Status = 421,
        Code = "foreign_host",
        Type = RequestType,
        Message = $"The Host header names '{host}', which is not known to be this proxy, so a web page may be behind the request. "
            + $"Use the proxy's address, set a client key, or add \"allowedHosts\": [\"{host}\"] to the configuration.",
    };

    /// <summary>403 <c>foreign_origin</c>: a web page of another origin asks.</summary>
    /// <param name="origin">As the browser wrote it; empty when it said only that the page is of another site.</param>
    public static ProxyError ForeignOrigin(string origin) => new()
    {
        Kind = FaultKind.ClientKeyInvalid,
        Source = FaultSource.Downstream,
        Status = 403,
        Code = "foreign_origin",
        Type = "permission_error",
        Message = origin is "" or "null"
            ? "The request comes from a web page that is not this proxy's and does not say which one it is."
            : $"The request comes from a web page of {origin}. To let that page use the proxy, add \"allowedOrigins\": [\"{origin}\"] to the configuration.",
    };

    /// <summary>404 <c>model_not_found</c>: no account serves the model.</summary>
    public static ProxyError ModelNotFound(string model) => new()
    {
        Kind = FaultKind.ModelNotFound,
        Source = FaultSource.Downstream,
        Status = 404,
        Code = "model_not_found",
        Type = RequestType,
        Message = $"No account serves the model '{model}'. `qwen-proxy models` lists what is on offer.",
        Param = "model",
    };

    /// <summary>499 <c>client_gone</c>: the client hung up. Nobody reads it but the log and the ledger.</summary>
    public static ProxyError ClientGone() => new()
    {
        Kind = FaultKind.ClientGone,
        Source = FaultSource.Downstream,
        Status = 499,
        Code = "client_gone",
        Type = RequestType,
        Message = "The client hung up before the answer was finished.",
    };

    /// <summary>500 <c>internal_error</c>: a fault of this proxy. The details are in its log, not here.</summary>
    public static ProxyError Internal() => new()
    {
        Kind = FaultKind.Internal,
        Source = FaultSource.Internal,
        Status = 500,
        Code = "internal_error",
        Type = ServerType,
        Message = "The proxy failed at this request; its log says more under the same request id.",
    };

    private static ProxyError Timeout(FaultKind kind, string message) => new()
    {
        Kind = kind,
        Source = FaultSource.Upstream,
        Status = 504,
        Code = "upstream_timeout",
        Type = ServerType,
        Message = message,
    };

    private static ProxyError Broken(FaultKind kind, string code, string message) => new()
    {
        Kind = kind,
        Source = FaultSource.Upstream,
        Status = 502,
        Code = code,
        Type = ServerType,
        Message = message,
    };

    private static ProxyError Wait(FaultKind kind, FaultSource source, string code, string message, TimeSpan retryAfter) => new()
    {
        Kind = kind,
        Source = source,
        Status = 503,
        Code = code,
        Type = ServerType,
        Message = message,
        RetryAfter = RoundUp(retryAfter),
    };

    /// <summary>Retry-After counts whole seconds, and zero would invite a storm.</summary>
    private static TimeSpan RoundUp(TimeSpan wait) => TimeSpan.FromSeconds(Math.Max(1, Math.Ceiling(wait.TotalSeconds)));

    private static string Seconds(TimeSpan span) => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.###} s");

    private static string Bytes(long count) => count >= 1024 * 1024 && count % (1024 * 1024) == 0 ? $"{count / (1024 * 1024)} MiB" : $"{count} bytes";

    private static string Sentence(string text) => text.EndsWith('.') ? text : text + ".";
}
