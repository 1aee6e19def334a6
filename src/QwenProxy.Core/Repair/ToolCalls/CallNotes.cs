using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Where the decisions about calls are noted, and the event in which words travel that no event is at hand for.</summary>
internal sealed class CallNotes(RepairContext context, bool observes) : IDisposable
{
    public ChatEvent? Envelope { get; private set; }

    public void Note(string rule, RepairAction action, int bytes) =>
        context.Report.Note("tool-deltas", rule, observes ? RepairAction.Observed : action, "tools", bytes);

    public void CountHeld(int bytes)
    {
        if (!observes) context.HeldBytes += bytes;
    }

    /// <summary>One copy per stream serves: id, model and created are the same on every event.</summary>
    public void KeepEnvelope(ChatEvent e)
    {
        if (Envelope is null) (Envelope = ChatEvent.Rent()).CopyFrom(e);
    }

    public void Dispose() => Envelope?.Dispose();
}
