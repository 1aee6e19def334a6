using System.Text;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;

namespace QwenProxy.Core.Tests.Credentials;

public sealed class CredentialsDocumentTests
{
    private static readonly QwenCredentials s_new = new()
    {
        AccessToken = new Secret("at-new"),
        RefreshToken = new Secret("rt-new"),
        ResourceUrl = "portal.qwen.ai",
        ExpiresAt = DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_123),
    };

    [Fact]
    public void WholeFile_IsRead()
    {
        QwenCredentials? read = Parse(
            """{"access_token":"a","token_type":"Bearer","refresh_token":"r","resource_url":"portal.qwen.ai","expiry_date":1700000000123}""",
            out string? fault);

        Assert.Null(fault);
        Assert.NotNull(read);
        Assert.Equal("a", read.AccessToken.Reveal());
        Assert.Equal("r", read.RefreshToken!.Reveal());
        Assert.Equal("portal.qwen.ai", read.ResourceUrl);
        Assert.Equal(1700000000123, read.ExpiresAt!.Value.ToUnixTimeMilliseconds());
    }

    [Fact]
    public void PrintedRecord_ShowsStarsForTokens()
    {
        string printed = s_new.ToString();
        Assert.DoesNotContain("at-new", printed);
        Assert.DoesNotContain("rt-new", printed);
        Assert.Contains("***", printed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{\"access_token\":\"a\"")]
    [InlineData("{\"access_token\":\"\"}")]
    [InlineData("{\"access_token\":null,\"refresh_token\":\"r\"}")]
    [InlineData("{\"access_token\":\"a\\nb\"}")]
    [InlineData("{\"access_token\":\"\\ud800\"}")]
    [InlineData("{\"access_token\":\"ключ\"}")]
    public void UnusableFile_GivesAReasonWithoutQuotingIt(string text)
    {
        Assert.Null(Parse(text, out string? fault));
        Assert.NotNull(fault);
        Assert.DoesNotContain("ключ", fault);
    }

    [Theory]
    [InlineData("{\"access_token\":\"a\",\"expiry_date\":\"soon\"}")]
    [InlineData("{\"access_token\":\"a\"}")]
    public void MissingExpiry_IsUnknownNotAFault(string text)
    {
        QwenCredentials? read = Parse(text, out _);
        Assert.NotNull(read);
        Assert.Null(read.ExpiresAt);
    }

    [Theory]
    [InlineData("1e300")]
    [InlineData("-5")]
    [InlineData("1700000000123.5")]
    public void OddExpiry_IsClampedNotThrown(string number) =>
        Assert.NotNull(Parse($"{{\"access_token\":\"a\",\"expiry_date\":{number}}}", out _)!.ExpiresAt);

    [Fact]
    public void Merge_KeepsEveryOtherByte()
    {
        const string Original = "{\n  \"note\": \"\\u00e9 \\/ kept\",\n  \"access_token\": \"old\",\n  \"n\": 1.50e+3,\n  \"id_token\":\"x\" ,\n"
            + "  \"refresh_token\" : \"old-r\",\n  \"deep\": {\"access_token\": \"not mine\"},\n  \"expiry_date\": 1\n}\n\n";

        string merged = Merge(Original, s_new);

        string expected = Original.Replace("\"access_token\": \"old\"", "\"access_token\": \"at-new\"").Replace("\"old-r\"", "\"rt-new\"")
            .Replace("\"expiry_date\": 1\n", "\"expiry_date\": 1800000000123,\n  \"token_type\": \"Bearer\",\n"
                + "  \"resource_url\": \"portal.qwen.ai\"\n");
        Assert.Equal(expected, merged);
        Assert.Equal(s_new, Parse(merged, out _));
    }

    [Fact]
    public void Merge_OfCompactFile_StaysCompact() => Assert.Equal(
        """{"access_token":"at-new","x":1,"token_type":"Bearer","refresh_token":"rt-new","resource_url":"portal.qwen.ai","expiry_date":"""
        + "1800000000123}",
        Merge("""{"access_token":"old","x":1}""", s_new));

    [Fact]
    public void Merge_ReplacesARepeatedKeyEachTime()
    {
        string merged = Merge("""{"access_token":"one","access_token":"two"}""", s_new);
        Assert.DoesNotContain("one", merged);
        Assert.DoesNotContain("two", merged);
    }

    [Fact]
    public void Merge_KeepsAByteOrderMark()
    {
        byte[] original = [0xEF, 0xBB, 0xBF, .. "{\"access_token\":\"old\"}"u8];
        byte[] merged = CredentialsDocument.Merge(original, s_new);
        Assert.Equal(original[..4], merged[..4]);
        Assert.Equal("at-new", CredentialsDocument.Parse(merged, out _)!.AccessToken.Reveal());
        byte[] untouched = [0xEF, 0xBB, 0xBF, .. "{\"x\":1}"u8];
        Assert.Equal(untouched[..4], CredentialsDocument.Merge(untouched, s_new)[..4]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("not json")]
    public void Merge_WithoutAnOriginal_WritesTheIndentedFile(string original) => Assert.Equal(
        """
        {
          "access_token": "at-new",
          "token_type": "Bearer",
          "refresh_token": "rt-new",
          "resource_url": "portal.qwen.ai",
          "expiry_date": 1800000000123
        }

        """.ReplaceLineEndings("\n"),
        Merge(original, s_new));

    [Fact]
    public void Merge_WithoutRefreshToken_KeepsTheOldOne() =>
        Assert.Contains("\"refresh_token\":\"old\"", Merge("""{"refresh_token":"old"}""", s_new with { RefreshToken = null }));

    [Fact]
    public void GrantWithoutRefreshTokenAndResource_KeepsBoth()
    {
        TokenGrant grant = new(new Secret("a2"), null, null, null, TimeSpan.FromHours(1));
        QwenCredentials after = QwenCredentials.After(grant, s_new, DateTimeOffset.UnixEpoch);
        Assert.Equal("a2", after.AccessToken.Reveal());
        Assert.Equal("rt-new", after.RefreshToken!.Reveal());
        Assert.Equal("portal.qwen.ai", after.ResourceUrl);
        Assert.Equal(DateTimeOffset.UnixEpoch.AddHours(1), after.ExpiresAt);
    }

    [Fact]
    public void GrantWithRotation_ReplacesBoth()
    {
        TokenGrant grant = new(new Secret("a2"), new Secret("r2"), "Bearer", "dashscope.aliyuncs.com", null);
        QwenCredentials after = QwenCredentials.After(grant, s_new, DateTimeOffset.UnixEpoch);
        Assert.Equal("r2", after.RefreshToken!.Reveal());
        Assert.Equal("dashscope.aliyuncs.com", after.ResourceUrl);
        Assert.Equal(DateTimeOffset.UnixEpoch + TokenLifetime.Assumed, after.ExpiresAt);
    }

    private static QwenCredentials? Parse(string text, out string? fault) => CredentialsDocument.Parse(Encoding.UTF8.GetBytes(text), out fault);

    private static string Merge(string original, QwenCredentials credentials) =>
        Encoding.UTF8.GetString(CredentialsDocument.Merge(Encoding.UTF8.GetBytes(original), credentials));
}
