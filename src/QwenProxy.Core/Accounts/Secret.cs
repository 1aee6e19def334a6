using System.Security.Cryptography;
using System.Text;

namespace QwenProxy.Core.Accounts;

/// <summary>A key or token. It prints as <c>***</c> wherever it is formatted, so that no log line, error or dump can carry it by accident.</summary>
public sealed class Secret : IEquatable<Secret>
{
    private readonly string _value;
    private readonly byte[] _hash;

    public Secret(string value)
    {
        ArgumentException.ThrowIfNullOrEmpty(value);
        _value = value;
        _hash = SHA256.HashData(Encoding.UTF8.GetBytes(value));
    }

    /// <summary>The text itself, for the one place that sends it.</summary>
    public string Reveal() => _value;

    /// <summary>Compares in constant time whatever the lengths: both sides are hashed first.</summary>
    public bool Matches(ReadOnlySpan<char> candidate)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> utf8 = candidate.Length <= 512 ? stackalloc byte[candidate.Length * 3] : new byte[candidate.Length * 3];
        int length = Encoding.UTF8.GetBytes(candidate, utf8);
        SHA256.HashData(utf8[..length], hash);
        return CryptographicOperations.FixedTimeEquals(hash, _hash);
    }

    public bool Equals(Secret? other) => other is not null && CryptographicOperations.FixedTimeEquals(_hash, other._hash);

    public override bool Equals(object? obj) => Equals(obj as Secret);

    public override int GetHashCode() => BitConverter.ToInt32(_hash, 0);

    public override string ToString() => "***";
}
