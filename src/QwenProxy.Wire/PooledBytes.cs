using System.Buffers;

namespace QwenProxy.Wire;

/// <summary>
/// A growable byte buffer over the shared array pool. It keeps one contiguous array, since every reader here (frames, JSON) wants one span;
/// a chain of segments would save copies only for bodies over the pool's largest array.
/// </summary>
public sealed class PooledBytes(int initialCapacity = 4096) : IBufferWriter<byte>, IDisposable
{
    /// <summary>Larger arrays are not pooled: the pool keeps what it once had, and a proxy that served one large body would be large for good.</summary>
    public const int LargestPooled = 1024 * 1024;

    private byte[] _array = [];
    private int _length;

    public int Length => _length;

    public int Capacity => _array.Length;

    public ReadOnlySpan<byte> Span => _array.AsSpan(0, _length);

    public ReadOnlyMemory<byte> Memory => _array.AsMemory(0, _length);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _array.Length - _length);
        _length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _array.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _array.AsSpan(_length);
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_array.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>Drops the first <paramref name="count"/> bytes and moves the rest to the front.</summary>
    public void Consume(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _length);
        if (count == 0) return;
        _array.AsSpan(count, _length - count).CopyTo(_array);
        _length -= count;
    }

    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _length);
        _length = length;
    }

    public void Clear() => _length = 0;

    /// <summary>Gives a large array back to the pool when little is left in it, so that a stream that once saw a big event is small again.</summary>
    public void ShrinkIfLarge(int threshold)
    {
        if (_array.Length <= threshold || _length > threshold / 2) return;
        byte[] old = _array;
        _array = Rent(Math.Max(initialCapacity, _length));
        old.AsSpan(0, _length).CopyTo(_array);
        Return(old);
    }

    public void Dispose()
    {
        byte[] old = _array;
        _array = [];
        _length = 0;
        Return(old);
    }

    private void Reserve(int count)
    {
        int needed = checked(_length + count);
        if (needed <= _array.Length) return;
        byte[] bigger = Rent(Math.Max(needed, Math.Max(initialCapacity, Math.Min(_array.Length * 2, int.MaxValue / 2))));
        _array.AsSpan(0, _length).CopyTo(bigger);
        Return(_array);
        _array = bigger;
    }

    private static byte[] Rent(int length) => length <= LargestPooled ? ArrayPool<byte>.Shared.Rent(length) : GC.AllocateUninitializedArray<byte>(length);

    private static void Return(byte[] array)
    {
        if (array.Length is > 0 and <= LargestPooled) ArrayPool<byte>.Shared.Return(array);
    }
}
