using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace QwenProxy.Core.Clients;

/// <summary>
/// What is kept of a key: its beginning, which names it, and a salted SHA-256 of the whole. A key has 256 random bits, which nobody can try out whatever a
/// try costs; a slow hash as for passwords would protect nothing more and cost every request.
/// </summary>
/// <param name="Prefix">The key's first <see cref="PrefixLength"/> characters. They are no secret: they find the one hash to compare with.</param>
/// <param name="Salt">Random bytes of this key alone.</param>
/// <param name="Hash">SHA-256 of the salt and the key's UTF-8.</param>
/// <param name="Until">When it stops working, because another took its place; null while it is the newest.</param>
public sealed record KeyHash(string Prefix, ReadOnlyMemory<byte> Salt, ReadOnlyMemory<byte> Hash, DateTimeOffset? Until = null)
{
    public const int PrefixLength = 12;

    private const string Start = "qpk-";
    private const int RandomBytes = 32;
    private const int SaltBytes = 16;

    /// <summary>Makes a key: the text for its owner, and what is kept. <paramref name="fill"/> gives random bytes.</summary>
    public static (string Key, KeyHash Kept) Create(Action<Span<byte>> fill)
    {
        ArgumentNullException.ThrowIfNull(fill);
        Span<byte> random = stackalloc byte[6 + RandomBytes];
        byte[] salt = new byte[SaltBytes];
        fill(random);
        fill(salt);
        string text = Convert.ToBase64String(random[..6]) + Convert.ToBase64String(random[6..]).TrimEnd('=');
        string key = Start + text.Replace('+', '-').Replace('/', '_');
        return (key, new KeyHash(key[..PrefixLength], salt, HashOf(salt, key)));
    }

    /// <summary>Compares in constant time.</summary>
    public bool Matches(ReadOnlySpan<char> candidate) =>
        candidate.Length is > PrefixLength and <= 512 && candidate.StartsWith(Prefix, StringComparison.Ordinal) && CryptographicOperations.FixedTimeEquals(HashOf(Salt.Span, candidate), Hash.Span);

    private static byte[] HashOf(ReadOnlySpan<byte> salt, ReadOnlySpan<char> key)
    {
        Span<byte> salted = stackalloc byte[64 + (512 * 3)];
        salt.CopyTo(salted);
        int length = Encoding.UTF8.GetBytes(key, salted[salt.Length..]);
        return SHA256.HashData(salted[..(salt.Length + length)]);
    }
}

/// <summary>A key that <c>qwen-proxy keys add</c> made. A revoked one is kept: its name stands in the ledger, and the last one's end must not open the door.</summary>
public sealed record StoredKey(string Name, DateTimeOffset Created, ClientLimits Limits, ImmutableArray<KeyHash> Hashes)
{
    public DateTimeOffset? Revoked { get; init; }

    public bool IsValid(DateTimeOffset now) => Revoked is null && !(Limits.Expires <= now);
}

/// <summary>The keys that the commands made.</summary>
public sealed record KeyRing(ImmutableArray<StoredKey> Keys)
{
    public static KeyRing Empty { get; } = new([]);

    /// <summary>Those of a fleet whose database was not read yet. Nobody can tell whether a key is asked for, so one is.</summary>
    public static KeyRing Unknown { get; } = new([]) { AreKnown = false };

    public bool AreKnown { get; private init; } = true;

    /// <summary>The client of a key that works now; null for any other text.</summary>
    public Client? Find(ReadOnlySpan<char> candidate, DateTimeOffset now)
    {
        foreach (StoredKey key in Keys)
        {
            foreach (KeyHash hash in key.Hashes)
            {
                if (hash.Matches(candidate)) return key.IsValid(now) && !(hash.Until <= now) ? new Client(key.Name, key.Limits) : null;
            }
        }

        return null;
    }

    public StoredKey? Named(string name) => Keys.FirstOrDefault(k => k.Name == name);

    /// <summary>With this one in the place of the one of its name.</summary>
    public KeyRing With(StoredKey key) => Named(key.Name) is { } old ? new KeyRing(Keys.Replace(old, key)) : new KeyRing(Keys.Add(key));
}
