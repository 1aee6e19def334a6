using System.Text;
using QwenProxy.Core.Accounts;
using QwenProxy.Storage;

namespace QwenProxy.Tests.Storage;

public sealed class SealingKeysTests
{
    private static readonly string s_old = Convert.ToBase64String(Enumerable.Repeat((byte)1, 32).ToArray());
    private static readonly string s_new = Convert.ToBase64String(Enumerable.Repeat((byte)2, 32).ToArray());

    [Fact]
    public void WhatIsSealed_OpensAtItsPlaceOnly()
    {
        SealingKeys keys = Parse(s_old);
        SealedBytes sealedBytes = keys.Seal("a token"u8, "alice");
        Assert.DoesNotContain("a token", Encoding.Latin1.GetString(sealedBytes.Bytes), StringComparison.Ordinal);
        Assert.Equal("a token", Encoding.UTF8.GetString(keys.Open(sealedBytes, "alice", out _)!));
        Assert.Null(keys.Open(sealedBytes, "bob", out string? fault));
        Assert.Equal("it is not what was sealed: it was changed, or belongs to another place", fault);
    }

    [Fact]
    public void ChangedOrCutBytes_DoNotOpen()
    {
        SealingKeys keys = Parse(s_old);
        SealedBytes sealedBytes = keys.Seal("a token"u8, "alice");
        for (int i = 0; i < sealedBytes.Bytes.Length; i++)
        {
            byte[] changed = [.. sealedBytes.Bytes];
            changed[i] ^= 1;
            Assert.Null(keys.Open(sealedBytes with { Bytes = changed }, "alice", out _));
            Assert.Null(keys.Open(sealedBytes with { Bytes = sealedBytes.Bytes[..i] }, "alice", out _));
        }
    }

    [Fact]
    public void TheSameTextTwice_IsSealedDifferently() =>
        Assert.NotEqual(Parse(s_old).Seal("a token"u8, "alice").Bytes, Parse(s_old).Seal("a token"u8, "alice").Bytes);

    [Fact]
    public void WhileKeysChange_TheNewOneSealsAndBothOpen()
    {
        SealedBytes before = Parse(s_old).Seal("a token"u8, "alice");
        SealingKeys both = Parse($"{s_new},{s_old}");
        Assert.NotNull(both.Open(before, "alice", out _));
        SealedBytes after = both.Seal("a token"u8, "alice");
        Assert.Equal((both.CurrentId, Parse(s_new).CurrentId), (after.KeyId, after.KeyId));
        Assert.NotNull(Parse(s_new).Open(after, "alice", out _));
        Assert.Null(Parse(s_new).Open(before, "alice", out string? fault));
        Assert.Equal($"it is sealed by the key {before.KeyId}, which storage.secretKey does not hold", fault);
    }

    [Theory]
    [InlineData("c2hvcnQ=")]
    [InlineData("no base64 at all!")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void AnotherLengthOrNoBase64_IsNoKey(string text) => Assert.Null(SealingKeys.Parse(new Secret(text)));

    private static SealingKeys Parse(string text) => SealingKeys.Parse(new Secret(text))!;
}
