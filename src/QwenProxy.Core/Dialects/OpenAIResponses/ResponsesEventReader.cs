using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Reads the frames of an upstream that speaks Responses. It remembers which item holds which call, and which items have spoken: some servers tell
/// a text only at its end.
/// </summary>
public sealed class ResponsesEventReader : NativeEventReader
{
    private readonly List<int> _spoken = [];

    public override WireDialect Dialect => WireDialect.OpenAIResponses;

    protected override bool TellWhole(ReadOnlySpan<byte> whole, PooledBytes stream) => WholeResponse.TryTell(whole, stream);

    protected override EventKind ReadEvent(ChatEvent e, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        if (!type.StartsWith("response."u8)) return EventKind.Silent;
        type = type["response."u8.Length..];
        ByteRange place = Member(data, "output_index"u8);
        FrameMark frame = new() { Index = (int)(NumberAt(data, place) ?? -1), IndexPlace = place, NumberPlace = Member(data, "sequence_number"u8) };
        if (type.EndsWith(".delta"u8)) ReadDelta(e, ref frame, type, data);
        else if (type.EndsWith(".done"u8)) ReadRecap(e, ref frame, type, data);
        else if (type.SequenceEqual("output_item.added"u8)) ReadOpen(e, ref frame, data);
        else if (type.EndsWith("_part.added"u8)) frame.Step = FrameStep.OpenPart;
        else if (frame.Index < 0 && Member(data, "response"u8) is { IsEmpty: false } response) return ReadResponse(e, frame, type, data, response);
        e.Frame = frame;
        return EventKind.Chunk;
    }

    private static PartKind? TextOf(ReadOnlySpan<byte> type) =>
        type.StartsWith("output_text."u8) ? PartKind.Content
        : type.StartsWith("reasoning_summary_text."u8) || type.StartsWith("reasoning_text."u8) ? PartKind.Reasoning
        : type.StartsWith("function_call_arguments."u8) ? PartKind.ToolCall
        : null;

    private void ReadDelta(ChatEvent e, ref FrameMark frame, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        frame.Step = FrameStep.Delta;
        if (TextOf(type) is { } kind) Add(e, frame.Index, kind, Member(data, "delta"u8));
    }

    /// <summary>The same text again, whole; it is news only where no delta has told it.</summary>
    private void ReadRecap(ChatEvent e, ref FrameMark frame, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        frame.Step = type.SequenceEqual("output_item.done"u8) ? FrameStep.Close : FrameStep.Recap;
        if (frame.Step == FrameStep.Close) frame.Subject = Member(data, "item"u8);
        if (TextOf(type) is not { } kind || _spoken.Contains(frame.Index)) return;
        ByteRange text = Member(data, kind == PartKind.ToolCall ? "arguments"u8 : "text"u8);
        if (text.Length > 2) Add(e, frame.Index, kind, text);
    }

    private void Add(ChatEvent e, int item, PartKind kind, ByteRange text)
    {
        if (text.Length > 2 && !_spoken.Contains(item)) _spoken.Add(item);
        if (kind == PartKind.ToolCall) AddCall(e, CallOf(item), default, default, text);
        else AddText(e, kind, text);
    }

    private void ReadOpen(ChatEvent e, ref FrameMark frame, ReadOnlySpan<byte> data)
    {
        ByteRange item = Member(data, "item"u8), type = Member(data, item, "type"u8);
        frame.Step = FrameStep.Open;
        frame.Subject = item;
        frame.Block = Is(data, type, "message"u8) ? FrameBlock.Text
            : Is(data, type, "reasoning"u8) ? FrameBlock.Thinking
            : Is(data, type, "function_call"u8) ? FrameBlock.Call
            : FrameBlock.Other;
        if (frame.Block != FrameBlock.Call) return;
        ByteRange arguments = Member(data, item, "arguments"u8);
        if (arguments.Length > 2) _spoken.Add(frame.Index);
        AddCall(e, BeginCall(frame.Index), Member(data, item, "call_id"u8), Member(data, item, "name"u8), arguments);
    }

    private EventKind ReadResponse(ChatEvent e, FrameMark frame, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data, ByteRange response)
    {
        frame.Subject = response;
        e.Frame = frame;
        if (type.SequenceEqual("failed"u8))
        {
            e.Error = Member(data, response, "error"u8);
            if (e.Error.IsEmpty) e.Error = new ByteRange(0, data.Length);
            return EventKind.Error;
        }

        e.Id = Member(data, response, "id"u8);
        e.Model = Member(data, response, "model"u8);
        bool incomplete = type.SequenceEqual("incomplete"u8);
        frame.Step = incomplete || type.SequenceEqual("completed"u8) ? FrameStep.End : FrameStep.Start;
        e.Frame = frame;
        if (frame.Step == FrameStep.Start)
        {
            AddMeant(e, PartKind.Role, default, "assistant"u8);
            return EventKind.Chunk;
        }

        e.EndsStream = true;
        ByteRange reason = Member(data, Member(data, response, "incomplete_details"u8), "reason"u8);
        bool filtered = Is(data, reason, "content_filter"u8);
        AddMeant(e, PartKind.Finish, default, incomplete ? (filtered ? "content_filter"u8 : "length"u8) : HasCalls ? "tool_calls"u8 : "stop"u8);
        ReadUsage(e, data, Member(data, response, "usage"u8));
        return EventKind.Chunk;
    }

    private static void ReadUsage(ChatEvent e, ReadOnlySpan<byte> data, ByteRange usage)
    {
        if (usage.IsEmpty) return;
        TellUsage(e, usage, new TokenCounts(
            NumberAt(data, Member(data, usage, "input_tokens"u8)) ?? 0,
            NumberAt(data, Member(data, usage, "output_tokens"u8)) ?? 0,
            Cached: NumberAt(data, Member(data, Member(data, usage, "input_tokens_details"u8), "cached_tokens"u8)) ?? 0,
            Reasoning: NumberAt(data, Member(data, Member(data, usage, "output_tokens_details"u8), "reasoning_tokens"u8)) ?? 0));
    }
}
