using System.Text;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Errors;

/// <summary>
/// Turns an upstream's failure into a <see cref="ProxyError"/>, in whichever shape and framing it came. Status, code, type, message, param and
/// request id are the upstream's own words; what it did not say is filled in, and the kind says what to do about it.
/// </summary>
public static class UpstreamErrorReader
{
    private const string ServerType = "server_error";

    /// <summary>An HTTP answer that is an error, or a success whose body turned out to be none: an error object, a web page, nothing.</summary>
    /// <param name="status">The upstream's HTTP status. Below 400 the error gets one of its own, always ≥ 400.</param>
    /// <param name="headers">See <see cref="UpstreamHeaders"/>.</param>
    /// <param name="body">The body, unpacked; a first part of it is enough when it is very long.</param>
    /// <param name="model">The model asked for, to name it in a hint; null when unknown.</param>
    /// <param name="now">The time a Retry-After date is compared to.</param>
    public static ProxyError FromResponse(int status, UpstreamHeaders headers, ReadOnlySpan<byte> body, string? model, DateTimeOffset now)
    {
        ErrorBody read = ErrorBody.Read(body);
        if (status < 400 && OwnFault(status, headers, read) is { } own) return own with { RequestId = headers.RequestId };
        int known = status >= 400 ? status : read.Status;
        FaultKind kind = ErrorClassifier.Classify(known, read);
        ProxyError error = Build(kind, known, read) with { RetryAfter = headers.Wait(now) };
        if (error.RequestId is null) error = error with { RequestId = headers.RequestId };
        return error with { Fix = ErrorFixes.For(error, read.Shape, model) };
    }

    /// <summary>An error event inside a stream. Its status is that of <c>:HTTP_STATUS</c>, else of its code, else of its kind.</summary>
    public static ProxyError FromStreamEvent(ChatEvent chatEvent, string? model = null)
    {
        // A failed response holds its error among all that it was asked; the error alone is what it says.
        ReadOnlySpan<byte> data = chatEvent.Data.Span;
        return FromStreamEvent(chatEvent.Frame.Subject.IsEmpty ? data : chatEvent.Error.In(data), chatEvent.HttpStatus, model);
    }

    /// <inheritdoc cref="FromStreamEvent(ChatEvent, string?)"/>
    public static ProxyError FromStreamEvent(ReadOnlySpan<byte> data, int httpStatus, string? model)
    {
        ErrorBody read = ErrorBody.Read(data);
        if (httpStatus is >= 400 and <= 599) read = read with { Status = httpStatus };
        FaultKind kind = ErrorClassifier.Classify(read.Status, read);
        ProxyError error = Build(kind, read.Status, read);
        return error with { Fix = ErrorFixes.For(error, read.Shape, model) };
    }

    internal static ProxyError FromFailedFinish(string text)
    {
        ErrorBody read = ErrorBody.Read(Encoding.UTF8.GetBytes(text));
        FaultKind kind = ErrorClassifier.Classify(read.Status, read);
        ProxyError error = Build(kind, read.Status, read);
        return error with { Code = error.Code ?? "error_finish", Fix = ErrorFixes.For(error, read.Shape, null) };
    }

    /// <summary>A success status that holds no error in words: the fault is the protocol's, and the message is ours.</summary>
    private static ProxyError? OwnFault(int status, UpstreamHeaders headers, ErrorBody read) => read switch
    {
        _ when status is >= 300 and < 400 => OwnErrors.ProtocolError($"it answered with a redirect (HTTP {status}); check baseUrl"),
        { Shape: BodyShape.WebPage } => OwnErrors.WebPage(read.Message),
        { Shape: BodyShape.Empty } when read.Status < 400 => OwnErrors.EmptyAnswer(),
        { Shape: BodyShape.PlainText } => OwnErrors.NotAStream(headers.ContentType),
        { Shape: BodyShape.Json, NamesError: false } => OwnErrors.NotAStream(headers.ContentType),
        _ => null,
    };

    private static ProxyError Build(FaultKind kind, int status, ErrorBody read)
    {
        if (status is < 400 or > 599) status = ErrorClassifier.StatusOf(kind, read.Code);
        return new ProxyError
        {
            Kind = kind,
            Source = IsOfTheRequest(kind) ? FaultSource.Downstream : FaultSource.Upstream,
            Status = status,
            Code = read.Code,
            Type = read.Type ?? (status >= 500 ? ServerType : null),
            Message = MessageOf(status, read),
            Param = read.Param,
            RequestId = read.RequestId,
            OutputLimit = kind is FaultKind.InvalidRequest or FaultKind.ContextTooLong ? read.OutputLimit : null,
        };
    }

    private static string MessageOf(int status, ErrorBody read) => read.Shape switch
    {
        BodyShape.WebPage => $"The upstream answered HTTP {status} with a web page{(read.Message is null ? "" : $" (\"{read.Message}\")")}.",
        BodyShape.Empty => $"The upstream answered HTTP {status} without a message.",
        _ => read.Message ?? $"The upstream answered HTTP {status} without a message.",
    };

    private static bool IsOfTheRequest(FaultKind kind) => kind is FaultKind.InvalidRequest or FaultKind.ContextTooLong or FaultKind.ContentFilter
        or FaultKind.ModelNotFound or FaultKind.RequestTooLarge or FaultKind.ClientGate;
}
