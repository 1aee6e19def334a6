using System.Buffers;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects;

/// <summary>Writes a frame as it came, or with other JSON in it: its lines, its <c>id:</c> and its line ends stay.</summary>
internal static class RawFrame
{
    /// <summary>A last frame may lack its blank line; without it the client would never see the event.</summary>
    public static void Write(ReadOnlySpan<byte> raw, IBufferWriter<byte> output)
    {
        output.Write(raw);
        if (!EndsWithBlankLine(raw)) output.Write(raw.EndsWith("\n"u8) ? "\n"u8 : "\n\n"u8);
    }

    /// <summary>The frame with edits applied to its data.</summary>
    public static void Write(ChatEvent e, JsonSplice edits, IBufferWriter<byte> output)
    {
        if (edits.Count == 0)
        {
            Write(e.Raw.Span, output);
            return;
        }

        using PooledBytes json = new(e.Data.Length + Math.Max(0, edits.Growth));
        edits.WriteTo(e.Data.Span, json);
        Write(e, json.Span, output);
    }

    /// <summary>The frame around other JSON.</summary>
    public static void Write(ChatEvent e, ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        ReadOnlySpan<byte> raw = e.Raw.Span;
        bool framed = e.DataOffset >= 0 && EndsWithBlankLine(raw);
        output.Write(framed ? raw[..e.DataOffset] : Opening(raw));
        while (!framed && json.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and int lineEnd)
        {
            // Joined lines: a line end inside JSON is white space, so it may be written as a space.
            output.Write(json[..lineEnd]);
            output.Write(" "u8);
            json = json[(lineEnd + 1)..];
        }

        output.Write(json);
        output.Write(framed ? raw[(e.DataOffset + e.Data.Length)..] : "\n\n"u8);
    }

    /// <summary>What stood before the first of several data lines; clients of typed events look at the <c>event:</c> line.</summary>
    private static ReadOnlySpan<byte> Opening(ReadOnlySpan<byte> raw)
    {
        int at = 0;
        while (raw[at..].IndexOf("data:"u8) is >= 0 and int next)
        {
            at += next;
            bool starts = at == 0 || raw[at - 1] is (byte)'\n' or (byte)'\r';
            at += "data:"u8.Length;
            if (starts) return raw[..(at < raw.Length && raw[at] == ' ' ? at + 1 : at)];
        }

        return "data: "u8;
    }

    private static bool EndsWithBlankLine(ReadOnlySpan<byte> raw) =>
        raw.EndsWith("\n\n"u8) || raw.EndsWith("\n\r\n"u8) || raw.EndsWith("\r\r"u8) || raw.EndsWith("\n\r"u8) || raw.EndsWith("\r\n\r\n"u8);
}
