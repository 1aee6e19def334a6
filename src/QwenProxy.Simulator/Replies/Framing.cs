using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Simulator.Replies;

/// <summary>How events become bytes. The default is DashScope's: <c>data: {json}</c>, one line feed, one blank line.</summary>
internal sealed record Framing
{
    public static readonly Framing Default = new();

    public string NewLine { get; init; } = "\n";

    public string AfterColon { get; init; } = " ";

    public bool ByteOrderMark { get; init; }

    /// <summary>A comment before every n-th event; 0 for none.</summary>
    public int CommentEvery { get; init; }

    /// <summary>Cuts the JSON before its last member, so that each event has two <c>data:</c> lines.</summary>
    public bool TwoDataLines { get; init; }

    public bool NoLastNewLine { get; init; }

    /// <summary>The lines <c>id:</c>, <c>event:result</c> and <c>:HTTP_STATUS/200</c> of the native API before each event.</summary>
    public bool NativeLines { get; init; }

    /// <summary>After how many events a block of the last <see cref="BlockEvents"/> comes again, ids and all; 0 for never.</summary>
    public int BlockAfter { get; init; }

    /// <summary>0 for all so far, as after a reconnect.</summary>
    public int BlockEvents { get; init; }

    public List<ReadOnlyMemory<byte>> Frame(IReadOnlyList<EventData> events)
    {
        List<ReadOnlyMemory<byte>> frames = new(events.Count);
        using PooledBytes bytes = new(1024);
        for (int i = 0; i < events.Count; i++)
        {
            bytes.Clear();
            if (i == 0 && ByteOrderMark) bytes.Write([0xEF, 0xBB, 0xBF]);
            if (CommentEvery > 0 && i % CommentEvery == 0) Line(bytes, ": keep-alive");
            if (CommentEvery > 0 && i % (CommentEvery * 2) == 0) bytes.Write(Encoding.UTF8.GetBytes(NewLine));
            if (NativeLines) WriteNativeLines(bytes, i + 1);
            if (events[i].Name is { } name) Line(bytes, "event:" + AfterColon + name);
            WriteData(bytes, events[i].Data);
            if (!NoLastNewLine || i < events.Count - 1) Line(bytes, "");
            frames.Add(bytes.Span.ToArray());
        }

        int block = BlockEvents > 0 ? Math.Min(BlockEvents, BlockAfter) : BlockAfter;
        if (BlockAfter < frames.Count) frames.InsertRange(BlockAfter, frames.GetRange(BlockAfter - block, block));
        return frames;
    }

    private void WriteNativeLines(PooledBytes bytes, int number)
    {
        Line(bytes, "id:" + number);
        Line(bytes, "event:result");
        Line(bytes, ":HTTP_STATUS/200");
    }

    private void WriteData(PooledBytes bytes, ReadOnlySpan<byte> data)
    {
        bool isLast = NoLastNewLine && data.SequenceEqual("[DONE]"u8);
        int cut = TwoDataLines ? data.LastIndexOf(",\""u8) : -1;
        if (cut > 0)
        {
            DataLine(bytes, data[..(cut + 1)], newLine: true);
            data = data[(cut + 1)..];
        }

        DataLine(bytes, data, !isLast);
    }

    private void DataLine(PooledBytes bytes, ReadOnlySpan<byte> data, bool newLine)
    {
        bytes.Write("data:"u8);
        bytes.Write(Encoding.UTF8.GetBytes(AfterColon));
        bytes.Write(data);
        if (newLine) bytes.Write(Encoding.UTF8.GetBytes(NewLine));
    }

    private void Line(PooledBytes bytes, string text) => bytes.Write(Encoding.UTF8.GetBytes(text + NewLine));
}
