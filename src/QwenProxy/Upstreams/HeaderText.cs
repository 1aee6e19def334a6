using System.Buffers;
using System.Text;

namespace QwenProxy.Upstreams;

/// <summary>Values of headers as every server and client can carry them: printable ASCII. A byte outside it must not cost anybody an answer.</summary>
internal static class HeaderText
{
    private static readonly SearchValues<char> Good = SearchValues.Create([.. Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (char)c), '\t']);

    /// <summary>Somebody else's value: what cannot be carried becomes <c>?</c>. The string itself when nothing has to change.</summary>
    public static string Clean(string value) =>
        value.AsSpan().IndexOfAnyExcept(Good) < 0 ? value : string.Concat(value.Select(c => Good.Contains(c) ? c : '?'));

    /// <summary>A value of the proxy's own, from which its reader can get back what was meant: other characters as percent-encoded UTF-8.</summary>
    public static string Encode(string value)
    {
        if (value.AsSpan().IndexOfAnyExcept(Good) < 0) return value;
        StringBuilder encoded = new();
        foreach (Rune rune in value.EnumerateRunes())
        {
            if (rune.IsAscii && Good.Contains((char)rune.Value)) encoded.Append((char)rune.Value);
            else encoded.Append(Uri.EscapeDataString(rune.ToString()));
        }

        return encoded.ToString();
    }
}
