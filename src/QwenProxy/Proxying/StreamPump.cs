using System.Buffers;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Wire;

namespace QwenProxy.Proxying;

/// <summary>
/// The only loop that awaits between the first event and the last: read what is there, push each whole frame through the synchronous _chain,
/// flush once nothing more is there. Everything that depends on time (silence, keep-alive, let-go) happens at a tick between reads.
/// </summary>
internal sealed class StreamPump(Exchange exchange, UpstreamStream upstream, StreamRepair repair, DownstreamAnswer answer)
{
    /// <summary>The longest that a stage may hold text back.</summary>
    private static readonly TimeSpan HoldLimit = TimeSpan.FromMilliseconds(150);

    /// <summary>How long an answer that has its finish reason waits for a usage report and the end mark.</summary>
    private static readonly TimeSpan EndWait = TimeSpan.FromSeconds(5);

    /// <summary>As long as upstream has more at once, no flush is needed before this much has gathered.</summary>
    private const int FlushAtBytes = 16 * 1024;

    private readonly TimeProvider _time = exchange.Time;
    private readonly RepairChain _chain = repair.Chain;
    private ProxyError? _fault;
    private ulong _choicesSeen;
    private ulong _choicesFinished;
    private bool _done;
    private long _arrived;
    private long _lastProgress;
    private long _lastWrite;
    private long _letGoAt = long.MaxValue;

    /// <summary>Runs to the stream's end. Null means complete: the terminal event is still to be written. Client and time limits end it by the exchange's token.</summary>
    public async Task<ProxyError?> RunAsync()
    {
        using ReadOrTick wait = new(_time);
        _lastProgress = _lastWrite = _arrived = _time.GetTimestamp();
        try
        {
            if (answer.IsStream) exchange.Output.Write(upstream.Preamble);
            Take(upstream.Event);
            while (true)
            {
                while (!Ended && upstream.Reader.TryRead(out SseFrame frame)) Take(frame);
                if (upstream.Reader.FrameTooLarge) _fault ??= OwnErrors.ProtocolError($"an event larger than {exchange.Snapshot.Limits.EventBytes / (1024 * 1024)} MiB");
                if (Ended || !BeginRead(wait)) break;
                // The read comes first, and only when it has to wait is there a flush: what has come is sent at once, but a full buffer in one piece.
                if (answer.IsStream && exchange.Output.HasUnflushed && (!wait.ReadDone || exchange.Output.UnflushedBytes >= FlushAtBytes)) await FlushAsync();
                if (!await EndReadAsync(wait)) break;
            }

            End();
            // A whole answer's last bytes go out with the end of the body; before a resume or an error the client gets what there is.
            if (_fault is not null && answer.IsStream && exchange.Output.HasUnflushed) await FlushAsync();
            return _fault;
        }
        finally
        {
            if (wait.ReadPending) await AbandonReadAsync(wait);
        }
    }

    private bool Ended => _fault is not null || _done;

    /// <summary>Every choice that spoke has given its finish reason: what is still to come changes nothing.</summary>
    private bool IsFinished => _choicesFinished != 0 && _choicesFinished == _choicesSeen;

    private void End()
    {
        if (_fault is not null) return;
        // An end mark without a finish reason ends nothing: the answer may be cut anywhere.
        if (!IsFinished && !repair.LoopFound)
        {
            _fault = OwnErrors.Cut();
            return;
        }

        _chain.Finish();
        if (repair.Verifier is { IsCaughtUp: false }) _fault = OwnErrors.ResumeDiffers();
    }

    private async ValueTask FlushAsync()
    {
        long before = _time.GetTimestamp();
        await exchange.Output.FlushAsync(exchange.Token);
        _lastWrite = _time.GetTimestamp();
        // Time spent waiting for a slow client is not silence of upstream. Only that time counts: what was flushed may be a mere comment.
        _lastProgress += _lastWrite - before;
    }

    /// <summary>False when upstream is gone.</summary>
    private bool BeginRead(ReadOrTick wait)
    {
        try
        {
            wait.Begin(upstream.Body.ReadAsync(upstream.Reader.GetMemory(), upstream.Cancel.Token));
            return true;
        }
        catch (Exception failure) when (IsOfTransport(failure))
        {
            Break(failure);
            return false;
        }
    }

    /// <summary>Waits for the read. False at the end of the stream, whether clean or not.</summary>
    private async ValueTask<bool> EndReadAsync(ReadOrTick wait)
    {
        try
        {
            while (!await wait.WaitAsync(NextWake())) await TickAsync();
            int read = wait.EndRead();
            if (read == 0)
            {
                TakeLast();
                return false;
            }

            upstream.Reader.Advance(read);
            _arrived = _time.GetTimestamp();
            if (upstream.Reader.PendingBytes > read) _lastProgress = _arrived;
            return true;
        }
        catch (Exception failure) when (IsOfTransport(failure))
        {
            Break(failure);
            return false;
        }
    }

    private static bool IsOfTransport(Exception failure) =>
        failure is IOException or HttpRequestException or OperationCanceledException or InvalidDataException or ObjectDisposedException;

    private void Break(Exception failure)
    {
        exchange.Token.ThrowIfCancellationRequested();
        // A connection that dies after the finish reason changes nothing: the answer is complete.
        if (!IsFinished) _fault ??= OwnErrors.Cut(failure);
    }

    /// <summary>The client is gone while upstream is being read: the read has to be over before its buffer is given back.</summary>
    private async ValueTask AbandonReadAsync(ReadOrTick wait)
    {
        await upstream.Cancel.CancelAsync();
        try
        {
            while (!await wait.WaitAsync(long.MaxValue)) continue;
            wait.EndRead();
        }
        catch (Exception failure) when (IsOfTransport(failure))
        {
            // What it would have read is of no use to anybody.
        }
    }

    private long NextWake()
    {
        long idle = _lastProgress + Ticks(exchange.Snapshot.Timeouts.Idle);
        long next = answer.KeepAlive.IsEmpty ? idle : Math.Min(idle, _lastWrite + Ticks(exchange.Snapshot.Timeouts.KeepAlive));
        return Math.Min(next, _letGoAt);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private async ValueTask TickAsync()
    {
        long now = _time.GetTimestamp();
        if (now >= _letGoAt)
        {
            _chain.LetGo();
            _letGoAt = long.MaxValue;
        }

        if (IsFinished && now - _lastProgress >= Ticks(EndWait))
        {
            // The answer is complete and only the end marker or a usage report may still come: five seconds are enough for that.
            _done = true;
            await upstream.Cancel.CancelAsync();
        }
        else if (now - _lastProgress >= Ticks(exchange.Snapshot.Timeouts.Idle))
        {
            _fault ??= OwnErrors.IdleTimeout(exchange.Snapshot.Timeouts.Idle);
            await upstream.Cancel.CancelAsync();
        }
        else if (!answer.KeepAlive.IsEmpty && !exchange.Output.HasUnflushed && now - _lastWrite >= Ticks(exchange.Snapshot.Timeouts.KeepAlive))
        {
            exchange.Output.Write(answer.KeepAlive.Span);
        }

        if (!exchange.Output.HasUnflushed || !answer.IsStream) return;
        await exchange.Output.FlushAsync(exchange.Token);
        _lastWrite = _time.GetTimestamp();
    }

    private void Take(in SseFrame frame)
    {
        ChatEventDecoder.Decode(frame, upstream.Event);
        Take(upstream.Event);
    }

    private void Take(ChatEvent e)
    {
        exchange.CountUpstream(e.Raw.Length);
        switch (e.Kind)
        {
            case EventKind.Silent:
                if (answer.IsStream) _chain.Push(e);
                return;
            case EventKind.Done:
                _done = true;
                return;
            case EventKind.Error:
                if (!IsFinished) _fault = UpstreamErrorReader.FromStreamEvent(e, exchange.ServedModel);
                return;
            case EventKind.Broken:
                if (!IsFinished) _fault = OwnErrors.ProtocolError("an event that is not JSON");
                return;
        }

        _lastProgress = _arrived;
        exchange.Repairs.EventNumber++;
        repair.Context.ArrivalMilliseconds = _lastProgress * 1000 / _time.TimestampFrequency;
        if (!e.Usage.IsEmpty) exchange.KeepUsage(e.Usage.In(e.Data.Span));
        if (FailedFinish(e)) return;
        _chain.Push(e);
        if (repair.LoopFound) _done = true;
        if (repair.Verifier is { Mismatch: not null }) _fault = OwnErrors.ResumeDiffers();
        if (!_chain.IsHolding) _letGoAt = long.MaxValue;
        else if (_letGoAt == long.MaxValue) _letGoAt = _lastProgress + Ticks(HoldLimit);
    }

    /// <summary>Notes finish reasons; <c>error_finish</c> is an internal gateway's way to report a failure as text.</summary>
    private bool FailedFinish(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            ulong choice = 1UL << (part.Choice & 63);
            _choicesSeen |= choice;
            if (part.Kind != PartKind.Finish) continue;
            ReadOnlySpan<byte> reason = part.Value.In(e.Data.Span);
            if (reason.SequenceEqual("\"error_finish\""u8) || reason.SequenceEqual("\"error\""u8))
            {
                _fault = OwnErrors.FailedFinish(TextOf(e));
                return true;
            }

            _choicesFinished |= choice;
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

    private void TakeLast()
    {
        while (!Ended && upstream.Reader.TryRead(out SseFrame frame)) Take(frame);
        if (!Ended && upstream.Reader.TryReadLast(out SseFrame last)) Take(last);
    }
}
