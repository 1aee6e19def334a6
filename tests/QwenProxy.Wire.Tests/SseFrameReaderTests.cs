using System.Text;

namespace QwenProxy.Wire.Tests;

public sealed class SseFrameReaderTests
{
    private const int Limit = 64 * 1024;

    /// <summary>Streams in every framing the standard and the upstreams use, with the data of their frames.</summary>
    public static TheoryData<string, string[]> Framings => new()
    {
        { "data: {\"a\":1}\n\ndata: [DONE]\n\n", ["{\"a\":1}", "[DONE]"] },
        { "data:{\"a\":1}\n\ndata:[DONE]\n\n", ["{\"a\":1}", "[DONE]"] },
        { "data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"] },
        { "data: one\r\rdata: two\r\r", ["one", "two"] },
        { "data: one\n\r\ndata: two\r\n\n", ["one", "two"] },
        { ": hello\n\ndata: one\n\n: keep-alive\n\ndata: two\n\n", ["one", "two"] },
        { "\uFEFFdata: one\n\ndata: two\n\n", ["one", "two"] },
        { "data: first\ndata: second\ndata:third\n\n", ["first\nsecond\nthird"] },
        { "data: first\r\ndata:\r\ndata: third\r\n\r\n", ["first\n\nthird"] },
        { "id:1\nevent:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling\"}\n\n", ["{\"code\":\"Throttling\"}"] },
        { "retry: 10\n\ndata: 你好🙂\n\n", ["你好🙂"] },
        { "data: last without its blank line", ["last without its blank line"] },
        { "data: last with one line end\n", ["last with one line end"] },
        { "\n\n\ndata: after blanks\n\n", ["after blanks"] },
        { "data\n\ndata: x\n\n", ["", "x"] },
        { "datax: no\n\ndata: yes\n\n", ["yes"] },
    };

    [Theory]
    [MemberData(nameof(Framings))]
    public void AnyFraming_CutAtEveryPosition_GivesTheSameFrames(string text, string[] expected)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            List<SeenFrame> frames = Read([bytes[..cut], bytes[cut..]]);
            Assert.Equal(expected, frames.Where(f => f.HasData).Select(f => f.Data));
        }
    }

    [Theory]
    [MemberData(nameof(Framings))]
    public void AnyFraming_ByteByByte_KeepsEveryByte(string text, string[] expected)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        List<SeenFrame> frames = Read([.. bytes.Select(b => new[] { b })]);
        Assert.Equal(expected, frames.Where(f => f.HasData).Select(f => f.Data));
        Assert.Equal(bytes, frames.SelectMany(f => f.Raw));
    }

    [Fact]
    public void Rest_GivesTheBufferBackOnlyBetweenFrames()
    {
        using SseFrameReader reader = new(1024);
        Assert.False(reader.TryRest());
        Fill("data: 1\n\ndata: 2");
        Assert.True(reader.TryRead(out SseFrame one));
        Assert.Equal("data: 1\n\n", Encoding.UTF8.GetString(one.Raw.Span));
        Assert.False(reader.TryRest());
        Fill("\n\n");
        Assert.True(reader.TryRead(out _));
        Assert.False(reader.TryRead(out _));
        Assert.True(reader.TryRest());
        Fill("data: 3\n\n");
        Assert.True(reader.TryRead(out SseFrame three));
        Assert.Equal("3", Encoding.UTF8.GetString(three.Data.Span));

        void Fill(string text)
        {
            int length = Encoding.UTF8.GetBytes(text, reader.GetMemory().Span);
            reader.Advance(length);
        }
    }

    [Fact]
    public void DashScopeFrame_ShowsNameIdAndStatus()
    {
        SeenFrame frame = Assert.Single(Read([Encoding.UTF8.GetBytes("id:7\nevent:error\n:HTTP_STATUS/429\ndata:{}\n\n")]));
        Assert.Equal(("7", "error", 429), (frame.Id, frame.EventName, frame.HttpStatus));
    }

    [Fact]
    public void DataOffset_PointsAtTheDataInTheRawBytes()
    {
        using SseFrameReader reader = Filled("event: x\ndata: {\"a\":1}\n\n");
        Assert.True(reader.TryRead(out SseFrame frame));
        Assert.Equal("{\"a\":1}", Encoding.UTF8.GetString(frame.Raw.Span.Slice(frame.DataOffset, frame.Data.Length)));
    }

    [Fact]
    public void JoinedData_HasNoOffset()
    {
        using SseFrameReader reader = Filled("data: a\ndata: b\n\n");
        Assert.True(reader.TryRead(out SseFrame frame));
        Assert.Equal(-1, frame.DataOffset);
    }

    [Fact]
    public void FrameAtTheLimit_IsRead_AndOneByteMoreIsNot()
    {
        string fits = "data: " + new string('x', 100 - 8) + "\n\n";
        using SseFrameReader atLimit = new(100, 32);
        Assert.True(Fill(atLimit, fits));
        Assert.True(atLimit.TryRead(out _));
        using SseFrameReader over = new(99, 32);
        Assert.True(Fill(over, fits));
        Assert.False(over.TryRead(out _));
        Assert.True(over.FrameTooLarge);
    }

    [Fact]
    public void EndlessLine_IsFoundOutBeforeItEnds()
    {
        using SseFrameReader reader = new(1000, 64);
        Fill(reader, "data: " + new string('x', 2000));
        Assert.False(reader.TryRead(out _));
        Assert.True(reader.FrameTooLarge);
    }

    [Fact]
    public void EventOfManyMebibytesInSmallPieces_IsWhole()
    {
        string big = new('文', 1024 * 1024);
        byte[] bytes = Encoding.UTF8.GetBytes($"data: {big}\n\ndata: after\n\n");
        using SseFrameReader reader = new(16 * 1024 * 1024);
        List<string> seen = [];
        for (int at = 0; at < bytes.Length; at += 1400)
        {
            Fill(reader, bytes.AsSpan(at, Math.Min(1400, bytes.Length - at)));
            while (reader.TryRead(out SseFrame frame)) seen.Add(Encoding.UTF8.GetString(frame.Data.Span));
        }

        Assert.Equal([big, "after"], seen);
    }

    [Fact]
    public void AfterABigEvent_TheBufferIsSmallAgain()
    {
        using SseFrameReader reader = new(16 * 1024 * 1024);
        Fill(reader, "data: " + new string('x', 3_000_000) + "\n\n");
        Assert.True(reader.TryRead(out _));
        Fill(reader, "data: y\n\n");
        Assert.True(reader.GetMemory().Length < 200_000);
    }

    [Fact]
    public void PassedThroughFrames_AllocateNothing()
    {
        byte[] bytes = Encoding.UTF8.GetBytes("data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n");
        using SseFrameReader reader = new(Limit);
        ReadSome(reader, bytes, 100);
        long before = GC.GetAllocatedBytesForCurrentThread();
        ReadSome(reader, bytes, 1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static void ReadSome(SseFrameReader reader, byte[] bytes, int times)
    {
        for (int i = 0; i < times; i++)
        {
            bytes.CopyTo(reader.GetMemory());
            reader.Advance(bytes.Length);
            while (reader.TryRead(out _))
            {
            }
        }
    }

    private static SseFrameReader Filled(string text)
    {
        SseFrameReader reader = new(Limit);
        Fill(reader, text);
        return reader;
    }

    private static bool Fill(SseFrameReader reader, string text)
    {
        Fill(reader, Encoding.UTF8.GetBytes(text));
        return true;
    }

    private static void Fill(SseFrameReader reader, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            Memory<byte> room = reader.GetMemory();
            int count = Math.Min(room.Length, bytes.Length);
            bytes[..count].CopyTo(room.Span);
            reader.Advance(count);
            bytes = bytes[count..];
        }
    }

    private static List<SeenFrame> Read(byte[][] pieces)
    {
        using SseFrameReader reader = new(Limit, 16);
        List<SeenFrame> frames = [];
        foreach (byte[] piece in pieces)
        {
            Fill(reader, piece);
            while (reader.TryRead(out SseFrame frame)) frames.Add(Seen(frame));
        }

        if (reader.TryReadLast(out SseFrame last)) frames.Add(Seen(last));
        Assert.False(reader.FrameTooLarge);
        return frames;
    }

    private static SeenFrame Seen(in SseFrame frame) => new(
        Encoding.UTF8.GetString(frame.Data.Span),
        frame.HasData,
        frame.Raw.ToArray(),
        Encoding.UTF8.GetString(frame.Id.Span),
        Encoding.UTF8.GetString(frame.EventName.Span),
        frame.HttpStatus);

    private sealed record SeenFrame(string Data, bool HasData, byte[] Raw, string Id, string EventName, int HttpStatus);
}
