using System.Buffers;
using System.Runtime.CompilerServices;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Streaming;

/// <summary>
/// The only loop that awaits between the first event and the last: read what is there, hand on each whole frame to what is synchronous,
/// flush once nothing more is there. Everything that depends on time (silence, keep-alive, let-go) happens at a tick between reads.
/// </summary>
internal sealed class StreamPump(Exchange exchange, UpstreamStream upstream, StreamFrames frames, DownstreamAnswer answer)
{
    /// <summary>The longest that a stage may hold text back.</summary>
    private static readonly TimeSpan HoldLimit = TimeSpan.FromMilliseconds(150);

    /// <summary>How long an answer that has its finish reason waits for a usage report and the end mark.</summary>
    private static readonly TimeSpan EndWait = TimeSpan.FromSeconds(5);

    /// <summary>As long as upstream has more at once, no flush is needed before this much has gathered.</summary>
    private const int FlushAtBytes = 16 * 1024;

    /// <summary>An upstream that was silent for so long may be again: it is waited for without a buffer, at the price of one more system call.</summary>
    private static readonly TimeSpan SlowGap = TimeSpan.FromMilliseconds(500);

    private readonly TimeProvider _time = exchange.Time;
    private long _arrived;
    private long _lastProgress;
    private long _lastWrite;
    private long _letGoAt = long.MaxValue;
    private bool _isSlow;
    private bool _rests;

    /// <summary>Runs to the stream's end. Null means complete: the terminal event is still to be written. Client and time limits end it by the exchange's token.</summary>
    public async Task<ProxyError?> RunAsync()
    {
        using ReadOrTick wait = new(_time);
        _lastProgress = _lastWrite = _arrived = _time.GetTimestamp();
        try
        {
            frames.TakeFirst(Milliseconds(_arrived));
            NoteProgress();
            while (true)
            {
                while (!frames.IsEnded && upstream.Reader.TryRead(out SseFrame frame)) Take(frame);
                if (upstream.Reader.FrameTooLarge) frames.Fail(OwnErrors.ProtocolError($"an event larger than {exchange.Snapshot.Limits.EventBytes / (1024 * 1024)} MiB"));
                if (frames.IsEnded || !BeginRead(wait)) break;
                // The read comes first, and only when it has to wait is there a flush: what has come is sent at once, but a full buffer in one piece.
                if (answer.IsStream && exchange.Output.HasUnflushed && (!wait.ReadDone || exchange.Output.UnflushedBytes >= FlushAtBytes)) await FlushAsync();
                if (!await EndReadAsync(wait)) break;
            }

            frames.End();
            // A whole answer's last bytes go out with the end of the body; before a resume or an error the client gets what there is.
            if (frames.Fault is not null && answer.IsStream && exchange.Output.HasUnflushed) await FlushAsync();
            return frames.Fault;
        }
        finally
        {
            if (wait.ReadPending) await AbandonReadAsync(wait);
        }
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
            _rests = _isSlow && upstream.CanWaitWithoutBuffer && upstream.Reader.TryRest();
            _isSlow = false;
            wait.Begin(upstream.Body.ReadAsync(_rests ? Memory<byte>.Empty : upstream.Reader.GetMemory(), upstream.Cancel.Token));
            return true;
        }
        catch (Exception failure) when (IsOfTransport(failure))
        {
            Break(failure);
            return false;
        }
    }

    /// <summary>Waits for the read, once an event, so its state is pooled. False at the end of the stream, whether clean or not.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> EndReadAsync(ReadOrTick wait)
    {
        try
        {
            while (!await wait.WaitAsync(NextWake())) await TickAsync();
            int read = wait.EndRead();
            if (_rests) return true;
            if (read == 0)
            {
                TakeLast();
                return false;
            }

            upstream.Reader.Advance(read);
            long now = _time.GetTimestamp();
            _isSlow = now - _arrived >= Ticks(SlowGap);
            _arrived = now;
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
        if (!frames.IsFinished) frames.Fail(OwnErrors.Cut(failure));
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

    /// <summary>How long upstream may say nothing. Once the answer is whole, that is never a failure.</summary>
    private TimeSpan Patience
    {
        get
        {
            TimeSpan idle = exchange.Snapshot.Timeouts.Idle;
            return frames is { IsFinished: true, IsSureOfItsEnd: true } && idle > EndWait ? EndWait : idle;
        }
    }

    private long NextWake()
    {
        long idle = _lastProgress + Ticks(Patience);
        long next = answer.KeepAlive.IsEmpty ? idle : Math.Min(idle, _lastWrite + Ticks(exchange.Snapshot.Timeouts.KeepAlive));
        return Math.Min(next, _letGoAt);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private async ValueTask TickAsync()
    {
        long now = _time.GetTimestamp();
        if (now >= _letGoAt)
        {
            frames.LetGo();
            _letGoAt = long.MaxValue;
        }

        if (frames.IsFinished && now - _lastProgress >= Ticks(Patience))
        {
            // The answer is complete and only the end marker or a usage report may still come: five seconds are enough for that.
            frames.Done();
            await upstream.Cancel.CancelAsync();
        }
        else if (now - _lastProgress >= Ticks(exchange.Snapshot.Timeouts.Idle))
        {
            frames.Fail(OwnErrors.IdleTimeout(exchange.Snapshot.Timeouts.Idle));
            await upstream.Cancel.CancelAsync();
        }
        else if (!answer.KeepAlive.IsEmpty && !exchange.Output.HasUnflushed && now - _lastWrite >= Ticks(exchange.Snapshot.Timeouts.KeepAlive))
        {
            // It may be the first thing the client hears; it commits the status but not the answer.
            ResponseHeads.WriteStream(exchange, upstream: null);
            exchange.Output.Write(answer.KeepAlive.Span);
        }

        if (!exchange.Output.HasUnflushed || !answer.IsStream) return;
        await exchange.Output.FlushAsync(exchange.Token);
        _lastWrite = _time.GetTimestamp();
    }

    private void Take(in SseFrame frame)
    {
        if (frames.Take(frame, Milliseconds(_arrived))) NoteProgress();
    }

    private void NoteProgress()
    {
        _lastProgress = _arrived;
        if (!frames.IsHolding) _letGoAt = long.MaxValue;
        else if (_letGoAt == long.MaxValue) _letGoAt = _lastProgress + Ticks(HoldLimit);
    }

    private long Milliseconds(long timestamp) => timestamp * 1000 / _time.TimestampFrequency;

    private void TakeLast()
    {
        while (!frames.IsEnded && upstream.Reader.TryRead(out SseFrame frame)) Take(frame);
        if (!frames.IsEnded && upstream.Reader.TryReadLast(out SseFrame last)) Take(last);
    }
}
