using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace QwenProxy.Core.Credentials;

/// <summary>The proof that the program which polls is the one that asked (RFC 7636, S256). The verifier is a secret and prints as such.</summary>
public sealed class Pkce
{
    public const int EntropyBytes = 32;

    /// <param name="entropy">32 bytes from a cryptographic source.</param>
    public Pkce(ReadOnlySpan<byte> entropy)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(entropy.Length, EntropyBytes);
        Verifier = Base64Url.EncodeToString(entropy);
        Challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Verifier)));
    }

    /// <summary>43 characters; goes with every poll.</summary>
    public string Verifier { get; }

    /// <summary>43 characters; goes with the request for a device code.</summary>
    public string Challenge { get; }

    public override string ToString() => "***";
}
