using System.Buffers;
using System.IO.Pipelines;
using QwenProxy.Wire;

namespace QwenProxy.Proxying;

/// <summary>
/// The response body, with a count of what was written to it: the pump flushes once it has taken what is there. What comes at once beyond
/// <see cref="HeldByServer"/> waits here and goes on in pieces as the client reads: the server would keep the room it once made for it.
/// The server is asked for room and told what was written a buffer at a time and not an event at a time: each takes its lock.
/// </summary>
internal sealed class CountingWriter(PipeWriter output) : IBufferWriter<byte>, IDisposable
{
    private const int HeldByServer = 1024 * 1024;
    private const int PieceBytes = 64 * 1024;

    private PooledBytes? _waiting;
    private Memory<byte> _room;
    private int _used;
    private long _flushed;

    public long Written { get; private set; }

    public bool HasUnflushed => Written > _flushed;

    public long UnflushedBytes => Written - _flushed;

    public void Advance(int count)
    {
        if (_waiting is not null) _waiting.Advance(count);
        else
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _room.Length - _used);
            _used += count;
        }

        Written += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_waiting is null && UnflushedBytes >= HeldByServer)
        {
            Tell();
            _waiting = new PooledBytes(PieceBytes);
        }

        if (_waiting is not null) return _waiting.GetMemory(sizeHint);
        if (_room.Length - _used < Math.Max(sizeHint, 1))
        {
            Tell();
            _room = output.GetMemory(sizeHint);
        }

        return _room[_used..];
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <summary>Waits while the client reads slower than upstream speaks: this is what slows upstream down.</summary>
    public ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken)
    {
        if (_waiting is not null) return FlushInPiecesAsync(cancellationToken);
        Tell();
        _flushed = Written;
        return output.FlushAsync(cancellationToken);
    }

    /// <summary>Before the server ends the body, for it does not know of what waits here. The rest it flushes itself, in one piece with the end.</summary>
    public async ValueTask FinishAsync(CancellationToken cancellationToken)
    {
        if (_waiting is not null) await FlushInPiecesAsync(cancellationToken);
        else Tell();
    }

    public void Dispose() => _waiting?.Dispose();

    /// <summary>The server learns what was written; the room is no longer used, for it is its own.</summary>
    private void Tell()
    {
        if (_used > 0) output.Advance(_used);
        (_room, _used) = (default, 0);
    }

    private async ValueTask<FlushResult> FlushInPiecesAsync(CancellationToken cancellationToken)
    {
        using PooledBytes waiting = _waiting!;
        FlushResult result = await output.FlushAsync(cancellationToken);
        for (int at = 0; at < waiting.Length; at += PieceBytes)
        {
            output.Write(waiting.Span.Slice(at, Math.Min(PieceBytes, waiting.Length - at)));
            result = await output.FlushAsync(cancellationToken);
        }

        _waiting = null;
        _flushed = Written;
        return result;
    }
}
