using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;

namespace QwenProxy.Core.Resume;

/// <summary>
/// The last stage of a stream that continues a broken answer. It swallows what the client has already and passes on the rest, splitting inside
/// an event where the seam lies there. At the first difference it passes on nothing more and says so: the client is then told of a failure.
/// <para>Thinking is not compared once text has begun (it is over, and a second run of it would be shown twice), and before that only to find
/// where it goes on: thinking that takes another course is swallowed, since the text alone is the answer.</para>
/// </summary>
public sealed class ReplayVerifier : RepairStage, IDisposable
{
    private readonly SortedDictionary<int, ChoiceReplay> _choices = [];
    private readonly UsageSum _usage;
    private readonly RepairReport? _report;
    private readonly ChatEvent _carrier = ChatEvent.Rent();
    private bool _carrierFilled;
    private bool _noted;

    /// <param name="sent">What the client has, recorded behind this stage and growing as it passes events on.</param>
    /// <param name="way">How the new stream was asked for.</param>
    /// <param name="usage">What earlier streams of the answer used.</param>
    /// <param name="report">Where the seam is noted.</param>
    public ReplayVerifier(SentAnswer sent, ResumeWay way, UsageSum usage, RepairReport? report = null)
    {
        foreach (SentChoice choice in sent.Choices) _choices.Add(choice.Index, new ChoiceReplay(choice, way));
        _usage = usage;
        _report = report;
        ContinuesText = way == ResumeWay.Prefill;
    }

    /// <summary>The new stream begins in the middle of the answer.</summary>
    public bool ContinuesText { get; }

    public override string Name => "resume";

    /// <summary>Where the new answer differs from the old one, e.g. <c>0/content</c>; null while it does not.</summary>
    public string? Mismatch { get; private set; }

    /// <summary>The new stream has repeated all that was sent; what comes now is new.</summary>
    public bool IsCaughtUp => Mismatch is null && _choices.Values.All(c => c.IsCaughtUp);

    public override void Push(ChatEvent chatEvent)
    {
        if (Mismatch is not null) return;
        if (chatEvent.Kind == EventKind.Done && !IsCaughtUp) Mismatch = "end";
        else if (chatEvent.Kind == EventKind.Chunk) PushChunk(chatEvent);
        else Next.Push(chatEvent);
    }

    /// <summary>A possible echo of the prefix is not let go by time: shown too early it would be text shown twice.</summary>
    public override void LetGo()
    {
    }

    public override void Finish()
    {
        if (Mismatch is not null || !_carrierFilled) return;
        foreach (ref EventPart part in _carrier.Parts) part.Removed = true;
        bool any = false;
        foreach (ChoiceReplay choice in _choices.Values) any |= choice.FlushHeld(_carrier);
        if (any) Next.Push(_carrier);
    }

    public void Dispose() => _carrier.Dispose();

    private void PushChunk(ChatEvent e)
    {
        // What the client is shown is what all streams of the answer cost.
        if (!e.UsageJson.IsEmpty && _usage.HasEarlier && _usage.Total(e.UsageJson) is { } total) e.SetUsage(total);
        bool wasCaughtUp = IsCaughtUp;
        for (int i = 0; i < e.Parts.Length; i++)
        {
            EventPart part = e.Parts[i];
            if (part.Removed || !_choices.TryGetValue(part.Choice, out ChoiceReplay? choice)) continue;
            Mismatch = choice.Take(e, i);
            if (Mismatch is not null) return;
        }

        foreach (ChoiceReplay choice in _choices.Values)
        {
            choice.FlushBeforeOthers(e);
            if (!choice.IsHolding || _carrierFilled) continue;
            // Should the stream end in doubt, what is held needs an event to travel in.
            _carrier.CopyFrom(e);
            _carrierFilled = true;
        }

        KeepRoleOnlyWithWords(e);
        bool caughtUp = IsCaughtUp;
        if (caughtUp && !_noted)
        {
            _noted = true;
            int bytes = _choices.Values.Sum(c => c.RepeatedBytes);
            _report?.Note(Name, "R1-repeated", bytes > 0 ? RepairAction.Removed : RepairAction.Observed, "0/content", bytes);
        }

        if (Speaks(e) || (caughtUp && (wasCaughtUp || !e.Usage.IsEmpty) && NothingRemoved(e))) Next.Push(e);
    }

    /// <summary>A role beside words may stay (upstreams repeat it); one that would be alone goes, for the client has it.</summary>
    private void KeepRoleOnlyWithWords(ChatEvent e)
    {
        for (int i = 0; i < e.Parts.Length; i++)
        {
            EventPart role = e.Parts[i];
            if (role.Kind != PartKind.Role || role.Removed || !_choices.TryGetValue(role.Choice, out ChoiceReplay? choice)) continue;
            if (choice.RoleSent && !HasWords(e, role.Choice)) e.Remove(i);
        }
    }

    private static bool HasWords(ChatEvent e, int choice)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Removed || part.Choice != choice || part.Kind == PartKind.Role) continue;
            if (part.Kind is PartKind.Finish or PartKind.ToolCall || !e.Text(part).IsEmpty) return true;
        }

        return false;
    }

    private static bool Speaks(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Removed) continue;
            if (part.Kind is PartKind.Finish or PartKind.ToolCall or PartKind.Role || !e.Text(part).IsEmpty) return true;
        }

        return false;
    }

    private static bool NothingRemoved(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Removed) return false;
        }

        return true;
    }
}
