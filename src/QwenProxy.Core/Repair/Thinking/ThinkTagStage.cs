using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>
/// Makes thinking of what stands between <c>&lt;think&gt;</c> tags at the start of the content, takes out a closing tag that nothing opened
/// (text already
/// shown stays text), and shows thinking that upstream sends in two fields at once in one of them, <c>reasoning_content</c>.
/// </summary>
public sealed class ThinkTagStage(RepairContext context, RepairMode mode) : TextTagStage(context, mode)
{
    private readonly PooledBytes _text = new(64);

    public override string Name => "think-tags";

    public override void Dispose()
    {
        _text.Dispose();
        base.Dispose();
    }

    private protected override TagScanner? ScannerOf(in EventPart part) => part.Kind == PartKind.Content ? ScannerOf(part.Choice) : null;

    private protected override bool TakesOut(ChatEvent chatEvent, int index)
    {
        EventPart part = chatEvent.Parts[index];
        if (part.Kind != PartKind.Reasoning) return false;
        if (chatEvent.Text(part).IsEmpty) return false;
        ScannerOf(part.Choice).ThinkingSeen = true;
        if (part.Field.IsEmpty || !part.Field.In(chatEvent.Data.Span).SequenceEqual("reasoning"u8)) return false;
        _text.Clear();
        _text.Write(chatEvent.Text(part));
        if (IsMirrored(chatEvent, part.Choice))
        {
            Note("mirrored", RepairAction.Removed);
            if (!Observes) chatEvent.Remove(index);
            return !Observes;
        }

        if (!Context.UnifyReasoning || HasReasoningContent(chatEvent, part.Choice)) return false;
        Note("renamed", RepairAction.Rewritten);
        if (Observes) return false;
        // What is added is said under the field's usual name, and later parts of the event keep their place behind it.
        chatEvent.Remove(index);
        AddAfter(chatEvent, PartKind.Reasoning, part.Choice, _text.Span);
        return true;
    }

    private bool IsMirrored(ChatEvent e, int choice)
    {
        foreach (ref readonly EventPart other in e.Parts)
        {
            if (IsReasoningContent(e, other, choice) && e.Text(other).SequenceEqual(_text.Span)) return true;
        }

        return false;
    }

    private static bool HasReasoningContent(ChatEvent e, int choice)
    {
        foreach (ref readonly EventPart other in e.Parts)
        {
            if (IsReasoningContent(e, other, choice) && e.Text(other).Length > 0) return true;
        }

        return false;
    }

    private static bool IsReasoningContent(ChatEvent e, in EventPart part, int choice) =>
        part.Kind == PartKind.Reasoning && part.Choice == choice && !part.Removed && !part.Field.IsEmpty &&
        part.Field.In(e.Data.Span).SequenceEqual("reasoning_content"u8);

    private void Note(string rule, RepairAction action) =>
        Context.Report.Note(Name, rule, Observes ? RepairAction.Observed : action, "reasoning", _text.Length);

    private ThinkTagScanner ScannerOf(int choice)
    {
        foreach (TagScanner known in Scanners)
        {
            if (known.Choice == choice) return (ThinkTagScanner)known;
        }

        return NewScanner(choice);
    }

    /// <summary>On its own, so that the callback's capture costs nothing on the way above, which every event takes.</summary>
    private ThinkTagScanner NewScanner(int choice)
    {
        ThinkTagScanner scanner = new(choice, (rule, bytes) =>
            Context.Report.Note(Name, rule, Observes ? RepairAction.Observed : RepairAction.Converted, $"{choice}/content", bytes));
        Scanners.Add(scanner);
        return scanner;
    }
}
