using System.Security.Cryptography;
using System.Text;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Storage;

/// <summary>What a row keeps of something secret: which key sealed it, and the sealed bytes.</summary>
internal sealed record SealedBytes(string KeyId, byte[] Bytes);

/// <summary>
/// The keys that seal what the database may hold but not read (AES-256-GCM). The first seals, all of them open: a new key is put in front of the old one,
/// and the old one goes once everything was sealed anew. A key's id is a part of its hash, so that nobody has to invent ids.
/// </summary>
internal sealed class SealingKeys
{
    public const string Allowed = "32 bytes in base64, such as `openssl rand -base64 32` makes; for a change of keys, the new one and the old one with a comma between them";

    private const int KeyBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly (string Id, byte[] Key)[] _keys;

    private SealingKeys((string, byte[])[] keys) => _keys = keys;

    /// <summary>The id of the key that seals now.</summary>
    public string CurrentId => _keys[0].Id;

    /// <summary>Null when one of them is no key.</summary>
    public static SealingKeys? Parse(Secret secret)
    {
        List<(string, byte[])> keys = [];
        foreach (string text in secret.Reveal().Split(','))
        {
            byte[] key = new byte[KeyBytes];
            if (!Convert.TryFromBase64String(text, key, out int length) || length != KeyBytes) return null;
            keys.Add((Convert.ToHexStringLower(SHA256.HashData(key))[..16], key));
        }

        return new SealingKeys([.. keys]);
    }

    /// <param name="plain">What is sealed.</param>
    /// <param name="place">Where it is kept, such as an account's name: sealed bytes that were moved elsewhere do not open.</param>
    public SealedBytes Seal(ReadOnlySpan<byte> plain, string place)
    {
        byte[] sealedBytes = new byte[NonceBytes + plain.Length + TagBytes];
        Span<byte> nonce = sealedBytes.AsSpan(0, NonceBytes);
        // Random nonces of 96 bits are good for some billions of messages by one key; a fleet seals a few thousand a day.
        RandomNumberGenerator.Fill(nonce);
        using AesGcm cipher = new(_keys[0].Key, TagBytes);
        cipher.Encrypt(nonce, plain, sealedBytes.AsSpan(NonceBytes, plain.Length), sealedBytes.AsSpan(NonceBytes + plain.Length), Encoding.UTF8.GetBytes(place));
        return new SealedBytes(CurrentId, sealedBytes);
    }

    /// <summary>Null, with the reason, when no key here opens it or it was changed.</summary>
    public byte[]? Open(SealedBytes content, string place, out string? fault)
    {
        fault = null;
        byte[]? key = Array.Find(_keys, k => k.Id == content.KeyId).Key;
        if (key is null)
        {
            fault = $"it is sealed by the key {content.KeyId}, which storage.secretKey does not hold";
            return null;
        }

        int length = content.Bytes.Length - NonceBytes - TagBytes;
        if (length >= 0)
        {
            byte[] plain = new byte[length];
            using AesGcm cipher = new(key, TagBytes);
            try
            {
                ReadOnlySpan<byte> all = content.Bytes;
                cipher.Decrypt(all[..NonceBytes], all.Slice(NonceBytes, length), all[(NonceBytes + length)..], plain, Encoding.UTF8.GetBytes(place));
                return plain;
            }
            catch (AuthenticationTagMismatchException)
            {
                // Somebody changed it, or moved it here from another place.
            }
        }

        fault = "it is not what was sealed: it was changed, or belongs to another place";
        return null;
    }
}
