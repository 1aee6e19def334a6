using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Tags;

/// <summary>What a scanner must do with bytes it cannot decide yet.</summary>
internal enum ScanEnd
{
    /// <summary>Leave them: more text will come.</summary>
    Open,

    /// <summary>There is no time or room to wait: what is doubtful is text.</summary>
    NoRoom,

    /// <summary>The text ends here because the model was done.</summary>
    Stopped,

    /// <summary>The text ends here because visible text or a real call begins behind it.</summary>
    Followed,

    /// <summary>The text ends here because it was cut.</summary>
    Cut,
}

/// <summary>Reads one channel's text and says what it is. It keeps what it could not decide in <see cref="Pending"/>.</summary>
internal abstract class TagScanner(PartKind kind, int choice) : IDisposable
{
    public int Choice => choice;

    public PartKind Kind => kind;

    /// <summary>Undecided bytes.</summary>
    public PooledBytes Pending { get; } = new(64);

    /// <summary>The undecided bytes as they stand in held events; empty when <see cref="Pending"/> was taken out of its event.</summary>
    public List<HeldSpan> Spans { get; } = [];

    /// <summary>What of this scanner's bytes the stream's hold limit was charged with.</summary>
    public int ChargedBytes { get; set; }

    /// <summary>Bytes that were read, and are not shown before it is known what they are.</summary>
    public virtual int WithheldBytes => 0;

    /// <summary>The scanner stands in ordinary text: undecided bytes may still turn out to be just that.</summary>
    public abstract bool InText { get; }

    /// <summary>What is undecided is a matter of time: it is shown when time is up. False inside a recognised tag, where only bytes count.</summary>
    public abstract bool IsDoubtful { get; }

    /// <summary>The quick way out: true when the text holds nothing of interest; it is then counted as read.</summary>
    public abstract bool PassesWhole(ReadOnlySpan<byte> text);

    /// <summary>Reads as much as can be decided and returns how much that was; with any end but <see cref="ScanEnd.Open"/> that is all of
    /// it.</summary>
    public abstract int Scan(ReadOnlySpan<byte> work, ScanEnd end, PieceList pieces);

    /// <summary>There is no room to withhold anything: it is said as the text it is so far.</summary>
    public virtual void ShowWithheld(PieceList pieces)
    {
    }

    public virtual void Dispose() => Pending.Dispose();
}
