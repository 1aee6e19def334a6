using System.Buffers;
using System.IO.Pipelines;
using QwenProxy.Proxying;

namespace QwenProxy.Tests.Proxying;

public sealed class CountingWriterTests
{
    [Theory]
    [InlineData(100)]
    [InlineData(5_000_000)]
    public async Task WhatIsWrittenAtOnce_ComesInOrderAndWithoutRoomForAllOfIt(int size)
    {
        byte[] all = new byte[size];
        new Random(1).NextBytes(all);
        // A pipe that lets no more in than the server's does.
        Pipe pipe = new(new PipeOptions(pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024));
        using CountingWriter writer = new(pipe.Writer);
        writer.Write(all.AsSpan(0, size / 3));
        long most = pipe.Writer.UnflushedBytes;
        writer.Write(all.AsSpan(size / 3));
        most = Math.Max(most, pipe.Writer.UnflushedBytes);
        Assert.Equal(size, writer.Written);
        Assert.Equal(size, writer.UnflushedBytes);
        Assert.InRange(most, 0, 2 * 1024 * 1024);
        Task<byte[]> reading = ReadAllAsync(pipe.Reader);
        await writer.FlushAsync(CancellationToken.None);
        Assert.False(writer.HasUnflushed);
        writer.Write("end"u8);
        await writer.FinishAsync(CancellationToken.None);
        await pipe.Writer.CompleteAsync();
        byte[] read = await reading;
        Assert.Equal([.. all, .. "end"u8], read);
    }

    [Fact]
    public async Task Finish_WritesWhatWaits()
    {
        byte[] all = new byte[3_000_000];
        new Random(2).NextBytes(all);
        Pipe pipe = new(new PipeOptions(pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024));
        using CountingWriter writer = new(pipe.Writer);
        writer.Write(all);
        Task<byte[]> reading = ReadAllAsync(pipe.Reader);
        await writer.FinishAsync(CancellationToken.None);
        await pipe.Writer.CompleteAsync();
        Assert.Equal(all, await reading);
    }

    private static async Task<byte[]> ReadAllAsync(PipeReader reader)
    {
        using MemoryStream all = new();
        await reader.CopyToAsync(all);
        return all.ToArray();
    }
}
