using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Wire;

namespace QwenProxy.Console;

/// <summary>
/// Drives one captured stream through decoding, repair and a dialect's encoder, as the pump does with a live one, but without sockets and clock:
/// every event counts as arriving at once, so a hold ends by its bytes or by the next event, never by its 150 ms.
/// </summary>
internal sealed class StreamReplay(EventReader events, RepairPipeline pipeline, RepairContext context, DownstreamAnswer answer)
{
    private const int MaxEventBytes = 64 * 1024 * 1024;

    /// <summary>At most so many bytes are read at once; what they are makes no difference.</summary>
    public int PieceBytes { get; init; } = int.MaxValue;

    private bool _done;
    private ProxyError? _fault;

    /// <summary>Null when the stream was complete, else what a client would have been told; either is written by the answer.</summary>
    public ProxyError? Run(ReadOnlySpan<byte> capture)
    {
        using SseFrameReader reader = new(MaxEventBytes);
        using ChatEvent chatEvent = new();
        SseFrame frame;
        while (!capture.IsEmpty && !Ended)
        {
            Span<byte> room = reader.GetMemory().Span;
            int count = Math.Min(Math.Min(room.Length, PieceBytes), capture.Length);
            capture[..count].CopyTo(room);
            capture = capture[count..];
            reader.Advance(count);
            while (!Ended && reader.TryRead(out frame)) Take(frame, chatEvent);
            if (reader.FrameTooLarge) _fault ??= OwnErrors.ProtocolError($"an event larger than {MaxEventBytes / (1024 * 1024)} MiB");
        }

        if (!Ended && reader.TryReadLast(out frame)) Take(frame, chatEvent);
        if (_fault is null && !(_done ? pipeline.Ends.IsFinishedAtMark : IsFinished) && !pipeline.LoopFound) _fault = OwnErrors.Cut();
        if (_fault is null)
        {
            pipeline.Chain.Finish();
            pipeline.NotePassed();
            if (chatEvent.Kind == EventKind.Done) answer.Push(chatEvent);
            answer.Finish();
        }
        else answer.WriteError(_fault);

        return _fault;
    }

    private bool Ended => _done || _fault is not null;

    private bool IsFinished => pipeline.Ends.IsFinished;

    private void Take(in SseFrame frame, ChatEvent chatEvent)
    {
        events.Read(frame, chatEvent);
        switch (chatEvent.Kind)
        {
            case EventKind.Silent:
                pipeline.Chain.Push(chatEvent);
                return;
            case EventKind.Done:
                _done = true;
                return;
            case EventKind.Error:
                if (!IsFinished) _fault = UpstreamErrorReader.FromStreamEvent(chatEvent);
                return;
            case EventKind.Broken:
                if (!IsFinished) _fault = OwnErrors.ProtocolError("an event that is not JSON");
                return;
        }

        context.Report.EventNumber++;
        pipeline.Chain.Push(chatEvent);
        _done |= pipeline.LoopFound || chatEvent.EndsStream;
    }
}
