using System.Buffers;

namespace QwenProxy.Wire;

/// <summary>
/// Edits to a JSON text, each "put these bytes in the place of those", applied without touching anything else: key order, number spelling,
/// escapes and unknown fields survive. Edits are given in rising order and do not overlap.
/// </summary>
public sealed class JsonSplice
{
    private readonly List<Edit> _edits = [];

    public int Count => _edits.Count;

    /// <summary>How many bytes longer (or, negative, shorter) the text becomes.</summary>
    public int Growth { get; private set; }

    public void Replace(ByteRange range, ReadOnlyMemory<byte> with) => Add(range.Start, range.Length, with);

    public void Insert(int at, ReadOnlyMemory<byte> text) => Add(at, 0, text);

    public void Clear()
    {
        _edits.Clear();
        Growth = 0;
    }

    public void WriteTo(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        int done = 0;
        foreach (Edit edit in _edits)
        {
            output.Write(json[done..edit.Start]);
            output.Write(edit.With.Span);
            done = edit.Start + edit.Length;
        }

        output.Write(json[done..]);
    }

    /// <summary>The pieces of the edited text in order, for a writer that sends them one by one instead of copying a large body.</summary>
    public IEnumerable<ReadOnlyMemory<byte>> Pieces(ReadOnlyMemory<byte> json)
    {
        int done = 0;
        foreach (Edit edit in _edits)
        {
            if (edit.Start > done) yield return json[done..edit.Start];
            if (!edit.With.IsEmpty) yield return edit.With;
            done = edit.Start + edit.Length;
        }

        if (done < json.Length) yield return json[done..];
    }

    private void Add(int start, int length, ReadOnlyMemory<byte> with)
    {
        // Kept sorted: callers find their places in document order, which for two members of one object may be either way round.
        int at = _edits.Count;
        while (at > 0 && _edits[at - 1].Start > start) at--;
        _edits.Insert(at, new Edit(start, length, with));
        Growth += with.Length - length;
    }

    private readonly record struct Edit(int Start, int Length, ReadOnlyMemory<byte> With);
}
