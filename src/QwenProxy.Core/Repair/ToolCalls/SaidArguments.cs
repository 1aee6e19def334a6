using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>What was passed on of a call's arguments: enough of it to know whether it is JSON and whether other arguments are the same.</summary>
internal sealed class SaidArguments : IDisposable
{
    private const int MaxHeadBytes = 256;
    private static readonly JsonCheck Empty = JsonCheck.Of("{}"u8);

    private readonly PooledBytes _head = new(MaxHeadBytes);
    private JsonCheck _check;

    public bool IsWholeJson => _check.IsWhole;

    public bool IsEmptyObject => _check.SaysTheSameAs(Empty);

    public bool IsBareBrace => _check.Length == 1 && _head.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..];

    public void Clear()
    {
        _check = default;
        _head.Clear();
    }

    public void Add(ReadOnlySpan<byte> said)
    {
        _check.Add(said);
        if (_head.Length < MaxHeadBytes) _head.Write(said[..Math.Min(said.Length, MaxHeadBytes - _head.Length)]);
    }

    public bool Is(SaidArguments other) => _check.SaysTheSameAs(other._check);

    public bool Is(ReadOnlySpan<byte> json) => _check.SaysTheSameAs(JsonCheck.Of(json));

    /// <summary>As far as both are known, one is the other or its beginning.</summary>
    public bool MayBecome(SaidArguments other)
    {
        int both = Math.Min(_head.Length, other._head.Length);
        return _head.Span[..both].SequenceEqual(other._head.Span[..both]);
    }

    /// <summary>The rest behind these arguments is the beginning of the same again, as an object or as a string, or brackets and quotes.</summary>
    public bool IsFollowedByNothingNew(ReadOnlySpan<byte> rest)
    {
        if (rest.Trim("\"}] \t\r\n"u8).IsEmpty) return true;
        using PooledBytes inside = new(rest.Length);
        if (rest[0] == '"') JsonText.Unescape(rest[1..], inside);
        else inside.Write(rest);
        return _head.Span.StartsWith(inside.Span[..Math.Min(inside.Length, MaxHeadBytes)]);
    }

    public void Dispose() => _head.Dispose();
}
