using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Upstream's own frames, with the block's number and the words that stages changed in their places.</summary>
internal sealed partial class SseBlockWriter
{
    private readonly JsonSplice _edits = new();

    /// <summary>The frame that opens a block in which nothing was said yet, and what came behind it.</summary>
    private readonly PooledBytes _opening = new(256);

    /// <summary>The frame that ends the open block, and what came behind it.</summary>
    private readonly PooledBytes _closing = new(256);

    private int _openingFrame;

    public override void PassStart(ChatEvent e)
    {
        _edits.Clear();
        if (e.HasNewUsage) _edits.Replace(e.Usage, Json(MessagesUsage.Read(e.UsageJson)));
        RawFrame.Write(e, _edits, output);
    }

    public override void PassOpen(ChatEvent e, int index, BlockKind kind)
    {
        _index = index;
        SetDelta(kind);
        Number(e);
        RawFrame.Write(e, _edits, _opening);
        _openingFrame = _opening.Length;
        // A call is shown as soon as it has its name: clients show what the model is about to do.
        if (kind is BlockKind.ToolUse or BlockKind.Other) Flush(_opening);
    }

    public override void PassDelta(ChatEvent e)
    {
        Flush(_opening);
        Number(e);
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Place != PartPlace.Original || !part.HasNewText) continue;
            _edits.Replace(part.Kind == PartKind.ToolCall ? part.ToolArguments : part.Value, Quoted(e.Text(part)));
        }

        RawFrame.Write(e, _edits, output);
    }

    public override void PassClose(ChatEvent e)
    {
        Flush(_opening);
        Number(e);
        RawFrame.Write(e, _edits, _closing);
    }

    public override void Forget()
    {
        output.Write(_opening.Span[_openingFrame..]);
        _opening.Clear();
    }

    public override void PassEnd(ChatEvent e, string? stopReason, MessagesUsage usage)
    {
        _edits.Clear();
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part is { Place: PartPlace.Original, Kind: PartKind.Finish } && stopReason is not null) _edits.Replace(part.Value, JsonText.Quote(stopReason));
        }

        if (e.HasNewUsage) _edits.Replace(e.Usage, Json(usage));
        RawFrame.Write(e, _edits, output);
    }

    public override void EndPassed(ChatEvent? last)
    {
        if (last is null) output.Write(Stop);
        else RawFrame.Write(last.Raw.Span, output);
    }

    public override void PassIdle(ChatEvent e) =>
        RawFrame.Write(e.Raw.Span, _closing.Length > 0 ? _closing : _opening.Length > 0 ? _opening : output);

    private static byte[] Json(MessagesUsage usage)
    {
        using PooledBytes json = new(128);
        usage.WriteTo(json);
        return json.Span.ToArray();
    }

    private static byte[] Quoted(ReadOnlySpan<byte> utf8)
    {
        using PooledBytes json = new(utf8.Length + 16);
        JsonText.WriteString(utf8, json);
        return json.Span.ToArray();
    }

    /// <summary>Begins the edits of a frame about the open block with the block's number, where upstream counts otherwise.</summary>
    private void Number(ChatEvent e)
    {
        _edits.Clear();
        if (e.Frame.Index != _index) _edits.Replace(e.Frame.IndexPlace, Encoding.ASCII.GetBytes(_index.ToString(CultureInfo.InvariantCulture)));
    }

    private void Flush(PooledBytes held)
    {
        if (held.Length == 0) return;
        output.Write(held.Span);
        held.Clear();
    }
}
