using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>
/// Makes real tool calls of calls that upstream let through as text or thinking: <c>&lt;tool_call&gt;{json}&lt;/tool_call&gt;</c>, the same around
/// <c>&lt;function=NAME&gt;&lt;parameter=K&gt;…</c>, the bare form, and forms left open. Only for tools the request declares; calls in code stay
/// text.
/// Without declared tools every event passes untouched. Put it before <see cref="ToolDeltaStage"/>, which settles the indexes of mixed calls.
/// </summary>
/// <param name="context">Gives the declared tools, the limit and the report.</param>
/// <param name="mode">On or observe.</param>
/// <param name="mintId">A new tool call id, e.g. <c>call_…</c>, different each time.</param>
public sealed class LeakedCallStage(RepairContext context, RepairMode mode, Func<string> mintId) : TextTagStage(context, mode)
{
    private readonly DeclaredTools _tools = context.DeclaredTools;
    private readonly List<LeakedCalls> _choices = [];

    public override string Name => "leaked-calls";

    private protected override TagScanner? ScannerOf(in EventPart part)
    {
        if (_tools.IsEmpty) return null;
        foreach (TagScanner known in Scanners)
        {
            if (known.Choice == part.Choice && known.Kind == part.Kind) return known;
        }

        LeakedCallScanner scanner = new(part.Kind, part.Choice, _tools, CallsOf(part.Choice), Context.HoldLimitBytes);
        Scanners.Add(scanner);
        return scanner;
    }

    private protected override void VisitOther(ChatEvent chatEvent, int index)
    {
        if (_tools.IsEmpty) return;
        EventPart part = chatEvent.Parts[index];
        LeakedCalls calls = CallsOf(part.Choice);
        if (part.Kind == PartKind.ToolCall)
        {
            calls.NextIndex = Math.Max(calls.NextIndex, Math.Max(part.NewToolIndex ?? part.ToolIndex, 0) + 1);
            return;
        }

        if (part.Kind != PartKind.Finish || calls.Made == 0 || Observes) return;
        ReadOnlySpan<byte> reason = chatEvent.Text(part);
        bool stop = reason.SequenceEqual("stop"u8);
        if (calls.Incomplete && (stop || reason.SequenceEqual("tool_calls"u8))) chatEvent.SetText(index, "length"u8);
        else if (stop) chatEvent.SetText(index, "tool_calls"u8);
    }

    private LeakedCalls CallsOf(int choice)
    {
        foreach (LeakedCalls known in _choices)
        {
            if (known.Choice == choice) return known;
        }

        LeakedCalls calls = new(choice, Observes ? static () => "" : mintId, Context.Report, Observes);
        _choices.Add(calls);
        return calls;
    }
}

/// <summary>The calls found in one choice, whichever channel they leaked into.</summary>
internal sealed class LeakedCalls(int choice, Func<string> mintId, RepairReport report, bool observes)
{
    public int Choice => choice;

    public int NextIndex { get; set; }

    public int Made { get; private set; }

    /// <summary>Some call's arguments were never finished.</summary>
    public bool Incomplete { get; set; }

    public int Start(PieceList pieces, PartKind kind, in CallOpening opening)
    {
        int index = NextIndex++;
        Made++;
        pieces.StartCall(index, mintId(), opening.Name);
        string channel = kind == PartKind.Content ? "content" : "reasoning";
        report.Note("leaked-calls", $"leaked-{opening.Form}", observes ? RepairAction.Observed : RepairAction.Converted, $"{choice}/{channel}",
            opening.Length);
        return index;
    }
}
