using System.Collections.Immutable;

namespace QwenProxy.Core.Errors;

/// <summary>
/// Secrets that may stand in somebody else's words: a service may repeat the key it was sent. <c>***</c> takes their place, whatever the case of their
/// letters, also where the text was cut inside one.
/// </summary>
public sealed class SecretWords
{
    /// <summary>Shorter ones are ordinary words, and taking those out of every sentence would hide more than it protects.</summary>
    public const int ShortestLength = 4;

    /// <summary>So much of a secret's beginning at the end of a text is one that was cut.</summary>
    private const int ShortestBeginning = 6;

    private const string Mark = "***";

    private readonly ImmutableArray<string> _secrets;

    public SecretWords(IEnumerable<string?> secrets) =>
        // The longest first: one may be the beginning of another.
        _secrets = [.. secrets.OfType<string>().Where(s => s.Length >= ShortestLength).Distinct().OrderByDescending(s => s.Length)];

    /// <summary>These and one more; the same when there is none.</summary>
    public SecretWords And(string? secret) => secret is null || secret.Length < ShortestLength || _secrets.Contains(secret) ? this : new SecretWords(_secrets.Append(secret));

    public string Hide(string text)
    {
        foreach (string secret in _secrets)
        {
            text = text.Replace(secret, Mark, StringComparison.OrdinalIgnoreCase);
            for (int length = Math.Min(secret.Length - 1, text.Length); length >= ShortestBeginning; length--)
            {
                if (!text.AsSpan().EndsWith(secret.AsSpan(0, length), StringComparison.OrdinalIgnoreCase)) continue;
                text = text[..^length] + Mark;
                break;
            }
        }

        return text;
    }

    /// <summary>The same failure without secrets in any of its words.</summary>
    public ProxyError Hide(ProxyError error) => error with
    {
        Message = Hide(error.Message),
        Code = error.Code is null ? null : Hide(error.Code),
        Type = error.Type is null ? null : Hide(error.Type),
        Param = error.Param is null ? null : Hide(error.Param),
        RequestId = error.RequestId is null ? null : Hide(error.RequestId),
    };
}
