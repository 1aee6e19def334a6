using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.ToolCalls;

namespace QwenProxy.Core.Repair.Thinking;

/// <summary>What the two channels of one choice, content and thinking, must know of each other.</summary>
internal sealed class ChoiceText(int index, DeclaredTools tools, LeakedCalls calls, RepairContext context)
{
    public int Index => index;

    public DeclaredTools Tools => tools;

    public LeakedCalls Calls => calls;

    public int HoldLimitBytes => context.HoldLimitBytes;

    public bool ReadsCalls { get; init; }

    public bool ReadsThinking { get; init; }

    public required Action<string, int> Note { get; init; }

    /// <summary>Nothing of the answer is shown before it is complete.</summary>
    public bool IsWhole => context.IsWhole;

    /// <summary>Content that no tag opens is thinking until a tag closes it.</summary>
    public bool BeginsThinking => context.BeginsThinking && !context.IsWhole && !ThinkingSeen;

    /// <summary>Thinking came in its own field: an answer's leading newline then opens nothing, and a lone closing tag closes nothing.</summary>
    public bool ThinkingSeen { get; set; }

    public AnswerTextScanner? Content { get; set; }

    public AnswerTextScanner? Thinking { get; set; }

    /// <summary>A call in thinking waits for what follows.</summary>
    public bool Waits => IsWaiting(Content) || IsWaiting(Thinking);

    /// <summary>How the content closed a thinking that nothing opened.</summary>
    public LoneClose LoneClose { get; set; }

    private static bool IsWaiting(AnswerTextScanner? scanner) => scanner is { Waiting: { IsOpen: true, Kind: PartKind.Reasoning } };
}
