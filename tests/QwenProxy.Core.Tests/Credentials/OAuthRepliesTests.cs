using System.Text;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Core.Tests.Credentials;

public sealed class OAuthRepliesTests
{
    private const string Html = "<html><body>Bad gateway</body></html>";

    [Theory]
    [InlineData(400, """{"error":"invalid_request","error_description":"Invalid refresh token or client_id"}""", OAuthReplyKind.Refused)]
    [InlineData(400, """{"error":"invalid_grant"}""", OAuthReplyKind.Refused)]
    [InlineData(401, """{"error":"invalid_grant"}""", OAuthReplyKind.Refused)]
    [InlineData(401, "", OAuthReplyKind.Refused)]
    [InlineData(400, "", OAuthReplyKind.Refused)]
    [InlineData(401, """{"error":{"code":"invalid_api_key","message":"no"}}""", OAuthReplyKind.Refused)]
    [InlineData(400, Html, OAuthReplyKind.Transient)]
    [InlineData(401, Html, OAuthReplyKind.Transient)]
    [InlineData(400, """{"error":"temporarily_unavailable"}""", OAuthReplyKind.Transient)]
    [InlineData(429, """{"error":"slow_down"}""", OAuthReplyKind.Transient)]
    [InlineData(429, "", OAuthReplyKind.Transient)]
    [InlineData(403, Html, OAuthReplyKind.Transient)]
    [InlineData(404, "", OAuthReplyKind.Transient)]
    [InlineData(500, """{"error":"server_error"}""", OAuthReplyKind.Transient)]
    [InlineData(502, Html, OAuthReplyKind.Transient)]
    [InlineData(504, "", OAuthReplyKind.Transient)]
    [InlineData(200, Html, OAuthReplyKind.Transient)]
    [InlineData(200, "", OAuthReplyKind.Transient)]
    [InlineData(200, """{"error":"oops"}""", OAuthReplyKind.Transient)]
    [InlineData(200, """{"error":"oops","access_token":"a"}""", OAuthReplyKind.Transient)]
    [InlineData(200, """{"access_token":null}""", OAuthReplyKind.Transient)]
    [InlineData(200, """{"access_token":"a b"}""", OAuthReplyKind.Transient)]
    [InlineData(302, """{"access_token":"a"}""", OAuthReplyKind.Transient)]
    [InlineData(200, """{"access_token":"a"}""", OAuthReplyKind.Granted)]
    public void RefreshReply_IsDeadOnlyWhenTheServerSaysSo(int status, string body, OAuthReplyKind expected) =>
        Assert.Equal(expected, OAuthReplies.ReadRefresh(status, Encoding.UTF8.GetBytes(body)).Kind);

    [Theory]
    [InlineData(400, """{"error":"authorization_pending"}""", OAuthReplyKind.Pending)]
    [InlineData(428, """{"error":"authorization_pending"}""", OAuthReplyKind.Pending)]
    [InlineData(200, """{"access_token":null}""", OAuthReplyKind.Pending)]
    [InlineData(200, "{}", OAuthReplyKind.Pending)]
    [InlineData(429, """{"error":"slow_down"}""", OAuthReplyKind.SlowDown)]
    [InlineData(400, """{"error":"slow_down"}""", OAuthReplyKind.SlowDown)]
    [InlineData(429, "", OAuthReplyKind.SlowDown)]
    [InlineData(400, """{"error":"expired_token"}""", OAuthReplyKind.CodeExpired)]
    [InlineData(429, """{"error":"expired_token"}""", OAuthReplyKind.CodeExpired)]
    [InlineData(401, "", OAuthReplyKind.CodeExpired)]
    [InlineData(401, Html, OAuthReplyKind.CodeExpired)]
    [InlineData(401, """{"error":"expired_token"}""", OAuthReplyKind.CodeExpired)]
    [InlineData(401, """{"error":"access_denied"}""", OAuthReplyKind.Denied)]
    [InlineData(401, """{"error":"authorization_pending"}""", OAuthReplyKind.Ended)]
    [InlineData(401, """{"error":"slow_down"}""", OAuthReplyKind.Ended)]
    [InlineData(401, """{"error":"invalid_grant"}""", OAuthReplyKind.Ended)]
    [InlineData(401, """{"error":{"code":"invalid_api_key","message":"no"}}""", OAuthReplyKind.Ended)]
    [InlineData(400, """{"error":"access_denied"}""", OAuthReplyKind.Denied)]
    [InlineData(403, """{"error":"access_denied"}""", OAuthReplyKind.Denied)]
    [InlineData(400, """{"error":"invalid_grant"}""", OAuthReplyKind.Refused)]
    [InlineData(500, "", OAuthReplyKind.Transient)]
    [InlineData(502, Html, OAuthReplyKind.Transient)]
    [InlineData(200, Html, OAuthReplyKind.Transient)]
    [InlineData(200, """{"access_token":"a","expires_in":3600}""", OAuthReplyKind.Granted)]
    public void PollReply_GoesByCodeBeforeStatus(int status, string body, OAuthReplyKind expected) =>
        Assert.Equal(expected, OAuthReplies.ReadPoll(status, Encoding.UTF8.GetBytes(body)).Kind);

    [Fact]
    public void Grant_CarriesAllFields()
    {
        const string Body = """{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":"3600","resource_url":"portal.qwen.ai"}""";
        TokenGrant grant = OAuthReplies.ReadRefresh(200, Encoding.UTF8.GetBytes(Body)).Grant!;
        Assert.Equal("a", grant.AccessToken.Reveal());
        Assert.Equal("r", grant.RefreshToken!.Reveal());
        Assert.Equal(TimeSpan.FromHours(1), grant.Lifetime);
        Assert.Equal("portal.qwen.ai", grant.ResourceUrl);
        Assert.DoesNotContain("a,", grant.ToString());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1e99")]
    [InlineData("null")]
    public void UnusableExpiresIn_IsAbsent(string value) =>
        Assert.Null(OAuthReplies.ReadRefresh(200, Encoding.UTF8.GetBytes($"{{\"access_token\":\"a\",\"expires_in\":{value}}}")).Grant!.Lifetime);

    [Fact]
    public void Reason_NamesTheServersWordsWithoutControlCharacters()
    {
        OAuthReply reply = OAuthReplies.ReadRefresh(400, "{\"error\":\"invalid_request\",\"error_description\":\"Invalid\\u001b[31m token\\n\"}"u8);
        Assert.Equal("HTTP 400, invalid_request: Invalid [31m token", reply.Reason);
    }

    [Fact]
    public void DeviceReply_IsReadWithItsInterval()
    {
        DeviceCode device = OAuthReplies.ReadDevice(
            200,
            """
            {"device_code":"d","user_code":"AB-CD","verification_uri":"https://x/y","verification_uri_complete":"https://x/y?c=AB",
            "expires_in":900,"interval":5}
            """u8,
            out _)!;
        Assert.Equal(("d", "AB-CD", "https://x/y?c=AB"), (device.Code, device.UserCode, device.VerificationUriComplete));
        Assert.Equal(TimeSpan.FromSeconds(900), device.Lifetime);
        Assert.Equal(TimeSpan.FromSeconds(5), device.Interval);
        Assert.DoesNotContain("Code = d", device.ToString());
    }

    [Fact]
    public void DeviceReplyWithoutInterval_PollsEveryTwoSeconds() => Assert.Equal(
        TimeSpan.FromSeconds(2),
        OAuthReplies.ReadDevice(200, """{"device_code":"d","user_code":"u","verification_uri":"https://x"}"""u8, out _)!.Interval);

    [Theory]
    [InlineData(200, """{"error":"invalid_client","error_description":"gone"}""")]
    [InlineData(404, "")]
    [InlineData(200, Html)]
    [InlineData(200, """{"device_code":"d"}""")]
    public void DeviceReplyWithoutACode_IsAFailure(int status, string body)
    {
        Assert.Null(OAuthReplies.ReadDevice(status, Encoding.UTF8.GetBytes(body), out string reason));
        Assert.StartsWith($"HTTP {status}", reason);
    }
}
