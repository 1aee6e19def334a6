using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>The calls found in one choice, whichever channel they leaked into.</summary>
internal sealed class LeakedCalls(int choice, Func<string> mintId, RepairReport report, bool observes)
{
    public int NextIndex { get; private set; }

    public int Made { get; private set; }

    /// <summary>Some call's arguments were never finished.</summary>
    public bool Incomplete { get; set; }

    /// <summary>A real call was seen: those that are found count on from it.</summary>
    public void CountFrom(int index) => NextIndex = Math.Max(NextIndex, Math.Max(index, 0) + 1);

    public int Start(PieceList pieces, PartKind channel, string name, CallForm form, int bytes)
    {
        int index = NextIndex++;
        Made++;
        pieces.StartCall(index, mintId(), name);
        report.Note("leaked-calls", $"leaked-{form}", observes ? RepairAction.Observed : RepairAction.Converted,
            $"{choice}/{(channel == PartKind.Content ? "content" : "reasoning")}", bytes);
        return index;
    }
}
