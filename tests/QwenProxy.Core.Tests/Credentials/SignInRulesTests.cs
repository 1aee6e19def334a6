using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using QwenProxy.Core.Credentials;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Credentials;

public sealed class SignInRulesTests
{
    [Theory]
    [InlineData(3600, null, TokenPhase.Valid)]
    [InlineData(301, null, TokenPhase.Valid)]
    [InlineData(300, null, TokenPhase.Expiring)]
    [InlineData(31, null, TokenPhase.Expiring)]
    [InlineData(30, null, TokenPhase.LastMoments)]
    [InlineData(1, null, TokenPhase.LastMoments)]
    [InlineData(0, null, TokenPhase.Expired)]
    [InlineData(-5, null, TokenPhase.Expired)]
    [InlineData(301, 3600, TokenPhase.Valid)]
    [InlineData(300, 3600, TokenPhase.Expiring)]
    // A token that lives two minutes is not "expiring" all its life, and one of twenty seconds is not useless.
    [InlineData(120, 120, TokenPhase.Valid)]
    [InlineData(40, 120, TokenPhase.Expiring)]
    [InlineData(30, 120, TokenPhase.LastMoments)]
    [InlineData(20, 20, TokenPhase.Valid)]
    [InlineData(5, 20, TokenPhase.LastMoments)]
    public void RemainingTime_DecidesThePhase(int remaining, int? lifetime, TokenPhase expected) =>
        Assert.Equal(expected, TokenLifetime.PhaseOf(TimeSpan.FromSeconds(remaining), lifetime is { } s ? TimeSpan.FromSeconds(s) : null));

    [Fact]
    public void AssumedLifetime_IsNotInsideItsOwnLeadWindow() =>
        Assert.Equal(TokenPhase.Valid, TokenLifetime.PhaseOf(TokenLifetime.Assumed, TokenLifetime.Assumed));

    [Theory]
    [InlineData(null, "https://dashscope.aliyuncs.com/compatible-mode/v1")]
    [InlineData("", "https://dashscope.aliyuncs.com/compatible-mode/v1")]
    [InlineData("portal.qwen.ai", "https://portal.qwen.ai/v1")]
    [InlineData("https://portal.qwen.ai/", "https://portal.qwen.ai/v1")]
    [InlineData("https://portal.qwen.ai/v1", "https://portal.qwen.ai/v1")]
    [InlineData("https://portal.qwen.ai/v1/", "https://portal.qwen.ai/v1")]
    [InlineData("dashscope-intl.aliyuncs.com/compatible-mode/v1", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1")]
    [InlineData("cn-hongkong.dashscope.aliyuncs.com", "https://cn-hongkong.dashscope.aliyuncs.com/v1")]
    [InlineData("http://127.0.0.1:8900", "http://127.0.0.1:8900/v1")]
    [InlineData("http://localhost:8900/v1", "http://localhost:8900/v1")]
    [InlineData("http://[::1]:8900", "http://[::1]:8900/v1")]
    [InlineData("https://mine.example", "https://mine.example/v1")]
    [InlineData("https://a.corp.example", "https://a.corp.example/v1")]
    public void ResourceUrl_BecomesTheBaseUrl(string? resource, string expected)
    {
        Uri? url = ResourceEndpoint.Resolve(resource, ["mine.example", "*.corp.example"], out string? refusal);
        Assert.Null(refusal);
        Assert.Equal(expected, url!.AbsoluteUri);
    }

    [Theory]
    [InlineData("http://portal.qwen.ai")]
    [InlineData("http://10.0.0.1:80")]
    [InlineData("ftp://portal.qwen.ai")]
    [InlineData("file:///etc/passwd")]
    [InlineData("https://evil.example")]
    [InlineData("https://portal.qwen.ai.evil.example")]
    [InlineData("https://evilqwen.ai")]
    [InlineData("https://portal.qwen.ai@evil.example")]
    [InlineData("https://user:secret@portal.qwen.ai")]
    [InlineData("https://bucket.oss-cn-beijing.aliyuncs.com")]
    [InlineData("https://corp.example")]
    [InlineData("https://portal.qwen.ai/v1?x=/v1")]
    [InlineData("https://")]
    public void ResourceUrlElsewhere_IsRefusedByName(string resource)
    {
        Assert.Null(ResourceEndpoint.Resolve(resource, ["*.corp.example"], out string? refusal));
        Assert.False(string.IsNullOrEmpty(refusal));
        Assert.DoesNotContain("secret", refusal);
    }

    [Fact]
    public void Backoff_GrowsWithJitterAndStaysBelowItsBounds()
    {
        Assert.Equal(2.5, RefreshBackoff.After(1, 0, null, attended: true).TotalSeconds);
        Assert.InRange(RefreshBackoff.After(1, 0.999, null, attended: true).TotalSeconds, 4.9, 5);
        Assert.Equal(5, RefreshBackoff.After(2, 0, null, attended: true).TotalSeconds);
        for (int round = 1; round < 100; round++)
        {
            Assert.InRange(RefreshBackoff.After(round, 0.999, null, attended: true), TimeSpan.FromSeconds(2), RefreshBackoff.Longest);
            Assert.InRange(RefreshBackoff.After(round, 0.999, null, attended: false), TimeSpan.FromSeconds(2), RefreshBackoff.LongestUnattended);
        }

        Assert.True(RefreshBackoff.After(20, 0, null, attended: false) > RefreshBackoff.Longest);
    }

    [Fact]
    public void RetryAfter_IsObeyedUpToItsCap()
    {
        Assert.Equal(9, RefreshBackoff.After(1, 0, TimeSpan.FromSeconds(9), attended: true).TotalSeconds);
        Assert.Equal(12, RefreshBackoff.After(1, 0, TimeSpan.FromHours(9), attended: true).TotalSeconds);
        Assert.Equal(2.5, RefreshBackoff.After(1, 0, TimeSpan.FromSeconds(-3), attended: true).TotalSeconds);
    }

    [Fact]
    public void Pkce_ChallengeIsTheHashOfTheVerifier()
    {
        Pkce pkce = new(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());
        Assert.Equal(43, pkce.Verifier.Length);
        Assert.Equal(Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(pkce.Verifier))), pkce.Challenge);
        Assert.DoesNotContain('=', pkce.Challenge);
        Assert.Equal("***", pkce.ToString());
    }

    [Fact]
    public void Pkce_OfTheExampleInItsSpecification_HasThatChallenge()
    {
        byte[] entropy = Base64Url.DecodeFromChars("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        Assert.Equal("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", new Pkce(entropy).Challenge);
    }

    [Fact]
    public void SignedOut_NamesTheCommandAndTheWaysOut()
    {
        ProxyError error = SignInErrors.SignedOut("me", "qwen-proxy login", "the refresh token was refused");
        Assert.Equal((401, "account_signed_out"), (error.Status, error.Code));
        Assert.Contains("qwen-proxy login", error.Message);
        Assert.Contains("2026-04-15", error.Message);
        Assert.Contains("DASHSCOPE_API_KEY", error.Message);
        Assert.Contains("another account", error.Message);
    }

    [Fact]
    public void FailedRefresh_IsNeverSignedOut()
    {
        ProxyError error = SignInErrors.RefreshFailed("me", "HTTP 503", TimeSpan.FromSeconds(4));
        Assert.Equal((502, "upstream_unreachable"), (error.Status, error.Code));
        Assert.Equal(TimeSpan.FromSeconds(4), error.RetryAfter);
        Assert.Equal(504, SignInErrors.RefreshTimedOut("me", TimeSpan.FromSeconds(1)).Status);
    }
}
