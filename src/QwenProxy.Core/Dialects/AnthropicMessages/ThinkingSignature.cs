using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// The signature of a thinking block. It holds no key and no state, so that it means the same after a restart and on another account: either
/// a digest of the words (<c>qp1.…</c>), or, where the client asked not to be shown them, the words themselves (<c>qp1t.…</c>), which come back
/// on the next turn. Clients treat it as opaque; nothing is verified, since the words are the client's own to send.
/// </summary>
internal static class ThinkingSignature
{
    /// <summary>Thinking longer than this is not carried: the client would send it back with every turn.</summary>
    public const int MaxCarriedBytes = 64 * 1024;

    /// <summary>How any of these signatures begins as a JSON string.</summary>
    public static ReadOnlySpan<byte> Mark => "\"qp1"u8;

    private const int DigestBytes = 18;
    private const string DigestPrefix = "qp1.";
    private const string CarryPrefix = "qp1t.";

    public static string OfDigest(ReadOnlySpan<byte> sha256) => DigestPrefix + Base64Url.EncodeToString(sha256[..DigestBytes]);

    public static string OfText(ReadOnlySpan<byte> utf8) => OfDigest(SHA256.HashData(utf8));

    public static string Carrying(ReadOnlySpan<byte> utf8) =>
        utf8.Length > MaxCarriedBytes ? OfText(utf8) : CarryPrefix + Base64Url.EncodeToString(utf8);

    /// <summary>Appends the words a signature carries, in JSON spelling; nothing for any other signature.</summary>
    public static void AppendCarried(string signature, PooledBytes output)
    {
        if (!signature.StartsWith(CarryPrefix, StringComparison.Ordinal)) return;
        byte[] encoded = Encoding.ASCII.GetBytes(signature[CarryPrefix.Length..]);
        byte[] utf8 = new byte[Base64Url.GetMaxDecodedLength(encoded.Length)];
        // A client may have cut the signature; half of it is no thinking.
        if (Base64Url.DecodeFromUtf8(encoded, utf8, out _, out int length) != OperationStatus.Done) return;
        if (System.Text.Unicode.Utf8.IsValid(utf8.AsSpan(0, length))) JsonText.WriteInside(utf8.AsSpan(0, length), output);
    }
}
