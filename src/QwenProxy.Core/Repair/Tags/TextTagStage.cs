using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Tags;

/// <summary>
/// The frame of the stages that look for tags in text. While text is only doubtful (a tag may be beginning) its events wait whole, and pass
/// untouched when it was a false alarm. Once a tag is recognised events are edited and flow again; then only undecided bytes are kept.
/// </summary>
public abstract class TextTagStage : RepairStage, IDisposable
{
    private const int MaxHeldEvents = 1024;

    private readonly RepairContext _context;
    private readonly List<TagScanner> _scanners = [];
    private readonly HeldEvents _held = new();
    private readonly PieceList _pieces = new();
    private readonly EventWriter _writer = new();
    private readonly PooledBytes _work = new(256);
    private ChatEvent? _envelope;

    private protected TextTagStage(RepairContext context, RepairMode mode)
    {
        _context = context;
        Observes = mode == RepairMode.Observe;
    }

    /// <inheritdoc/>
    public override bool IsHolding
    {
        get
        {
            foreach (TagScanner scanner in _scanners)
            {
                if (scanner.Pending.Length > 0 && scanner.IsDoubtful && !Observes) return true;
            }

            return false;
        }
    }

    private protected bool Observes { get; }

    private protected RepairContext Context => _context;

    private protected List<TagScanner> Scanners => _scanners;

    public override void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind != EventKind.Chunk)
        {
            if (chatEvent.Kind != EventKind.Silent) EndAll();
            Next.Push(chatEvent);
            return;
        }

        KeepEnvelope(chatEvent);
        int count = chatEvent.Parts.Length;
        _writer.Start();
        _held.Start(chatEvent);
        for (PartPlace place = PartPlace.Before; place <= PartPlace.After; place++)
        {
            for (int i = 0; i < count; i++)
            {
                if (chatEvent.Parts[i].Place == place && !chatEvent.Parts[i].Removed) Visit(chatEvent, i);
            }
        }

        if (_held.Count >= MaxHeldEvents) LetGoAll(doubtfulOnly: false);
        _held.Release(Next);
        if (_held.Count == 0 && _held.OpenHere == 0) Next.Push(chatEvent);
        else _held.HoldCurrent();
    }

    public override void LetGo() => LetGoAll(doubtfulOnly: true);

    public override void Finish() => EndAll();

    public virtual void Dispose()
    {
        foreach (TagScanner scanner in _scanners) scanner.Dispose();
        _held.Dispose();
        _pieces.Dispose();
        _work.Dispose();
        _envelope?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The scanner that reads this part's text, or null when the stage has no business with it.</summary>
    private protected abstract TagScanner? ScannerOf(in EventPart part);

    /// <summary>A part that is no text: a role, a tool call, a finish reason. Texts that end with it have been ended.</summary>
    private protected virtual void VisitOther(ChatEvent chatEvent, int index)
    {
    }

    /// <summary>Called for a text part before it is read; true when the part was taken out.</summary>
    private protected virtual bool TakesOut(ChatEvent chatEvent, int index) => false;

    /// <summary>Says a text behind the event; what the event says later moves behind it.</summary>
    private protected void AddAfter(ChatEvent chatEvent, PartKind kind, int choice, ReadOnlySpan<byte> text) =>
        _writer.AddAfter(chatEvent, kind, choice, text);

    private void Visit(ChatEvent e, int index)
    {
        EventPart part = e.Parts[index];
        bool isText = part.Kind is PartKind.Content or PartKind.Reasoning;
        if (isText && TakesOut(e, index)) return;
        TagScanner? scanner = isText ? ScannerOf(part) : null;
        if (part.Kind == PartKind.Finish) EndChoice(e, index, EndOf(e, part), PartKind.Finish);
        else if (part.Kind == PartKind.ToolCall) EndChoice(e, index, ScanEnd.Followed, PartKind.Finish);
        else if (scanner?.Kind == PartKind.Content && HasWords(e.Text(part)))
        {
            // The answer begins: what was open in the thinking has ended.
            EndChoice(e, index, ScanEnd.Followed, PartKind.Reasoning);
        }

        index = _writer.KeepOrder(e, index);
        if (scanner is not null) VisitText(e, index, scanner);
        else if (!isText) VisitOther(e, index);
    }

    private static bool HasWords(ReadOnlySpan<byte> text) => !text.Trim(" \t\r\n"u8).IsEmpty;

    private static ScanEnd EndOf(ChatEvent e, in EventPart finish)
    {
        ReadOnlySpan<byte> reason = e.Text(finish);
        bool done = reason.SequenceEqual("stop"u8) || reason.SequenceEqual("tool_calls"u8) || reason.SequenceEqual("function_call"u8);
        return done ? ScanEnd.Stopped : ScanEnd.Cut;
    }

    private void VisitText(ChatEvent e, int index, TagScanner scanner)
    {
        ReadOnlySpan<byte> text = e.Text(e.Parts[index]);
        if (text.IsEmpty) return;
        if (scanner.PassesWhole(text)) return;
        _work.Clear();
        _work.Write(scanner.Pending.Span);
        _work.Write(text);
        _pieces.Clear(scanner.Kind);
        ScanEnd end = FinishIn(e, scanner);
        int consumed = scanner.Scan(_work.Span, end, _pieces);
        if (end == ScanEnd.Open && IsOverLimit(scanner, _work.Length - consumed) && scanner.WithheldBytes > 0)
        {
            Note("hold-limit", RepairAction.LetGo, scanner, scanner.WithheldBytes);
            scanner.ShowWithheld(_pieces);
        }

        if (end == ScanEnd.Open && IsOverLimit(scanner, _work.Length - consumed))
        {
            Note("hold-limit", RepairAction.LetGo, scanner, _work.Length - consumed);
            consumed += scanner.Scan(_work.Span[consumed..], ScanEnd.NoRoom, _pieces);
        }

        Settle(e, index, scanner, consumed);
    }

    private bool IsOverLimit(TagScanner scanner, int undecidedBytes) =>
        _context.HeldBytes - scanner.ChargedBytes + scanner.WithheldBytes + undecidedBytes > _context.HoldLimitBytes;

    /// <summary>Turns what the scanner said into a held event, an edited event or nothing at all.</summary>
    private void Settle(ChatEvent e, int index, TagScanner scanner, int consumed)
    {
        int pending = scanner.Pending.Length;
        bool detached = pending > 0 && scanner.Spans.Count == 0;
        int textLength = _work.Length - pending;
        ReadOnlySpan<byte> rest = _work.Span[consumed..];
        SetPending(scanner, rest);
        if (Observes) return;
        if (detached || _pieces.Broken || (rest.Length > 0 && !scanner.InText))
        {
            int kept = detached ? 0 : Math.Min(_pieces.LeadBytes, pending);
            CutHeld(scanner, kept);
            _writer.Replace(e, index, _pieces, kept);
            return;
        }

        _held.Keep(scanner.Spans, Math.Min(consumed, pending));
        if (rest.IsEmpty) return;
        int here = Math.Min(rest.Length, textLength);
        _held.Open(scanner.Spans, index, textLength - here, here);
        Note("possible-tag", RepairAction.Held, scanner, rest.Length);
    }

    private void CutHeld(TagScanner scanner, int kept)
    {
        _held.Keep(scanner.Spans, kept);
        _held.Cut(scanner.Spans);
        _held.Release(Next);
    }

    /// <summary>How this event ends the text that it continues: events may hold a whole answer.</summary>
    private static ScanEnd FinishIn(ChatEvent e, TagScanner scanner)
    {
        ScanEnd end = ScanEnd.Open;
        bool followed = false;
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Removed || part.Choice != scanner.Choice) continue;
            if (part.Kind == PartKind.Finish) end = EndOf(e, part);
            followed |= part.Kind == PartKind.ToolCall;
            followed |= part.Kind == PartKind.Content && scanner.Kind == PartKind.Reasoning && HasWords(e.Text(part));
        }

        return end == ScanEnd.Stopped && followed ? ScanEnd.Followed : end;
    }

    /// <summary>Ends a choice's texts before the part at <paramref name="index"/> is said.</summary>
    private void EndChoice(ChatEvent e, int index, ScanEnd end, PartKind only)
    {
        int choice = e.Parts[index].Choice;
        foreach (TagScanner scanner in _scanners)
        {
            if (scanner.Choice != choice || (only != PartKind.Finish && scanner.Kind != only)) continue;
            if (scanner.Pending.Length > 0 || !scanner.InText) EndOne(scanner, end, e, index);
        }
    }

    /// <summary>Ends the text of one channel before the part at <paramref name="index"/> is said.</summary>
    private protected void EndBefore(ChatEvent e, int index, TagScanner scanner) => EndOne(scanner, ScanEnd.Followed, e, index);

    /// <summary>Decides everything that is pending in one channel; what has to be said goes before the event at hand, or into the envelope.</summary>
    private void EndOne(TagScanner scanner, ScanEnd end, ChatEvent? e, int index)
    {
        int pending = scanner.Pending.Length;
        bool detached = pending > 0 && scanner.Spans.Count == 0;
        _work.Clear();
        _work.Write(scanner.Pending.Span);
        _pieces.Clear(scanner.Kind);
        scanner.Scan(_work.Span, end, _pieces);
        SetPending(scanner, default);
        if (Observes) return;
        int kept = detached ? 0 : Math.Min(_pieces.LeadBytes, pending);
        _held.Keep(scanner.Spans, kept);
        _held.Cut(scanner.Spans);
        if (e is not null)
        {
            _writer.AddAhead(e, index, scanner, _pieces, kept);
            return;
        }

        _held.Release(Next);
        if (_envelope is null) return;
        _envelope.BecomeEnvelope();
        _writer.AddTo(_envelope, scanner, _pieces, kept);
        if (_envelope.Parts.Length > 0) Next.Push(_envelope);
    }

    private void EndAll()
    {
        foreach (TagScanner scanner in _scanners)
        {
            if (scanner.Pending.Length > 0 || !scanner.InText) EndOne(scanner, ScanEnd.Cut, null, 0);
        }

        _held.Release(Next);
    }

    private void LetGoAll(bool doubtfulOnly)
    {
        foreach (TagScanner scanner in _scanners)
        {
            if (scanner.Pending.Length == 0 || (doubtfulOnly && !scanner.IsDoubtful)) continue;
            if (!Observes) Note("time", RepairAction.LetGo, scanner, scanner.Pending.Length);
            EndOne(scanner, ScanEnd.NoRoom, null, 0);
        }

        _held.Release(Next);
    }

    private void SetPending(TagScanner scanner, ReadOnlySpan<byte> rest)
    {
        scanner.Pending.Clear();
        scanner.Pending.Write(rest);
        if (Observes) return;
        _context.HeldBytes -= scanner.ChargedBytes;
        scanner.ChargedBytes = rest.Length + scanner.WithheldBytes;
        _context.HeldBytes += scanner.ChargedBytes;
    }

    /// <summary>One copy per stream serves: id, model and created are the same on every event.</summary>
    private void KeepEnvelope(ChatEvent e)
    {
        if (_envelope is not null || Observes || e.ChoiceCount == 0) return;
        _envelope = ChatEvent.Rent();
        _envelope.CopyFrom(e);
    }

    private void Note(string rule, RepairAction action, TagScanner scanner, int bytes) =>
        _context.Report.Note(Name, rule, action, scanner.Kind == PartKind.Content ? "content" : "reasoning", bytes);
}
