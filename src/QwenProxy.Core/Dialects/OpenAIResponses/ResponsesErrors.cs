using System.Globalization;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>Errors as Responses clients read them: a JSON body before the first byte, an error inside <c>response.failed</c> after it.</summary>
public static class ResponsesErrors
{
    /// <summary>The body <c>{"error":{"message","type","param","code"},"request_id"}</c>; the upstream's own words where it had some.</summary>
    public static byte[] Write(ProxyError error)
    {
        using PooledBytes json = new(512);
        json.Write("{\"error\":{\"message\":"u8);
        json.Write(RawJson.Quote(MessageOf(error)));
        json.Write(",\"type\":"u8);
        json.Write(RawJson.Quote(error.Type ?? TypeOf(error.Status)));
        json.Write(",\"param\":"u8);
        json.Write(error.Param is null ? "null"u8 : RawJson.Quote(error.Param));
        json.Write(",\"code\":"u8);
        string? code = error.Kind == FaultKind.ContextTooLong ? FailureCode(error) : error.Code;
        json.Write(code is null ? "null"u8 : RawJson.Quote(code));
        json.Write("}"u8);
        if (error.RequestId is not null)
        {
            json.Write(",\"request_id\":"u8);
            json.Write(RawJson.Quote(error.RequestId));
        }

        json.Write("}"u8);
        return json.Span.ToArray();
    }

    /// <summary>The <c>error</c> of a failed response: <c>{"code","message"}</c>.</summary>
    internal static byte[] WriteFailure(ProxyError error) =>
        [.. "{\"code\":"u8, .. RawJson.Quote(FailureCode(error)), .. ",\"message\":"u8, .. RawJson.Quote(FailureMessage(error)), (byte)'}'];

    /// <summary>A request that this API cannot serve; the client has to change it.</summary>
    internal static ProxyError Invalid(string message, string? param, string code = "invalid_request") => new()
    {
        Kind = FaultKind.InvalidRequest,
        Source = FaultSource.Downstream,
        Status = 400,
        Code = code,
        Type = "invalid_request_error",
        Param = param,
        Message = message,
    };

    /// <summary>
    /// After the first byte there is no status any more, so the code has to say what to do. Clients know three codes by heart: compact the history,
    /// wait, give up. Model Studio says "insufficient_quota" also for a limit that passes within a minute, which must not read as "give up".
    /// </summary>
    private static string FailureCode(ProxyError error) => error.Kind switch
    {
        FaultKind.ContextTooLong => "context_length_exceeded",
        FaultKind.RateLimited or FaultKind.ConcurrencyLimited => "rate_limit_exceeded",
        FaultKind.QuotaExhausted or FaultKind.Billing => "insufficient_quota",
        _ => error.Code ?? "server_error",
    };

    /// <summary>Codex takes the time to wait from the words of the message; there is no header in the middle of a stream.</summary>
    private static string FailureMessage(ProxyError error)
    {
        string message = MessageOf(error);
        if (error.RetryAfter is not { } wait || error.Kind is not (FaultKind.RateLimited or FaultKind.ConcurrencyLimited)) return message;
        return string.Create(CultureInfo.InvariantCulture, $"{message} Please try again in {Math.Ceiling(wait.TotalSeconds)}s.");
    }

    private static string MessageOf(ProxyError error) => error.Fix is null ? error.Message : $"{error.Message} {error.Fix}";

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };
}
