using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Tags;

/// <summary>One thing to be said in place of a text that was read: text of a kind, or a part of a tool call.</summary>
internal struct Piece
{
    public PartKind Kind;
    public ByteRange Text;
    public int ToolIndex;
    public string? ToolId;
    public string? ToolName;
}

/// <summary>What a scanner makes of one piece of text, in order. Reused from event to event.</summary>
internal sealed class PieceList : IDisposable
{
    private readonly List<Piece> _pieces = [];
    private readonly PooledBytes _bytes = new(256);
    private PartKind _home;

    /// <summary>True once anything but the text itself came out: something was dropped, moved or converted.</summary>
    public bool Broken { get; private set; }

    /// <summary>How many bytes from the start came out as they went in.</summary>
    public int LeadBytes { get; private set; }

    public int Count => _pieces.Count;

    public Piece this[int index] => _pieces[index];

    public ReadOnlySpan<byte> TextOf(in Piece piece) => piece.Text.In(_bytes.Span);

    /// <param name="home">The kind of the text that is read.</param>
    public void Clear(PartKind home)
    {
        _pieces.Clear();
        _bytes.Clear();
        _home = home;
        Broken = false;
        LeadBytes = 0;
    }

    /// <summary>Bytes were dropped here.</summary>
    public void Break() => Broken = true;

    public void Text(PartKind kind, ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty) return;
        Broken |= kind != _home;
        if (!Broken) LeadBytes += text.Length;
        Append(new Piece { Kind = kind, ToolIndex = -1 }, text);
    }

    public void StartCall(int index, string id, string name)
    {
        Broken = true;
        _pieces.Add(new Piece { Kind = PartKind.ToolCall, ToolIndex = index, ToolId = id, ToolName = name, Text = new ByteRange(_bytes.Length, 0) });
    }

    public void Arguments(int index, ReadOnlySpan<byte> json)
    {
        Broken = true;
        if (!json.IsEmpty) Append(new Piece { Kind = PartKind.ToolCall, ToolIndex = index }, json);
    }

    /// <summary>What the choice has said as content was none, and neither was anything that is in this list so far.</summary>
    public void Withdraw()
    {
        Clear(_home);
        Broken = true;
        _pieces.Add(new Piece { Kind = PartKind.Withdrawal, ToolIndex = -1 });
    }

    /// <summary>Text that becomes the inside of a JSON string in the arguments.</summary>
    public void ArgumentsEscaped(int index, ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty) return;
        using PooledBytes escaped = new(utf8.Length + 32);
        JsonText.WriteInside(utf8, escaped);
        Arguments(index, escaped.Span);
    }

    public void Dispose() => _bytes.Dispose();

    private void Append(Piece piece, ReadOnlySpan<byte> text)
    {
        int start = _bytes.Length;
        _bytes.Write(text);
        int last = _pieces.Count - 1;
        if (last >= 0 && _pieces[last].Kind == piece.Kind && _pieces[last].ToolIndex == piece.ToolIndex)
        {
            Piece grown = _pieces[last];
            grown.Text = new ByteRange(grown.Text.Start, grown.Text.Length + text.Length);
            _pieces[last] = grown;
            return;
        }

        piece.Text = new ByteRange(start, text.Length);
        _pieces.Add(piece);
    }
}
