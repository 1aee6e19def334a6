using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Tags;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>Which tags are looked for in text.</summary>
[Flags]
public enum TextTags
{
    None = 0,

    /// <summary><c>&lt;think&gt;</c> in the content, and thinking that upstream sends in two fields at once.</summary>
    Thinking = 1,

    /// <summary>Tool calls written as text, of tools the request declares.</summary>
    Calls = 2,
}

/// <summary>
/// Says what an upstream's text is: answer, thinking or a call. Thinking between tags becomes <c>reasoning_content</c>; a call that leaked becomes a
/// real one, from the content at once, from thinking when nothing visible and no real call follows. Put it before <see cref="ToolDeltaStage"/>, which
/// settles the indexes of mixed calls.
/// </summary>
/// <param name="context">Gives the declared tools, the limit, what is known of the upstream, and the report.</param>
/// <param name="mode">On or observe.</param>
/// <param name="tags">What to look for. Without declared tools there are no calls.</param>
/// <param name="mintId">A new tool call id, e.g. <c>call_…</c>, different each time.</param>
public sealed class AnswerTextStage(RepairContext context, RepairMode mode, TextTags tags, Func<string> mintId) : TextTagStage(context, mode)
{
    private readonly bool _readsThinking = (tags & TextTags.Thinking) != 0;
    private readonly DeclaredTools _tools = (tags & TextTags.Calls) != 0 ? context.DeclaredTools : new DeclaredTools(default);
    private readonly List<ChoiceText> _choices = [];
    private readonly HashSet<string> _madeIds = new(StringComparer.Ordinal);
    private readonly PooledBytes _text = new(64);

    public override string Name => (tags & TextTags.Calls) != 0 ? "leaked-calls" : "think-tags";

    /// <summary>What the first choice showed about closing tags that nothing opened.</summary>
    public LoneClose LoneClose => _choices.Count > 0 ? _choices[0].LoneClose : LoneClose.Unknown;

    /// <summary>The id of a call that this stage made of text.</summary>
    public bool HasMade(string id) => _madeIds.Contains(id);

    public override void Dispose()
    {
        _text.Dispose();
        base.Dispose();
    }

    private protected override TagScanner? ScannerOf(in EventPart part)
    {
        bool isContent = part.Kind == PartKind.Content;
        if (_tools.IsEmpty && !(_readsThinking && isContent)) return null;
        ChoiceText choice = ChoiceOf(part.Choice);
        return (isContent ? choice.Content : choice.Thinking) ?? NewScanner(part.Kind, choice);
    }

    private AnswerTextScanner NewScanner(PartKind kind, ChoiceText choice)
    {
        AnswerTextScanner scanner = new(kind, choice);
        if (kind == PartKind.Content) choice.Content = scanner;
        else choice.Thinking = scanner;
        Scanners.Add(scanner);
        return scanner;
    }

    private protected override void VisitOther(ChatEvent chatEvent, int index)
    {
        EventPart part = chatEvent.Parts[index];
        if (part.Kind is not (PartKind.ToolCall or PartKind.Finish)) return;
        ChoiceText choice = ChoiceOf(part.Choice);
        LeakedCalls calls = choice.Calls;
        if (part.Kind == PartKind.ToolCall)
        {
            calls.CountFrom(part.NewToolIndex ?? part.ToolIndex);
            choice.Content?.Settle();
            return;
        }

        if (calls.Made == 0 || Observes) return;
        ReadOnlySpan<byte> reason = chatEvent.Text(part);
        bool stop = reason.SequenceEqual("stop"u8);
        if (calls.Incomplete && (stop || reason.SequenceEqual("tool_calls"u8))) chatEvent.SetText(index, "length"u8);
        else if (stop) chatEvent.SetText(index, "tool_calls"u8);
    }

    private protected override bool TakesOut(ChatEvent chatEvent, int index)
    {
        EventPart part = chatEvent.Parts[index];
        if (!_readsThinking || part.Kind != PartKind.Reasoning || chatEvent.Text(part).IsEmpty) return false;
        ChoiceText choice = ChoiceOf(part.Choice);
        choice.ThinkingSeen = true;
        // Thinking has its own field after all: what was taken for it was the answer.
        if (choice.Content is { Assumed: not null } content) EndBefore(chatEvent, index, content);
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
        Context.Report.Note("think-tags", rule, Observes ? RepairAction.Observed : action, "reasoning", _text.Length);

    private ChoiceText ChoiceOf(int choice)
    {
        foreach (ChoiceText known in _choices)
        {
            if (known.Index == choice) return known;
        }

        return NewChoice(choice);
    }

    /// <summary>On its own, so that the callbacks' captures cost nothing on the way above, which every event takes.</summary>
    private ChoiceText NewChoice(int choice)
    {
        LeakedCalls calls = new(choice, MintId, Context.Report, Observes);
        ChoiceText text = new(choice, _tools, calls, Context)
        {
            ReadsCalls = !_tools.IsEmpty,
            ReadsThinking = _readsThinking,
            Note = (rule, bytes) => Context.Report.Note("think-tags", rule, Observes ? RepairAction.Observed : RepairAction.Converted,
                $"{choice}/content", bytes),
        };
        _choices.Add(text);
        return text;
    }

    private string MintId()
    {
        if (Observes) return "";
        string id = mintId();
        _madeIds.Add(id);
        return id;
    }
}
