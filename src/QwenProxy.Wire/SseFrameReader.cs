using System.Buffers.Text;

namespace QwenProxy.Wire;

/// <summary>
/// Cuts a byte stream into SSE frames, whatever the cuts between reads. Accepts LF, CR and CRLF, a missing space after the colon, several
/// <c>data:</c> lines, comments, a byte order mark and a last frame without its blank line. Each byte is looked at once: a frame of many
/// mebibytes that arrives in small pieces costs linear time.
/// <para>Use: <see cref="GetMemory"/> and <see cref="Advance"/> to fill, <see cref="TryRead"/> until false, <see cref="TryReadLast"/> at the end.</para>
/// </summary>
public sealed class SseFrameReader(int maxFrameBytes, int initialCapacity = 4096) : IDisposable
{
    private const int ShrinkAboveBytes = 64 * 1024;

    private readonly PooledBytes _buffer = new(initialCapacity);
    private readonly int _readSize = initialCapacity;
    private PooledBytes? _joined;
    private int _frameStart;
    private int _lineStart;
    private int _scanned;
    private bool _atStreamStart = true;
    private bool _lineFeedMayFollow;
    private FrameFields _fields;

    /// <summary>True when one frame grew past the limit; nothing more can be read.</summary>
    public bool FrameTooLarge { get; private set; }

    /// <summary>Bytes of a frame that has not ended yet.</summary>
    public int PendingBytes => _buffer.Length - _frameStart;

    /// <summary>What was read and is in no frame yet. Valid until the next call of any other member.</summary>
    public ReadOnlyMemory<byte> Pending => _buffer.Memory[_frameStart..];

    /// <summary>Room to read into. Frames returned before are no longer valid after this call.</summary>
    public Memory<byte> GetMemory()
    {
        if (_frameStart > 0)
        {
            _buffer.Consume(_frameStart);
            _lineStart -= _frameStart;
            _scanned -= _frameStart;
            _fields.Shift(_frameStart);
            _frameStart = 0;
            _buffer.ShrinkIfLarge(ShrinkAboveBytes);
        }

        // A large event is read in larger pieces; a small one never grows the buffer past its first size.
        return _buffer.GetMemory(_buffer.Length < _readSize / 2 ? _readSize - _buffer.Length : Math.Max(_readSize, Math.Min(_buffer.Length, ShrinkAboveBytes)));
    }

    public void Advance(int count) => _buffer.Advance(count);

    /// <summary>Gives the buffer back while nothing is in it, for a wait that may be long. False when a part of a frame is. Frames returned before are no longer valid.</summary>
    public bool TryRest()
    {
        if (PendingBytes > 0 || _lineFeedMayFollow || _atStreamStart) return false;
        _buffer.Dispose();
        _frameStart = _lineStart = _scanned = 0;
        return true;
    }

    public bool TryRead(out SseFrame frame)
    {
        ReadOnlySpan<byte> bytes = _buffer.Span;
        SkipByteOrderMark(bytes);
        SkipLateLineFeed(bytes);
        while (true)
        {
            int offset = bytes[_scanned..].IndexOfAny((byte)'\n', (byte)'\r');
            if (offset < 0)
            {
                _scanned = bytes.Length;
                FrameTooLarge = PendingBytes > maxFrameBytes;
                frame = default;
                return false;
            }

            int lineEnd = _scanned + offset;
            int next = lineEnd + 1;
            // A CR at the end of what is here may be half of a CRLF. The line is over all the same, and a late LF belongs to it and means
            // nothing by itself. Waiting for it would hold back a CR-only stream.
            if (bytes[lineEnd] == '\r')
            {
                if (next == bytes.Length) _lineFeedMayFollow = true;
                else if (bytes[next] == '\n') next++;
            }

            bool blank = lineEnd == _lineStart;
            if (!blank) _fields.AddLine(bytes, _lineStart, lineEnd);
            _lineStart = _scanned = next;
            if (next - _frameStart > maxFrameBytes)
            {
                FrameTooLarge = true;
                frame = default;
                return false;
            }

            if (blank && _fields.HasLines)
            {
                frame = Take(next);
                return true;
            }
        }
    }

    /// <summary>At the end of the stream: whatever is left, as a frame, with its unfinished last line counted as a line.</summary>
    public bool TryReadLast(out SseFrame frame)
    {
        if (PendingBytes == 0)
        {
            frame = default;
            return false;
        }

        ReadOnlySpan<byte> bytes = _buffer.Span;
        SkipByteOrderMark(bytes);
        SkipLateLineFeed(bytes);
        if (_lineStart < bytes.Length) _fields.AddLine(bytes, _lineStart, bytes.Length);
        frame = Take(bytes.Length);
        return true;
    }

    public void Dispose()
    {
        _buffer.Dispose();
        _joined?.Dispose();
    }

    private void SkipLateLineFeed(ReadOnlySpan<byte> bytes)
    {
        if (!_lineFeedMayFollow || _scanned >= bytes.Length) return;
        _lineFeedMayFollow = false;
        if (bytes[_scanned] == '\n') _lineStart = ++_scanned;
    }

    private void SkipByteOrderMark(ReadOnlySpan<byte> bytes)
    {
        if (!_atStreamStart || bytes.Length == 0) return;
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        if (bytes.Length < 3 && mark.StartsWith(bytes)) return;
        _atStreamStart = false;
        if (bytes.StartsWith(mark)) _lineStart = _scanned = 3;
    }

    private SseFrame Take(int end)
    {
        ReadOnlyMemory<byte> all = _buffer.Memory;
        FrameFields f = _fields;
        ReadOnlyMemory<byte> data = f.DataCount == 1 ? all.Slice(f.Data.Start, f.Data.Length) : f.DataCount > 1 ? Join(all, end) : default;
        SseFrame frame = new()
        {
            Raw = all[_frameStart..end],
            Data = data,
            DataOffset = f.DataCount == 1 ? f.Data.Start - _frameStart : -1,
            HasData = f.DataCount > 0,
            EventName = all.Slice(f.EventName.Start, f.EventName.Length),
            Id = all.Slice(f.Id.Start, f.Id.Length),
            HttpStatus = f.HttpStatus,
        };
        _frameStart = _lineStart = _scanned = end;
        _fields = default;
        return frame;
    }

    /// <summary>Several data lines are rare, so their places are not remembered: the frame is walked once more.</summary>
    private ReadOnlyMemory<byte> Join(ReadOnlyMemory<byte> all, int end)
    {
        _joined ??= new PooledBytes(_readSize);
        _joined.Clear();
        ReadOnlySpan<byte> rest = all.Span[_fields.Data.Start..end];
        bool first = true;
        _joined.Write(all.Span.Slice(_fields.Data.Start, _fields.Data.Length));
        while (rest.Length > 0)
        {
            int lineEnd = rest.IndexOfAny((byte)'\n', (byte)'\r');
            ReadOnlySpan<byte> line = lineEnd < 0 ? rest : rest[..lineEnd];
            if (!first && FrameFields.TryValue(line, "data"u8, out int start))
            {
                _joined.Write("\n"u8);
                _joined.Write(line[start..]);
            }

            first = false;
            rest = lineEnd < 0 ? default : rest[(lineEnd + 1)..];
        }

        return _joined.Memory;
    }

    private struct FrameFields
    {
        public ByteRange Data;
        public ByteRange EventName;
        public ByteRange Id;
        public int DataCount;
        public int HttpStatus;
        public bool HasLines;

        public void AddLine(ReadOnlySpan<byte> bytes, int start, int end)
        {
            HasLines = true;
            ReadOnlySpan<byte> line = bytes[start..end];
            if (TryValue(line, "data"u8, out int value))
            {
                if (++DataCount == 1) Data = new ByteRange(start + value, end - start - value);
            }
            else if (TryValue(line, "event"u8, out value)) EventName = new ByteRange(start + value, end - start - value);
            else if (TryValue(line, "id"u8, out value)) Id = new ByteRange(start + value, end - start - value);
            else if (line.StartsWith(":HTTP_STATUS/"u8) && Utf8Parser.TryParse(line[13..], out int status, out _)) HttpStatus = status;
        }

        public void Shift(int by)
        {
            Data = Data.Shift(by);
            EventName = EventName.Shift(by);
            Id = Id.Shift(by);
        }

        public static bool TryValue(ReadOnlySpan<byte> line, ReadOnlySpan<byte> name, out int valueStart)
        {
            valueStart = name.Length;
            if (!line.StartsWith(name)) return false;
            if (line.Length == name.Length) return true;
            if (line[name.Length] != ':') return false;
            valueStart++;
            if (line.Length > valueStart && line[valueStart] == ' ') valueStart++;
            return true;
        }
    }
}
