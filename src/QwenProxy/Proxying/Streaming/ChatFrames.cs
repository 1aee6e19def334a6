using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Streaming;

/// <summary>9 Decode, 10 Repair and 11 Encode of a chat stream: each event goes through the synchronous chain to the client's encoder.</summary>
internal sealed class ChatFrames(Exchange exchange, UpstreamStream upstream, StreamRepair repair, DownstreamAnswer answer, FirstWords words) : StreamFrames
{
    private readonly RepairChain _chain = repair.Chain;

    /// <summary>True lets an answer pass that is of no use to the client; false makes it a fault, which another attempt may mend.</summary>
    public bool TakesAnything { get; init; }

    /// <summary>Every choice that spoke has given its finish reason, and nothing came after it.</summary>
    public override bool IsFinished => repair.Ends.IsFinished;

    public override bool IsSureOfItsEnd => !repair.Ends.WasEarly;

    public override bool IsHolding => _chain.IsHolding;

    public override void TakeFirst(long now) => Take(upstream.Event, now);

    public override bool Take(in SseFrame frame, long now)
    {
        ChatEventDecoder.Decode(frame, upstream.Event);
        return Take(upstream.Event, now);
    }

    public override void LetGo() => _chain.LetGo();

    public override void End()
    {
        if (Fault is not null) return;
        // An end mark without a finish reason ends nothing: the answer may be cut anywhere.
        if (!(IsDone ? repair.Ends.IsFinishedAtMark : IsFinished) && !repair.LoopFound)
        {
            Fail(OwnErrors.Cut());
            return;
        }

        _chain.Finish();
        if (repair.Verifier is { IsCaughtUp: false }) Fail(OwnErrors.ResumeDiffers());
        else if (!TakesAnything && words.SaidNothing) Fail(OwnErrors.SaidNothing());
        else if (!TakesAnything && !answer.IsStream && repair.HasBrokenArguments) Fail(OwnErrors.BrokenArguments());
        else
        {
            repair.NotePassed();
            words.Open();
        }
    }

    private bool Take(ChatEvent e, long now)
    {
        exchange.CountUpstream(e.Raw.Length);
        switch (e.Kind)
        {
            case EventKind.Silent:
                if (answer.IsStream) _chain.Push(e);
                return false;
            case EventKind.Done:
                Done();
                return false;
            case EventKind.Error:
                if (!IsFinished) Fail(UpstreamErrorReader.FromStreamEvent(e, exchange.ServedModel));
                return false;
            case EventKind.Broken:
                if (!IsFinished) Fail(OwnErrors.ProtocolError("an event that is not JSON"));
                return false;
        }

        exchange.Repairs.EventNumber++;
        repair.Context.ArrivalMilliseconds = now;
        if (!e.Usage.IsEmpty) exchange.KeepUsage(e.Usage.In(e.Data.Span));
        if (FailedFinish(e)) return true;
        _chain.Push(e);
        if (repair.LoopFound) Done();
        if (repair.Verifier is { Mismatch: not null }) Fail(OwnErrors.ResumeDiffers());
        return true;
    }

    /// <summary><c>error_finish</c> is an internal gateway's way to report a failure as text.</summary>
    private bool FailedFinish(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Kind != PartKind.Finish) continue;
            ReadOnlySpan<byte> reason = part.Value.In(e.Data.Span);
            if (!reason.SequenceEqual("\"error_finish\""u8) && !reason.SequenceEqual("\"error\""u8)) continue;
            Fail(OwnErrors.FailedFinish(TextOf(e)));
            return true;
        }

        return false;
    }

    private static string TextOf(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Kind == PartKind.Content) return e.PlainString(part.Value);
        }

        return "";
    }
}
