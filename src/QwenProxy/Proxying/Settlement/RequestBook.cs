using System.Collections.Immutable;
using QwenProxy.Observability;

namespace QwenProxy.Proxying.Settlement;

/// <summary>A request that runs, as it stood when somebody asked. No text of a conversation.</summary>
internal sealed record RunningRequest(string RequestId, string Path, string? Client, string Model, string? Served, string? Account, bool Stream)
{
    public int Attempts { get; init; }

    public int Resumes { get; init; }

    /// <summary>True when the first byte of the answer was written.</summary>
    public bool IsAnswering { get; init; }

    public long ResponseBytes { get; init; }

    public TimeSpan Duration { get; init; }
}

/// <summary>
/// The requests that run and the last <see cref="Kept"/> that ended, for people to look at. It lives in memory only; what has to last is in the
/// ledger. Each text in it was cut short at Settle, so its size has a bound.
/// </summary>
internal sealed class RequestBook
{
    public const int Kept = 200;

    private readonly Traffic _traffic = new();

    private readonly Lock _lock = new();
    private readonly HashSet<Exchange> _running = [];
    private readonly SettledRequest?[] _ended = new SettledRequest?[Kept];
    private long _endedCount;

    public void Begin(Exchange exchange)
    {
        lock (_lock) _running.Add(exchange);
    }

    public void End(Exchange exchange, SettledRequest settled)
    {
        lock (_lock)
        {
            _running.Remove(exchange);
            _ended[_endedCount++ % Kept] = settled;
            _traffic.Add(settled.Entry);
        }
    }

    /// <summary>The last ones that ended, newest first.</summary>
    public ImmutableArray<SettledRequest> Recent() => Since(0).Ended;

    /// <summary>What the last minute came to.</summary>
    public MinuteTraffic LastMinute(DateTimeOffset now)
    {
        lock (_lock) return _traffic.LastMinute(now);
    }

    /// <summary>Those that ended after so many had ended, newest first and no more than are kept, and how many have by now.</summary>
    public (ImmutableArray<SettledRequest> Ended, long Count) Since(long ended)
    {
        lock (_lock)
        {
            int count = (int)Math.Clamp(_endedCount - ended, 0, Math.Min(_endedCount, Kept));
            ImmutableArray<SettledRequest>.Builder recent = ImmutableArray.CreateBuilder<SettledRequest>(count);
            for (int back = 1; back <= count; back++) recent.Add(_ended[(_endedCount - back) % Kept]!);
            return (recent.MoveToImmutable(), _endedCount);
        }
    }

    /// <summary>At most <see cref="Kept"/> of the running ones, the oldest first.</summary>
    public ImmutableArray<RunningRequest> Running()
    {
        // An exchange leaves the set before it is disposed: while the lock is held, each is alive. Its fields are read while its own request
        // changes them; each is read whole, and a picture of the moment asks for no more.
        lock (_lock) return [.. _running.OrderBy(e => e.StartedAt).Take(Kept).Select(Look)];
    }

    private static RunningRequest Look(Exchange exchange) =>
        new(exchange.RequestId, exchange.Path, exchange.ClientName, PrintableText.Of(exchange.AskedModel), exchange.ServedModel is { } served ? PrintableText.Of(served) : null, exchange.Account, exchange.IsStreaming)
        {
            Attempts = exchange.Attempts,
            Resumes = exchange.Resumes,
            IsAnswering = exchange.FirstByteAt != 0,
            ResponseBytes = exchange.Output.Written,
            Duration = exchange.Time.GetElapsedTime(exchange.StartedAt),
        };
}
