using QwenProxy.Configuration;
using QwenProxy.Wire;

namespace QwenProxy.Observability;

/// <summary>Reads an upstream's body and keeps what was read, up to a bound; when the body is closed the copy goes to the store.</summary>
internal sealed class CaptureStream(CaptureStore store, Stream body, StorageSnapshot settings, string name) : Stream
{
    private readonly PooledBytes _kept = new(16 * 1024);
    private bool _isTruncated;
    private int _closed;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await body.ReadAsync(buffer, cancellationToken);
        Keep(buffer.Span[..read]);
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count)
    {
        int read = body.Read(buffer, offset, count);
        Keep(buffer.AsSpan(offset, read));
        return read;
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (!disposing || Interlocked.Exchange(ref _closed, 1) == 1) return;
        body.Dispose();
        store.Add(new Capture(name, settings, _kept.Span.ToArray(), _isTruncated));
        store.GiveBack(_kept.Length);
        _kept.Dispose();
        base.Dispose(disposing);
    }

    public void Keep(ReadOnlySpan<byte> read)
    {
        if (_isTruncated || read.IsEmpty) return;
        long room = Math.Min(CaptureStore.MaxStreamBytes, settings.CaptureMaxBytes) - _kept.Length;
        int fits = (int)Math.Min(read.Length, room);
        if (fits > 0 && store.TryTake(fits)) _kept.Write(read[..fits]);
        else fits = 0;
        _isTruncated = fits < read.Length;
    }
}

/// <summary>One stream that is to be written down.</summary>
internal sealed record Capture(string Name, StorageSnapshot Settings, byte[] Bytes, bool IsTruncated);
