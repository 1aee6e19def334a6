using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Streaming;

/// <summary>
/// 9 Decode, 10 Repair and 11 Encode: each frame, of whatever dialect, goes as an event through the synchronous chain to the client's encoder. Time and
/// sockets are <see cref="StreamPump"/>'s.
/// </summary>
internal sealed class StreamFrames(Exchange exchange, UpstreamStream upstream, StreamRepair repair, DownstreamAnswer answer, FirstWords words)
{
    private readonly RepairChain _chain = repair.Chain;

    /// <summary>True lets an answer pass that is of no use to the client; false makes it a fault, which another attempt may mend.</summary>
    public bool TakesAnything { get; init; }

    /// <summary>What ended the stream before its time; the first fault counts.</summary>
    public ProxyError? Fault { get; private set; }

    /// <summary>The end mark came, or nothing after this matters.</summary>
    public bool IsDone { get; private set; }

    public bool IsEnded => Fault is not null || IsDone;

    /// <summary>The answer is whole, since every choice that spoke has given its finish reason and nothing came after it.</summary>
    public bool IsFinished => repair.Ends.IsFinished;

    /// <summary>False where the stream was not over when it said so before: then silence behind its end proves less.</summary>
    public bool IsSureOfItsEnd => !repair.Ends.WasEarly;

    /// <summary>Text is held back and waits for the next event or for <see cref="LetGo"/>.</summary>
    public bool IsHolding => _chain.IsHolding;

    /// <summary>Takes what came before the first read: the first event that says something.</summary>
    /// <param name="now">The moment in milliseconds, on the clock of the later frames.</param>
    public void TakeFirst(long now)
    {
        upstream.Attempt?.Names(upstream.Event);
        Take(upstream.Event, now);
    }

    /// <summary>Takes a whole frame. True when upstream said something in it, so that its silence begins anew.</summary>
    public bool Take(in SseFrame frame, long now)
    {
        upstream.Events.Read(frame, upstream.Event);
        return Take(upstream.Event, now);
    }

    /// <summary>What is held has waited long enough.</summary>
    public void LetGo() => _chain.LetGo();

    public void Fail(ProxyError fault) => Fault ??= fault;

    public void Done() => IsDone = true;

    /// <summary>Upstream is gone and said all it had to say.</summary>
    public void End()
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
            // The end mark goes out as it came, behind what the stages held.
            if (upstream.Event.Kind == EventKind.Done) answer.Push(upstream.Event);
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
                if (!IsFinished) Fail(OwnErrors.ProtocolError("an event that is not JSON of its dialect"));
                return false;
        }

        exchange.Repairs.EventNumber++;
        repair.Context.ArrivalMilliseconds = now;
        if (!e.UsageJson.IsEmpty) exchange.KeepUsage(e.UsageJson);
        if (FailedFinish(e)) return true;
        _chain.Push(e);
        if (repair.LoopFound || e.EndsStream) Done();
        if (repair.Verifier is { Mismatch: not null }) Fail(OwnErrors.ResumeDiffers());
        return true;
    }

    /// <summary><c>error_finish</c> is an internal gateway's way to report a failure as text.</summary>
    private bool FailedFinish(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Kind != PartKind.Finish) continue;
            ReadOnlySpan<byte> reason = e.Text(part);
            upstream.Attempt?.Finishes(part.Choice, reason);
            if (!reason.SequenceEqual("error_finish"u8) && !reason.SequenceEqual("error"u8)) continue;
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
