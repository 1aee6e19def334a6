using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using QwenProxy.Core.Clients;

namespace QwenProxy.Core.Tests.Clients;

public sealed class KeyRingTests
{
    private static readonly DateTimeOffset s_now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Key_IsFoundByItselfAlone()
    {
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        (string other, _) = KeyHash.Create(RandomNumberGenerator.Fill);
        KeyRing ring = new([new StoredKey("alice", s_now, new ClientLimits { Concurrent = 2 }, [kept])]);
        Assert.Equal(("alice", 2), (ring.Find(key, s_now)!.Name, ring.Find(key, s_now)!.Limits.Concurrent));
        foreach (string wrong in new[] { "", other, key[..^1], key + "x", key[..KeyHash.PrefixLength], key[..^1] + (key[^1] == 'A' ? 'B' : 'A'), key.ToLowerInvariant(), key + new string('x', 5000), key[..12] + "通义" })
            Assert.Null(ring.Find(wrong, s_now));
        Assert.InRange(key.Length, 50, 60);
        Assert.All(key, c => Assert.True(char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
    }

    [Fact]
    public void File_HoldsNoKeyAndComesBackWhole()
    {
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        ClientLimits limits = new() { Models = ["a", "b-*"], Expires = s_now.AddDays(1), RequestsPerMinute = 1, Concurrent = 2, TokensPerDay = 3, UsdPerMonth = 4.5m, Priority = -6 };
        KeyRing ring = new([new StoredKey("alice", s_now, limits, [kept, kept with { Until = s_now }]), new StoredKey("bob", s_now, ClientLimits.None, []) { Revoked = s_now }]);
        ArrayBufferWriter<byte> file = new();
        KeyRingJson.Write(ring, file);
        string text = Encoding.UTF8.GetString(file.WrittenSpan);
        Assert.DoesNotContain(key[KeyHash.PrefixLength..], text, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(key))), text, StringComparison.Ordinal);
        Assert.True(KeyRingJson.TryRead(file.WrittenMemory, out KeyRing back));
        Assert.Equal("alice", back.Find(key, s_now)?.Name);
        Assert.Equal(limits.Models, back.Keys[0].Limits.Models);
        Assert.Equal(limits, back.Keys[0].Limits with { Models = limits.Models });
        Assert.Equal((s_now, s_now), (back.Keys[0].Hashes[1].Until, back.Keys[1].Revoked));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"version":2,"keys":[]}""")]
    [InlineData("""{"version":1,"keys":[{"name":"a"}]}""")]
    [InlineData("""{"version":1,"keys":[{"name":"a","created":"x","hashes":[]}]}""")]
    [InlineData("""{"version":1,"keys":[{"name":"a","created":"2026-01-01T00:00:00Z","hashes":[{"prefix":"qpk-12345678","salt":"AA==","hash":"AA=="}]}]}""")]
    [InlineData("""{"version":1,"keys":[{"name":"a","created":"2026-01-01T00:00:00Z","requestsPerMinute":"many","hashes":[]}]}""")]
    public void DamagedFile_IsNoEmptyRing(string text) => Assert.False(KeyRingJson.TryRead(Encoding.UTF8.GetBytes(text), out _));

    [Fact]
    public void EndOfAKey_IsToTheMoment()
    {
        (string key, KeyHash kept) = KeyHash.Create(RandomNumberGenerator.Fill);
        (string old, KeyHash former) = KeyHash.Create(RandomNumberGenerator.Fill);
        StoredKey stored = new("alice", s_now, new ClientLimits { Expires = s_now.AddHours(2) }, [kept, former with { Until = s_now.AddHours(1) }]);
        KeyRing ring = new([stored]);
        Assert.NotNull(ring.Find(old, s_now.AddMinutes(59)));
        Assert.Null(ring.Find(old, s_now.AddHours(1)));
        Assert.NotNull(ring.Find(key, s_now.AddMinutes(119)));
        Assert.Null(ring.Find(key, s_now.AddHours(2)));
        Assert.Null(ring.With(stored with { Revoked = s_now }).Find(key, s_now));
    }

    [Theory]
    [InlineData("30d", "2026-03-31T12:00:00+00:00")]
    [InlineData("2h", "2026-03-01T14:00:00+00:00")]
    [InlineData("1w", "2026-03-08T12:00:00+00:00")]
    [InlineData("2026-12-31", "2027-01-01T00:00:00+00:00")]
    [InlineData("2026-12-31T18:00", "2026-12-31T18:00:00+00:00")]
    [InlineData("2026-12-31T18:00:00+02:00", "2026-12-31T16:00:00+00:00")]
    public void Expiry_IsADateATimeOrASpan(string text, string expected)
    {
        Assert.True(ExpiryText.TryRead(text, s_now, TimeZoneInfo.Utc, out DateTimeOffset expires));
        Assert.Equal(DateTimeOffset.Parse(expected, System.Globalization.CultureInfo.InvariantCulture), expires);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0d")]
    [InlineData("-3d")]
    [InlineData("soon")]
    [InlineData("30")]
    [InlineData("2026-02-30")]
    [InlineData("99999d")]
    public void OtherExpiry_IsRefused(string text) => Assert.False(ExpiryText.TryRead(text, s_now, TimeZoneInfo.Utc, out _));
}
