using System.Buffers;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>JSON text that remembers where its cache markers stand, since how many of them may stay is known only at the end.</summary>
internal sealed class MarkedBytes : IDisposable
{
    private readonly List<int> _markers = [];

    public static ReadOnlySpan<byte> Marker => ",\"cache_control\":{\"type\":\"ephemeral\"}"u8;

    public PooledBytes Bytes { get; } = new(16 * 1024);

    public int MarkerCount => _markers.Count;

    public void Write(ReadOnlySpan<byte> text) => Bytes.Write(text);

    /// <summary>A comma unless the list is empty so far.</summary>
    public void Separate()
    {
        if (Bytes.Length > 0) Bytes.Write(","u8);
    }

    public void WriteMarker()
    {
        _markers.Add(Bytes.Length);
        Bytes.Write(Marker);
    }

    /// <summary>Takes over another list's items.</summary>
    public void TakeAll(MarkedBytes other)
    {
        if (other.Bytes.Length == 0) return;
        Separate();
        foreach (int marker in other._markers) _markers.Add(marker + Bytes.Length);
        Bytes.Write(other.Bytes.Span);
        other.Bytes.Clear();
        other._markers.Clear();
    }

    /// <summary>Writes the text without its first <paramref name="dropped"/> markers.</summary>
    public void CopyTo(IBufferWriter<byte> output, int dropped)
    {
        ReadOnlySpan<byte> text = Bytes.Span;
        int done = 0;
        for (int i = 0; i < dropped && i < _markers.Count; i++)
        {
            output.Write(text[done.._markers[i]]);
            done = _markers[i] + Marker.Length;
        }

        output.Write(text[done..]);
    }

    public void Dispose() => Bytes.Dispose();
}
