using System.Text;
using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>An error in OpenAI's shape: <c>{"error":{"message","type","param","code"},"request_id"}</c>.</summary>
public static class OpenAIErrors
{
    public static byte[] Write(ProxyError error)
    {
        using PooledBytes json = new(512);
        json.Write("{\"error\":{\"message\":"u8);
        WriteText(json, error.Message);
        json.Write(",\"type\":"u8);
        WriteText(json, error.Type ?? TypeOf(error.Status));
        json.Write(",\"param\":"u8);
        WriteText(json, error.Param);
        json.Write(",\"code\":"u8);
        WriteText(json, error.Code);
        if (error.Fix is not null)
        {
            // Beside upstream's words, which stay as they came.
            json.Write(",\"fix\":"u8);
            WriteText(json, error.Fix);
        }

        json.Write("}"u8);
        if (error.RequestId is not null)
        {
            json.Write(",\"request_id\":"u8);
            WriteText(json, error.RequestId);
        }

        json.Write("}"u8);
        return json.Span.ToArray();
    }

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };

    private static void WriteText(PooledBytes json, string? text)
    {
        if (text is null) json.Write("null"u8);
        else JsonText.WriteString(Encoding.UTF8.GetBytes(text), json);
    }
}
