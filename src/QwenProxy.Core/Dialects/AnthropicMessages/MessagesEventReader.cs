using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>Reads the frames of an upstream that speaks Messages. It remembers which block holds which call, and what was counted so far.</summary>
public sealed class MessagesEventReader : NativeEventReader
{
    private long _input;
    private long _cached;
    private long _cacheWritten;
    private long _output;

    public override WireDialect Dialect => WireDialect.AnthropicMessages;

    protected override bool TellWhole(ReadOnlySpan<byte> whole, PooledBytes stream) => WholeMessage.TryTell(whole, stream);

    protected override EventKind ReadEvent(ChatEvent e, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        if (type.SequenceEqual("content_block_delta"u8)) ReadDelta(e, data);
        else if (type.SequenceEqual("content_block_start"u8)) ReadOpen(e, data);
        else if (type.SequenceEqual("content_block_stop"u8)) Mark(e, FrameStep.Close, data, default);
        else if (type.SequenceEqual("message_delta"u8)) ReadEnd(e, data);
        else if (type.SequenceEqual("message_start"u8)) ReadStart(e, data);
        else if (type.SequenceEqual("message_stop"u8)) return EventKind.Done;
        else if (type.SequenceEqual("ping"u8))
        {
            e.Frame = new FrameMark { Step = FrameStep.Ping, Index = -1 };
            return EventKind.Silent;
        }

        return EventKind.Chunk;
    }

    private static void Mark(ChatEvent e, FrameStep step, ReadOnlySpan<byte> data, ByteRange subject, FrameBlock block = FrameBlock.Other)
    {
        ByteRange place = Member(data, "index"u8);
        e.Frame = new FrameMark { Step = step, Block = block, Index = (int)(NumberAt(data, place) ?? -1), IndexPlace = place, Subject = subject };
    }

    private void ReadStart(ChatEvent e, ReadOnlySpan<byte> data)
    {
        ByteRange message = Member(data, "message"u8);
        e.Frame = new FrameMark { Step = FrameStep.Start, Index = -1, Subject = message };
        e.Id = Member(data, message, "id"u8);
        e.Model = Member(data, message, "model"u8);
        AddMeant(e, PartKind.Role, Member(data, message, "role"u8), "assistant"u8);
        ReadUsage(e, data, Member(data, message, "usage"u8));
    }

    private void ReadOpen(ChatEvent e, ReadOnlySpan<byte> data)
    {
        ByteRange block = Member(data, "content_block"u8), type = Member(data, block, "type"u8);
        FrameBlock kind = Is(data, type, "text"u8) ? FrameBlock.Text
            : Is(data, type, "thinking"u8) ? FrameBlock.Thinking
            : Is(data, type, "tool_use"u8) ? FrameBlock.Call
            : FrameBlock.Other;
        Mark(e, FrameStep.Open, data, block, kind);
        ByteRange text = kind is FrameBlock.Text or FrameBlock.Thinking ? Member(data, block, kind == FrameBlock.Text ? "text"u8 : "thinking"u8) : default;
        if (text.Length > 2) AddText(e, kind == FrameBlock.Text ? PartKind.Content : PartKind.Reasoning, text);
        // An empty input stands for arguments that are still to come.
        if (kind == FrameBlock.Call) AddCall(e, BeginCall(e.Frame.Index), Member(data, block, "id"u8), Member(data, block, "name"u8), Member(data, block, "input"u8));
    }

    private void ReadDelta(ChatEvent e, ReadOnlySpan<byte> data)
    {
        ByteRange delta = Member(data, "delta"u8), type = Member(data, delta, "type"u8);
        Mark(e, FrameStep.Delta, data, delta);
        if (Is(data, type, "text_delta"u8)) AddText(e, PartKind.Content, Member(data, delta, "text"u8));
        else if (Is(data, type, "thinking_delta"u8)) AddText(e, PartKind.Reasoning, Member(data, delta, "thinking"u8));
        else if (Is(data, type, "input_json_delta"u8)) AddCall(e, CallOf(e.Frame.Index), default, default, Member(data, delta, "partial_json"u8));
    }

    private void ReadEnd(ChatEvent e, ReadOnlySpan<byte> data)
    {
        e.Frame = new FrameMark { Step = FrameStep.End, Index = -1 };
        ByteRange reason = Member(data, Member(data, "delta"u8), "stop_reason"u8);
        if (reason.Length > 2 && data[reason.Start] == '"') AddMeant(e, PartKind.Finish, reason, StopReasons.ToChat(reason.In(data)[1..^1]));
        ReadUsage(e, data, Member(data, "usage"u8));
    }

    /// <summary>The counts are running totals, with cached tokens beside the input; the last report of each counts.</summary>
    private void ReadUsage(ChatEvent e, ReadOnlySpan<byte> data, ByteRange usage)
    {
        if (usage.IsEmpty) return;
        _input = NumberAt(data, Member(data, usage, "input_tokens"u8)) ?? _input;
        _cached = NumberAt(data, Member(data, usage, "cache_read_input_tokens"u8)) ?? _cached;
        _cacheWritten = NumberAt(data, Member(data, usage, "cache_creation_input_tokens"u8)) ?? _cacheWritten;
        _output = NumberAt(data, Member(data, usage, "output_tokens"u8)) ?? _output;
        TellUsage(e, usage, new TokenCounts(_input + _cached + _cacheWritten, _output, _cached, _cacheWritten));
    }
}

/// <summary>Why a message ended, in this dialect's words and in chat's.</summary>
internal static class StopReasons
{
    /// <summary>A reason that chat has no word for is the end of the model's turn.</summary>
    public static ReadOnlySpan<byte> ToChat(ReadOnlySpan<byte> reason)
    {
        if (reason.SequenceEqual("tool_use"u8)) return "tool_calls"u8;
        if (reason.SequenceEqual("max_tokens"u8) || reason.SequenceEqual("model_context_window_exceeded"u8)) return "length"u8;
        return reason.SequenceEqual("refusal"u8) ? "content_filter"u8 : "stop"u8;
    }
}
