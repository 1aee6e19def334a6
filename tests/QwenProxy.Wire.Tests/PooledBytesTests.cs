using System.Buffers;
using System.Runtime.InteropServices;

namespace QwenProxy.Wire.Tests;

public sealed class PooledBytesTests
{
    [Fact]
    public void Consume_DropsTheFrontAndKeepsTheRest()
    {
        using PooledBytes bytes = new(8);
        bytes.Write("hello world"u8);
        bytes.Consume(6);
        Assert.Equal("world"u8.ToArray(), bytes.Span.ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => bytes.Consume(6));
    }

    [Fact]
    public void ShrinkIfLarge_GivesALargeArrayBackAndKeepsTheBytes()
    {
        using PooledBytes bytes = new(64);
        bytes.Write(new byte[100_000]);
        bytes.Consume(99_997);
        bytes.ShrinkIfLarge(65_536);
        Assert.True(bytes.Capacity < 65_536);
        Assert.Equal(3, bytes.Length);
    }

    [Fact]
    public void LargeArray_IsLeftToTheCollectorAndNotKept()
    {
        PooledBytes bytes = new();
        bytes.Write(new byte[PooledBytes.LargestPooled + 1]);
        Assert.True(MemoryMarshal.TryGetArray(bytes.Memory, out ArraySegment<byte> large));
        bytes.Dispose();
        byte[][] rented = [.. Enumerable.Range(0, 64).Select(_ => ArrayPool<byte>.Shared.Rent(large.Array!.Length))];
        Assert.DoesNotContain(large.Array, rented);
    }

    [Fact]
    public void AdvanceBeyondTheRoom_IsRefused()
    {
        using PooledBytes bytes = new(8);
        int room = bytes.GetMemory(8).Length;
        Assert.Throws<ArgumentOutOfRangeException>(() => bytes.Advance(room + 1));
    }

    [Fact]
    public void AfterDispose_ItIsEmptyAndUsableAgain()
    {
        PooledBytes bytes = new(8);
        bytes.Write("x"u8);
        bytes.Dispose();
        Assert.Equal(0, bytes.Length);
        bytes.Write("y"u8);
        Assert.Equal("y"u8.ToArray(), bytes.Span.ToArray());
        bytes.Dispose();
    }
}
