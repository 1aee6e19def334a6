namespace QwenProxy.Wire;

/// <summary>A place in a byte buffer that somebody else owns. Length 0 means "not there".</summary>
public readonly record struct ByteRange(int Start, int Length)
{
    public int End => Start + Length;

    public bool IsEmpty => Length == 0;

    public ReadOnlySpan<byte> In(ReadOnlySpan<byte> bytes) => bytes.Slice(Start, Length);

    /// <summary>The same bytes after the buffer dropped <paramref name="by"/> bytes at its front.</summary>
    public ByteRange Shift(int by) => Length == 0 ? default : this with { Start = Start - by };
}
