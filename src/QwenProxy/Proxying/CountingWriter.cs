using System.Buffers;
using System.IO.Pipelines;

namespace QwenProxy.Proxying;

/// <summary>The response body, with a count of what was written to it: the pump flushes once it has taken what is there.</summary>
internal sealed class CountingWriter(PipeWriter output) : IBufferWriter<byte>
{
    private long _flushed;

    public long Written { get; private set; }

    public bool HasUnflushed => Written > _flushed;

    public long UnflushedBytes => Written - _flushed;

    public void Advance(int count)
    {
        output.Advance(count);
        Written += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0) => output.GetMemory(sizeHint);

    public Span<byte> GetSpan(int sizeHint = 0) => output.GetSpan(sizeHint);

    /// <summary>Waits while the client reads slower than upstream speaks: this is what slows upstream down.</summary>
    public ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken)
    {
        _flushed = Written;
        return output.FlushAsync(cancellationToken);
    }
}
