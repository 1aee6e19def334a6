using System.Buffers;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>What an event's SSE id says beside the ids before it.</summary>
internal enum FrameSight : byte
{
    /// <summary>The event has no id.</summary>
    NoId,

    /// <summary>An id that was not seen before.</summary>
    New,

    /// <summary>The id and the bytes of an earlier event.</summary>
    Again,

    /// <summary>The id of an earlier event with other bytes: ids do not tell events apart here.</summary>
    Reused,
}

/// <summary>
/// The ids of the stream's last <see cref="MostFrames"/> events with fingerprints of their bytes: events may come again one by one, as a block,
/// or all of them after a reconnect. The memory is bounded (64 KiB) and taken only where an upstream sends ids. A search is a scan of plain
/// numbers, which is faster at this size than a table that would have to forget its oldest entries.
/// </summary>
internal sealed class SeenFrames
{
    public const int MostFrames = 4096;
    private const int FirstFrames = 256;

    private ulong[] _ids = [];
    private ulong[] _frames = [];
    private int _room;
    private int _count;
    private int _next;

    /// <summary>Different ids so far, as far back as they are remembered.</summary>
    public int Count => _count;

    public FrameSight See(ReadOnlySpan<byte> id, ReadOnlySpan<byte> frame)
    {
        if (id.IsEmpty) return FrameSight.NoId;
        ulong idPrint = TextHash.Of(id).Print, framePrint = TextHash.Of(frame).Print;
        int place = _ids.AsSpan(0, _count).IndexOf(idPrint);
        if (place >= 0) return _frames[place] == framePrint ? FrameSight.Again : FrameSight.Reused;
        if (_count == _room && _room < MostFrames) Grow();
        if (_next == _room) _next = 0;
        (_ids[_next], _frames[_next]) = (idPrint, framePrint);
        _next++;
        _count = Math.Max(_count, _next);
        return FrameSight.New;
    }

    public void Release()
    {
        Return(_ids);
        Return(_frames);
        _ids = _frames = [];
        _room = _count = _next = 0;
    }

    private void Grow()
    {
        int room = Math.Max(2 * _room, FirstFrames);
        _ids = Move(_ids, room);
        _frames = Move(_frames, room);
        _room = room;
    }

    private ulong[] Move(ulong[] old, int room)
    {
        ulong[] larger = ArrayPool<ulong>.Shared.Rent(room);
        old.AsSpan(0, _count).CopyTo(larger);
        Return(old);
        return larger;
    }

    private static void Return(ulong[] array)
    {
        if (array.Length > 0) ArrayPool<ulong>.Shared.Return(array);
    }
}
