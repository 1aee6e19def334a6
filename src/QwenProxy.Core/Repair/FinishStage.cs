using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair;

/// <summary>
/// A finish reason is final only when nothing follows it. The event that carries one waits for the next event; when its choice speaks again the
/// reason was none, and when another reason comes it takes the first one's place. So whoever stands behind this stage, repair and encoders alike,
/// meets one finish reason per choice, after its last words. Waiting costs nothing: the next event of a healthy stream is its end.
/// </summary>
/// <remarks>
/// The first stage, and never switched off: that a stream is told apart from its beginning is no repair. With several choices the end of one does
/// not wait for the others, since their words would have to wait with it.
/// </remarks>
public sealed class FinishStage(RepairContext context) : RepairStage, IDisposable
{
    /// <summary>Comments and reports behind a finish reason; with more of them it is the end.</summary>
    private const int MaxHeldEvents = 16;

    private readonly EventQueue _held = new();
    private readonly SortedDictionary<int, byte[]> _withdrawn = [];
    private ChatEvent? _envelope;
    private ulong _spoke;
    private ulong _ended;
    private ulong _everEnded;
    private ulong _waiting;
    private bool _wordsWait;
    private bool _reportWaits;

    public override string Name => "ends";

    /// <summary>Every choice that spoke has a finish reason that nothing has followed.</summary>
    public bool IsFinished => _ended != 0 && _ended == _spoke;

    /// <summary>The same, where the end mark has come: then a reason given too early counts, for there is nothing it could be waiting for.</summary>
    public bool IsFinishedAtMark => _everEnded != 0 && _everEnded == _spoke;

    /// <summary>A finish reason of this stream was followed by words: silence behind another one says little.</summary>
    public bool WasEarly { get; private set; }

    /// <summary>Words that came with their finish reason wait with it, and so does the reason once usage was reported; a reason alone waits for its event.</summary>
    public override bool IsHolding => _wordsWait || _reportWaits;

    public override void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind == EventKind.Chunk) Take(chatEvent);
        else if (chatEvent.Kind == EventKind.Silent && _held.Count > 0) Hold(chatEvent);
        else Next.Push(chatEvent);
    }

    /// <summary>Words do not wait longer than anywhere else, and behind a usage report hardly anything comes: what is certain goes.</summary>
    public override void LetGo()
    {
        if (_reportWaits) Release();
        else if (_wordsWait) PassWords();
    }

    /// <summary>The stream is complete. A reason that was given too early and never again is said now.</summary>
    public override void Finish()
    {
        Release();
        if (_envelope is null) return;
        _envelope.BecomeEnvelope();
        foreach ((int choice, byte[] reason) in _withdrawn)
        {
            if ((_ended & Bit(choice)) == 0) _envelope.Add(PartPlace.Before, PartKind.Finish, choice, reason);
        }

        _withdrawn.Clear();
        if (_envelope.Parts.Length > 0) Next.Push(_envelope);
    }

    public void Dispose()
    {
        _held.Dispose();
        _envelope?.Dispose();
    }

    private static ulong Bit(int choice) => 1UL << (choice & 63);

    private void Take(ChatEvent e)
    {
        ulong words = 0, ends = 0;
        foreach (ref readonly EventPart part in e.Parts)
        {
            ulong choice = Bit(part.Choice);
            _spoke |= choice;
            if (part.Kind == PartKind.Finish && !part.Removed) ends |= choice;
            else if (e.Speaks(part)) words |= choice;
        }

        WasEarly |= (words & _ended) != 0;
        if (_waiting != 0) Judge(words, ends);
        _ended = (_ended & ~words) | ends;
        _everEnded |= ends;
        if (ends == 0 && _waiting == 0)
        {
            Next.Push(e);
            return;
        }

        _waiting |= ends;
        _wordsWait |= words != 0;
        _reportWaits |= e.IsUsageOnly;
        Hold(e);
    }

    /// <summary>What a new event means for the reasons that wait.</summary>
    private void Judge(ulong words, ulong ends)
    {
        ulong none = (words | ends) & _waiting;
        if (none != 0) Withdraw(none);
        if (_waiting == 0 || (words & ~none) != 0) Release();
    }

    private void Withdraw(ulong choices)
    {
        _waiting &= ~choices;
        for (int at = 0; at < _held.Count; at++)
        {
            ChatEvent held = _held[at];
            for (int i = 0; i < held.Parts.Length; i++)
            {
                EventPart part = held.Parts[i];
                if (part.Kind != PartKind.Finish || part.Removed || (Bit(part.Choice) & choices) == 0) continue;
                _withdrawn[part.Choice] = held.Text(part).ToArray();
                if (_envelope is null) (_envelope = ChatEvent.Rent()).CopyFrom(held);
                held.Remove(i);
                context.Report.Note(Name, "finish-not-last", RepairAction.Removed, $"{part.Choice}/finish", 0);
            }
        }
    }

    private void Hold(ChatEvent e)
    {
        _held.Add(e);
        if (_held.Count >= MaxHeldEvents || _held.Bytes > context.HoldLimitBytes + _held[0].Raw.Length) Release();
    }

    private void Release()
    {
        _waiting = 0;
        _wordsWait = _reportWaits = false;
        _held.Release(Next);
    }

    /// <summary>The words go and their finish reason stays, in an event of its own. Only the first event that waits can have words.</summary>
    private void PassWords()
    {
        ChatEvent spoken = _held[0];
        using ChatEvent words = ChatEvent.Rent();
        words.CopyFrom(spoken);
        spoken.BecomeEnvelope();
        for (int i = 0; i < words.Parts.Length; i++)
        {
            EventPart part = words.Parts[i];
            if (part.Kind != PartKind.Finish || part.Removed) continue;
            spoken.Add(PartPlace.Before, PartKind.Finish, part.Choice, words.Text(part));
            words.Remove(i);
        }

        _wordsWait = false;
        Next.Push(words);
    }
}
