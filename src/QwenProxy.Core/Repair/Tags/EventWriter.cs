using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Tags;

/// <summary>Puts pieces in the place of a part, and keeps what the event says after it behind them.</summary>
internal sealed class EventWriter
{
    private bool _addedBefore;
    private bool _addedAfter;

    /// <summary>A new event is at hand.</summary>
    public void Start() => _addedBefore = _addedAfter = false;

    /// <summary>Says the pieces instead of the part. The first <paramref name="skip"/> bytes were said already, by events that were held.</summary>
    public void Replace(ChatEvent e, int index, PieceList pieces, int skip)
    {
        EventPart part = e.Parts[index];
        PartPlace place = part.Place == PartPlace.Before ? PartPlace.Before : PartPlace.After;
        int first = 0;
        bool said = false;
        if (pieces.Count > 0 && pieces[0].Kind == part.Kind && pieces[0].Text.Length >= skip)
        {
            ReadOnlySpan<byte> text = pieces.TextOf(pieces[0])[skip..];
            said = text.Length > 0;
            if (said) e.SetText(index, text);
            first = 1;
            skip = 0;
        }

        if (!said) e.Remove(index);
        Add(e, place, part.Choice, pieces, first, skip);
    }

    /// <summary>Says the pieces just ahead of a part, behind everything the event says before it.</summary>
    public void AddAhead(ChatEvent e, int index, TagScanner scanner, PieceList pieces, int skip)
    {
        PartPlace place = e.Parts[index].Place;
        if (place == PartPlace.Original) place = _addedAfter || Speaks(e, scanner) ? PartPlace.After : PartPlace.Before;
        Add(e, place, scanner.Choice, pieces, 0, skip);
    }

    /// <summary>Says the pieces in an envelope.</summary>
    public void AddTo(ChatEvent envelope, TagScanner scanner, PieceList pieces, int skip) =>
        Add(envelope, PartPlace.Before, scanner.Choice, pieces, 0, skip);

    public void AddAfter(ChatEvent e, PartKind kind, int choice, ReadOnlySpan<byte> text)
    {
        e.Add(PartPlace.After, kind, choice, text);
        _addedAfter = true;
    }

    /// <summary>A part that is said later than pieces which were added moves behind them. Returns where the part is now.</summary>
    public int KeepOrder(ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        if (part.Removed || !IsDisplaced(part) || part.Kind == PartKind.Role) return index;
        if (part.Kind == PartKind.ToolCall && part.Place == PartPlace.Original) return index;
        using PooledBytes text = new(64);
        text.Write(e.Text(part));
        e.Remove(index);
        PartPlace place = part.Place == PartPlace.Before ? PartPlace.Before : PartPlace.After;
        e.Add(place, part.Kind, part.Choice, text.Span, part.NewToolIndex, part.NewToolId, part.NewToolName);
        return e.Parts.Length - 1;
    }

    private static bool Speaks(ChatEvent e, TagScanner scanner)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            bool same = part.Place == PartPlace.Original && part.Kind == scanner.Kind && part.Choice == scanner.Choice;
            if (same && !part.Removed && e.Text(part).Length > 0) return true;
        }

        return false;
    }

    private bool IsDisplaced(in EventPart part) => part.Place == PartPlace.Before ? _addedBefore : _addedAfter;

    private void Add(ChatEvent e, PartPlace place, int choice, PieceList pieces, int first, int skip)
    {
        for (int i = first; i < pieces.Count; i++)
        {
            Piece piece = pieces[i];
            ReadOnlySpan<byte> text = pieces.TextOf(piece);
            int said = Math.Min(skip, text.Length);
            skip -= said;
            text = text[said..];
            bool isCall = piece.Kind == PartKind.ToolCall;
            if (text.IsEmpty && piece.ToolName is null && piece.Kind != PartKind.Withdrawal) continue;
            e.Add(place, piece.Kind, choice, text, isCall ? piece.ToolIndex : null, piece.ToolId, piece.ToolName);
            if (place == PartPlace.Before) _addedBefore = true;
            else _addedAfter = true;
        }
    }
}
