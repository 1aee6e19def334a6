using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>
/// Text from a call on whose meaning depends on what follows it: a call in thinking is real only when nothing follows, and a whole answer may turn
/// out to be thinking so far. It is kept in both readings, the text as it came and what would be said if its calls are real.
/// </summary>
internal sealed class WaitingText : IDisposable
{
    private readonly PooledBytes _raw = new(256);
    private readonly List<CallForm> _forms = [];

    public bool IsOpen { get; private set; }

    /// <summary>What its text is unless it is a call: content or thinking.</summary>
    public PartKind Kind { get; set; }

    /// <summary>There was no room to withhold it: its text is shown as it comes, and only its calls wait.</summary>
    public bool IsShown { get; private set; }

    /// <summary>Some call's arguments were never finished.</summary>
    public bool IsIncomplete { get; set; }

    /// <summary>The reading in which calls are calls. Their indexes are counted from 0 here.</summary>
    public PieceList Parsed { get; } = new();

    public int WithheldBytes => _raw.Length;

    public void Open(PartKind kind)
    {
        IsOpen = true;
        Kind = kind;
        Parsed.Clear(kind);
    }

    public int StartCall(in CallOpening opening)
    {
        _forms.Add(opening.Form);
        Parsed.StartCall(_forms.Count - 1, "", opening.Name);
        return _forms.Count - 1;
    }

    /// <summary>Text that is no call.</summary>
    public void Text(ReadOnlySpan<byte> text, PieceList pieces)
    {
        Raw(text, pieces);
        if (!IsShown) Parsed.Text(PartKind.Content, text);
    }

    /// <summary>Text of a call, which the parsed reading has in its own form.</summary>
    public void Raw(ReadOnlySpan<byte> text, PieceList pieces)
    {
        if (IsShown) pieces.Text(Kind, text);
        else _raw.Write(text);
    }

    public void Show(PieceList pieces)
    {
        pieces.Text(Kind, _raw.Span);
        _raw.Clear();
        IsShown = true;
    }

    /// <summary>Nothing in it was a call.</summary>
    public void SayAsText(PieceList pieces)
    {
        pieces.Break();
        pieces.Text(Kind, _raw.Span);
        Close();
    }

    /// <summary>Its calls are real.</summary>
    public void SayCalls(PieceList pieces, LeakedCalls calls, PartKind channel)
    {
        pieces.Break();
        int index = 0, started = 0;
        for (int i = 0; i < Parsed.Count; i++)
        {
            Piece piece = Parsed[i];
            ReadOnlySpan<byte> text = Parsed.TextOf(piece);
            if (piece.Kind != PartKind.ToolCall)
            {
                if (!IsShown) pieces.Text(Kind, text);
                continue;
            }

            if (piece.ToolName is not null) index = calls.Start(pieces, channel, piece.ToolName, _forms[started++], text.Length);
            pieces.Arguments(index, text);
        }

        calls.Incomplete |= IsIncomplete;
        Close();
    }

    public void Close()
    {
        _raw.Clear();
        _forms.Clear();
        Parsed.Clear(Kind);
        IsOpen = IsShown = IsIncomplete = false;
    }

    public void Dispose()
    {
        _raw.Dispose();
        Parsed.Dispose();
    }
}
