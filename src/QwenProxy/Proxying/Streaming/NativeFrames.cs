using System.Buffers;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Streaming;

/// <summary>
/// A stream in the client's own dialect: its frames go on byte for byte. What breaks it is told honestly; it is neither repaired nor resumed, since
/// both are rules about chat events.
/// </summary>
internal sealed class NativeFrames(Exchange exchange, UpstreamStream upstream, NativeAnswer answer) : StreamFrames
{
    public override bool IsFinished => answer.IsFinished;

    /// <summary>The first event came with the preamble.</summary>
    public override void TakeFirst(long now) => exchange.CountUpstream(upstream.Preamble.Length);

    public override bool Take(in SseFrame frame, long now)
    {
        exchange.CountUpstream(frame.Raw.Length);
        EventKind kind = answer.Read(frame);
        switch (kind)
        {
            case EventKind.Error:
                if (!IsFinished) Fail(UpstreamErrorReader.FromStreamEvent(answer.ErrorText.Span, frame.HttpStatus, exchange.ServedModel));
                return false;
            case EventKind.Broken:
                if (!IsFinished) Fail(OwnErrors.ProtocolError("an event that is none of the dialect's"));
                return false;
        }

        exchange.Output.Write(frame.Raw.Span);
        if (kind == EventKind.Done) Done();
        return kind != EventKind.Silent;
    }

    public override void End()
    {
        if (Fault is null && !IsFinished) Fail(OwnErrors.Cut());
    }
}
