using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair;

/// <summary>
/// Stops a stream in which the model repeats one block without end. Off unless the user asks for it, since a text may repeat on purpose.
/// It ends every open choice with the finish reason <c>length</c>, which says the truth that matters (the answer was cut, not finished)
/// in a word every client knows; then it says nothing more and sets <see cref="Triggered"/>. Tool arguments are never judged: data repeats.
/// </summary>
public sealed class LoopGuardStage(RepairContext context, RepairMode mode) : RepairStage, IDisposable
{
    private readonly List<LoopWatch> _watches = [];
    private readonly List<int> _finished = [];

    public override string Name => "loop-guard";

    /// <summary>A loop was found and the stream ended: whoever drives the chain may cancel the upstream request.</summary>
    public bool Triggered { get; private set; }

    public override void Push(ChatEvent chatEvent)
    {
        if (Triggered)
        {
            if (chatEvent.Kind != EventKind.Chunk || chatEvent.IsUsageOnly) Next.Push(chatEvent);
            return;
        }

        bool loops = false;
        if (chatEvent.Kind == EventKind.Chunk)
        {
            foreach (ref readonly EventPart part in chatEvent.Parts)
            {
                if (part.Removed) continue;
                if (part.Kind == PartKind.Finish) _finished.Add(part.Choice);
                else if (part.Kind is PartKind.Content or PartKind.Reasoning) loops |= Watch(chatEvent, part);
            }
        }

        if (loops) Stop(chatEvent);
        Next.Push(chatEvent);
    }

    public void Dispose()
    {
        foreach (LoopWatch watch in _watches) watch.Dispose();
    }

    private bool Watch(ChatEvent e, in EventPart part)
    {
        LoopWatch? watch = null;
        foreach (LoopWatch known in _watches)
        {
            if (known.Choice == part.Choice && known.Kind == part.Kind) watch = known;
        }

        if (watch is null) _watches.Add(watch = new LoopWatch(part.Choice, part.Kind));
        if (!watch.Loops(e.Text(part), out int period)) return false;
        string channel = part.Kind == PartKind.Content ? "content" : "reasoning";
        bool observes = mode == RepairMode.Observe;
        context.Report.Note(Name, "loop", observes ? RepairAction.Observed : RepairAction.Added, $"{part.Choice}/{channel}", period,
            $"period={period}");
        return !observes;
    }

    private void Stop(ChatEvent e)
    {
        Triggered = true;
        foreach (LoopWatch watch in _watches)
        {
            if (_finished.Contains(watch.Choice)) continue;
            _finished.Add(watch.Choice);
            e.Add(PartPlace.After, PartKind.Finish, watch.Choice, "length"u8);
        }
    }
}

/// <summary>Looks at the end of one text for a block that repeats. It looks once per few kilobytes, so that its cost per byte stays small.</summary>
internal sealed class LoopWatch(int choice, PartKind kind) : IDisposable
{
    /// <summary>A repeated block counts when it is a line or longer, this often, over this much text.</summary>
    public const int MinRepeats = 24;
    public const int MinLoopBytes = 4096;

    /// <summary>A shorter block ("!!!!", "ha ha") is a rule or a joke until it fills this much.</summary>
    public const int MinShortLoopBytes = 16 * 1024;
    public const int MinBlockBytes = 24;

    private const int WindowBytes = 32 * 1024;
    private const int StepBytes = 2048;

    /// <summary>It grows with the text: a stream of few words must not hold kilobytes for as long as it waits.</summary>
    private readonly PooledBytes _window = new(256);
    private int[] _matches = [];
    private int _sinceLook;
    private bool _reported;

    public int Choice => choice;

    public PartKind Kind => kind;

    /// <summary>True once, when the text now ends in a loop.</summary>
    public bool Loops(ReadOnlySpan<byte> text, out int period)
    {
        period = 0;
        if (_reported) return false;
        _window.Write(text);
        _sinceLook += text.Length;
        if (_sinceLook < StepBytes || _window.Length < MinLoopBytes) return false;
        _sinceLook = 0;
        if (_window.Length > WindowBytes) _window.Consume(_window.Length - WindowBytes);
        period = FindPeriod();
        _reported = period > 0;
        return _reported;
    }

    public void Dispose() => _window.Dispose();

    /// <summary>
    /// Reads the window backwards: with Z[p] = how far the reversed text agrees with itself moved by p, the last Z[p] + p bytes have period p.
    /// The smallest period that is long enough decides.
    /// </summary>
    private int FindPeriod()
    {
        ReadOnlySpan<byte> text = _window.Span;
        int length = text.Length;
        if (_matches.Length == 0) _matches = new int[(WindowBytes / MinRepeats) + 1];
        int left = 0, right = 0;
        int limit = length / MinRepeats;
        for (int i = 1; i <= limit; i++)
        {
            int match = i < right ? Math.Min(right - i, _matches[i - left]) : 0;
            while (i + match < length && text[length - 1 - match] == text[length - 1 - i - match]) match++;
            _matches[i] = match;
            if (i + match > right)
            {
                left = i;
                right = i + match;
            }

            if (match + i < MinLoopBytes || match + i < (long)i * MinRepeats) continue;
            // The first period found is the block itself; its multiples are the same loop.
            bool isLine = text[(length - i)..].Contains((byte)'\n') && !text[(length - i)..].Trim(" \t\r\n"u8).IsEmpty;
            return i >= MinBlockBytes || isLine || match + i >= MinShortLoopBytes ? i : 0;
        }

        return 0;
    }
}
