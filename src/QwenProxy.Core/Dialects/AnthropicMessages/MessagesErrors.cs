using System.Buffers;
using System.Text;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// An error in Anthropic's shape: <c>{"type":"error","error":{"type","message"},"request_id"}</c>;
/// the upstream's <c>code</c> and <c>param</c> are kept beside the message.
/// </summary>
public static class MessagesErrors
{
    /// <summary>The code of the fault for server-held threads; the SDK that sends them then sends the whole conversation.</summary>
    public const string ThreadUnsupported = "thread_unsupported_request";

    private const string TooLong = "prompt is too long";

    /// <summary>The event that ends a failed stream.</summary>
    public static void WriteEvent(ProxyError error, IBufferWriter<byte> output)
    {
        output.Write("event: error\ndata: "u8);
        output.Write(Write(error));
        output.Write("\n\n"u8);
    }

    public static byte[] Write(ProxyError error)
    {
        using PooledBytes json = new(512);
        json.Write("{\"type\":\"error\",\"error\":{\"type\":"u8);
        WriteText(json, TypeOf(error));
        json.Write(",\"message\":"u8);
        WriteText(json, MessageOf(error));
        WriteMember(json, ",\"code\":"u8, error.Code);
        WriteMember(json, ",\"param\":"u8, error.Param);
        if (error.Code == ThreadUnsupported)
        {
            json.Write(",\"details\":{\"error_code\":\""u8);
            json.Write("thread_unsupported_request"u8);
            json.Write("\",\"unsupported\":[\"thread\"]}"u8);
        }

        json.Write("}"u8);
        WriteMember(json, ",\"request_id\":"u8, error.RequestId);
        json.Write("}"u8);
        return json.Span.ToArray();
    }

    /// <summary>Claude Code compacts its history and tries again when it reads Anthropic's phrase; the upstream's own words follow it.</summary>
    private static string MessageOf(ProxyError error)
    {
        string message = error.Fix is null ? error.Message : $"{error.Message} {error.Fix}";
        bool translate = error.Kind == FaultKind.ContextTooLong && !message.Contains(TooLong, StringComparison.OrdinalIgnoreCase);
        return translate ? $"{TooLong}: {message}" : message;
    }

    private static string TypeOf(ProxyError error) => error.Status switch
    {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 or 529 => "overloaded_error",
        504 => "timeout_error",
        >= 500 => "api_error",
        _ => "invalid_request_error",
    };

    private static void WriteMember(PooledBytes json, ReadOnlySpan<byte> opening, string? text)
    {
        if (string.IsNullOrEmpty(text)) return;
        json.Write(opening);
        WriteText(json, text);
    }

    private static void WriteText(PooledBytes json, string text) => JsonText.WriteString(Encoding.UTF8.GetBytes(text), json);
}
