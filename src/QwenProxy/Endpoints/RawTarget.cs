namespace QwenProxy.Endpoints;

/// <summary>The request line's target as the client wrote it, before anybody has resolved anything in it.</summary>
internal static class RawTarget
{
    /// <summary>
    /// True for a path with the segments <c>.</c> or <c>..</c>, plain or escaped, also twice: the server resolves some of them and an upstream others, so
    /// what was checked and what is asked for could be two paths. Slashes may be escaped or leaning backwards, and a segment may end in parameters.
    /// </summary>
    public static bool HasDotSegments(string target)
    {
        int query = target.IndexOf('?', StringComparison.Ordinal);
        ReadOnlySpan<char> path = query < 0 ? target : target.AsSpan(0, query);
        if (path.IndexOfAny('%', '\\') < 0 && path.IndexOf("/.") < 0) return false;
        string plain = path.ToString();
        for (int times = 0; times < 3; times++)
        {
            string further = Uri.UnescapeDataString(plain);
            if (further == plain) break;
            plain = further;
        }

        foreach (Range part in plain.AsSpan().SplitAny('/', '\\'))
        {
            ReadOnlySpan<char> segment = plain.AsSpan(part);
            int parameters = segment.IndexOf(';');
            if (parameters >= 0) segment = segment[..parameters];
            if (segment is "." or "..") return true;
        }

        return false;
    }
}
