using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator;

/// <summary>What a route without a meaning of its own answers: the request, so that a test of forwarding can see what arrived.</summary>
internal static class EchoWriter
{
    public static byte[] Write(HttpRequest request, byte[] body)
    {
        using JsonBuilder json = new();
        json.Raw("{\"object\":\"echo\",\"method\":"u8).Text(request.Method).Raw(",\"path\":"u8).Text(request.Path.Value);
        json.Raw(",\"query\":"u8).Text(request.QueryString.Value).Raw(",\"content_type\":"u8).Text(request.ContentType);
        json.Raw(",\"body_bytes\":"u8).Number(body.Length).Raw(",\"body_sha256\":"u8).Text(Convert.ToHexStringLower(SHA256.HashData(body)));
        json.Raw(",\"body\":"u8).Text(System.Text.Unicode.Utf8.IsValid(body) ? Encoding.UTF8.GetString(body) : null);
        return json.Raw("}"u8).ToArray();
    }
}
