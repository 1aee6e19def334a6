using System.Globalization;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair.Stutter;

/// <summary>What one stream teaches about its upstream.</summary>
public enum StutterOutcome : byte
{
    /// <summary>Too little text, or left open.</summary>
    Unknown,
    Clean,
    Proven,
}

/// <summary>
/// Takes out text that an upstream says twice. The first text of a channel is never held; on a healthy stream the second delta refutes the
/// suspicion and the channel passes through from there on. A byte is removed only under a named rule; without one it is sent twice.
/// </summary>
/// <param name="context">The stream's settings and report.</param>
/// <param name="mode">What the stage may act on.</param>
/// <param name="tokensOfBytes">Estimates tokens from bytes of text for <see cref="Audit"/>;
/// null takes <see cref="StutterAudit.EstimateTokens"/>.</param>
public sealed class StutterStage(RepairContext context, StutterMode mode, Func<long, long>? tokensOfBytes = null) : RepairStage
{
    private const int MostHeldTexts = 3;
    private const int MostHeldEvents = 12;
    private const int MostChannels = 256;

    private readonly StutterRun _run = new(context, mode);
    private readonly List<StutterChannel> _channels = new(2);
    private readonly bool _active = mode != StutterMode.Off && context.Deltas != DeltaHabit.Incremental;
    private EventClock _clock = EventClock.New();

    public override string Name => StutterRun.StageName;

    public override bool IsHolding => _run.Count > 0;

    /// <summary>To be read once the stream has ended.</summary>
    public StutterAudit Audit =>
        StutterAudit.Of(_clock.CompletionTokens, _run.RawBytes, _run.RemovedBytes, tokensOfBytes ?? StutterAudit.EstimateTokens);

    /// <summary>To be read once the stream has ended, and given to <see cref="StutterPrior"/>.</summary>
    public StutterOutcome Outcome
    {
        get
        {
            StutterOutcome outcome = StutterOutcome.Unknown;
            foreach (StutterChannel channel in _channels)
            {
                if (channel.WasProvenByItself) return StutterOutcome.Proven;
                if (channel.WasProven) return StutterOutcome.Unknown;
                if (channel.WasClean) outcome = StutterOutcome.Clean;
            }

            return outcome;
        }
    }

    public override void Push(ChatEvent chatEvent)
    {
        if (!_active)
        {
            Next.Push(chatEvent);
            return;
        }

        _run.Begin(chatEvent);
        int textBytes = 0;
        if (chatEvent.Kind == EventKind.Chunk) textBytes = Examine(chatEvent);
        else if (chatEvent.Kind != EventKind.Silent) EndAll();
        _run.Pass(chatEvent, Next, textBytes);
        if (_run.Count > 0) KeepWithinLimits();
    }

    public override void LetGo()
    {
        foreach (StutterChannel channel in _channels) channel.LetGo("time", timeIsUp: true);
        _run.FlushReady(Next);
    }

    public override void Finish()
    {
        EndAll();
        _run.FlushReady(Next);
        _run.Release();
        _clock.Release();
    }

    private int Examine(ChatEvent e)
    {
        int textBytes = 0;
        EventMarks marks = _clock.Read(e, HasText(e));
        int count = e.Parts.Length;
        for (int i = 0; i < count; i++)
        {
            ref readonly EventPart part = ref e.Parts[i];
            if (part.Removed) continue;
            if (part.Kind == PartKind.Finish) EndChoice(part.Choice, marks);
            if (part.Kind is not (PartKind.Content or PartKind.Reasoning or PartKind.ToolCall)) continue;
            bool again = marks.FrameRepeated && marks.IdsCount;
            StutterChannel? channel = again ? Find(part) : ChannelOf(e, part);
            if (channel is null) continue;
            if (again) textBytes += Repeat(channel, e, i);
            else if (HasText(part)) textBytes += Offer(channel, e, i, marks);
        }

        _run.RawBytes += textBytes;
        return textBytes;
    }

    private static int Repeat(StutterChannel channel, ChatEvent e, int part)
    {
        int bytes = HasText(e.Parts[part]) ? e.Text(e.Parts[part]).Length : 0;
        channel.Repeat(part, bytes);
        return bytes;
    }

    /// <summary>The text is read last: deciding what waits may read other texts of the same event.</summary>
    private int Offer(StutterChannel channel, ChatEvent e, int part, in EventMarks marks)
    {
        EndOthers(channel, marks);
        channel.Weigh(marks);
        ReadOnlySpan<byte> text = e.Text(e.Parts[part]);
        channel.Offer(part, text, marks);
        return text.Length;
    }

    private static bool HasText(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (HasText(part)) return true;
        }

        return false;
    }

    /// <summary>By the length of the JSON token: two quotes are no text.</summary>
    private static bool HasText(in EventPart part) => part.Kind switch
    {
        PartKind.Content or PartKind.Reasoning => part.HasNewText ? part.NewText.Length > 0 : part.Value.Length > 2,
        PartKind.ToolCall => part.HasNewText ? part.NewText.Length > 0 : part.ToolArguments.Length > 2,
        _ => false,
    };

    /// <summary>
    /// Three events with text, or the byte limit, whichever is first; events that say nothing wait behind them. Arguments that JSON still judges
    /// may wait for the limit in bytes.
    /// </summary>
    private void KeepWithinLimits()
    {
        bool fewEvents = _run.HeldTexts <= MostHeldTexts && _run.Count <= MostHeldEvents;
        bool fewBytes = _run.HeldBytes <= context.HoldLimitBytes;
        if (fewEvents && fewBytes) return;
        foreach (StutterChannel channel in _channels)
        {
            if (!fewBytes || !channel.MayWaitLong) channel.LetGo("limit");
        }

        _run.FlushReady(Next);
    }

    private StutterChannel? ChannelOf(ChatEvent e, in EventPart part)
    {
        if (Find(part) is { } known)
        {
            if (part.Kind != PartKind.ToolCall || !BeginsAnotherCall(e, part, known)) return known;
            known.End();
        }

        if (_channels.Count == MostChannels) return null;
        StutterChannel created = new(_run, part.Choice, part.Kind, KeyOf(part), NameOf(part));
        if (part.Kind == PartKind.ToolCall)
        {
            if (part.ToolId.Length > 2) created.ToolId = e.Plain(part.ToolId).ToArray();
            if (part.ToolName.Length > 2) created.ToolName = e.Plain(part.ToolName).ToArray();
        }

        _channels.Add(created);
        return created;
    }

    private StutterChannel? Find(in EventPart part)
    {
        int key = KeyOf(part);
        for (int i = _channels.Count - 1; i >= 0; i--)
        {
            StutterChannel channel = _channels[i];
            if (channel.Kind == part.Kind && channel.Choice == part.Choice && channel.Key == key) return channel;
        }

        return null;
    }

    /// <summary>A mirrored answer says its thinking in two fields of one event: each is a channel of its own, told apart by the name's length.</summary>
    private static int KeyOf(in EventPart part) =>
        part.Kind == PartKind.ToolCall ? part.ToolIndex : part.Kind == PartKind.Reasoning ? part.Field.Length : 0;

    /// <summary>
    /// Some upstreams put several calls on one index: another id, or a name where there is no id, begins a new call. A restated piece may say its
    /// name again.
    /// </summary>
    private static bool BeginsAnotherCall(ChatEvent e, in EventPart part, StutterChannel channel)
    {
        if (part.ToolId.Length > 2)
        {
            ReadOnlySpan<byte> id = e.Plain(part.ToolId);
            if (channel.ToolId.Length > 0) return !id.SequenceEqual(channel.ToolId);
            channel.ToolId = id.ToArray();
            return false;
        }

        if (part.ToolName.Length <= 2 || !channel.HasText) return false;
        return !e.Plain(part.ToolName).SequenceEqual(channel.ToolName) || !channel.IsSaidAgainBy(e.Text(part));
    }

    private static string NameOf(in EventPart part)
    {
        string what = part.Kind switch
        {
            PartKind.Content => "content",
            PartKind.Reasoning => "reasoning",
            _ => string.Create(CultureInfo.InvariantCulture, $"tool{Math.Max(part.ToolIndex, 0)}"),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{part.Choice}/{what}");
    }

    /// <summary>Thinking is over when the answer begins, and a call when the next one does: what waits there learns nothing more.</summary>
    private void EndOthers(StutterChannel speaking, in EventMarks marks)
    {
        foreach (StutterChannel channel in _channels)
        {
            if (channel == speaking || !channel.IsHolding || channel.Choice != speaking.Choice) continue;
            if (channel.Kind == PartKind.Reasoning && speaking.Kind == PartKind.Reasoning) continue;
            channel.Weigh(marks);
            channel.End();
        }
    }

    private void EndChoice(int choice, in EventMarks marks)
    {
        foreach (StutterChannel channel in _channels)
        {
            if (channel.Choice != choice) continue;
            // A finish event is no body event: its own key order says nothing about the ones that wait.
            channel.Weigh(marks with { Marked = true });
            channel.End();
        }
    }

    private void EndAll()
    {
        foreach (StutterChannel channel in _channels) channel.End();
    }
}
