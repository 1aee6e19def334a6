using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;

namespace QwenProxy.Core.Repair;

/// <summary>How far each stage may go; null leaves a stage out.</summary>
public sealed record RepairModes(StutterMode Stutter, RepairMode? ThinkTags, RepairMode? ToolCalls, RepairMode? LoopGuard);

/// <summary>The stages of one stream in their order, as modes, profile and request want them. Live streams and replayed ones are built here alike.</summary>
public sealed class RepairPipeline : IDisposable
{
    private readonly StutterStage? _stutter;
    private readonly ToolDeltaStage? _toolDeltas;
    private readonly LoopGuardStage? _loopGuard;
    private AnswerTextStage? _text;
    private readonly List<RepairStage> _stages = [];

    /// <param name="context">What the stages may know.</param>
    /// <param name="modes">Which stages, and how far they go.</param>
    /// <param name="newCallId">Gives an id for a tool call that upstream left without one.</param>
    /// <param name="output">Where repaired events go.</param>
    /// <param name="last">A stage behind all others; it stays its maker's to dispose.</param>
    public RepairPipeline(RepairContext context, RepairModes modes, Func<string> newCallId, IEventSink output, RepairStage? last = null)
    {
        _stages.Add(Ends = new FinishStage(context));
        if (modes.Stutter != StutterMode.Off && context.Deltas != DeltaHabit.Incremental) _stages.Add(_stutter = new StutterStage(context, modes.Stutter));
        AddTextStages(context, modes, newCallId);
        if (modes.ToolCalls is { } toolCalls)
        {
            _stages.Add(_toolDeltas = new ToolDeltaStage(context, toolCalls, newCallId));
            if (_text is { } text && !context.Tools.IsEmpty) _stages.Add(new RepeatedCallStage(context, toolCalls, text.HasMade));
        }

        if (modes.LoopGuard is { } loopGuard) _stages.Add(_loopGuard = new LoopGuardStage(context, loopGuard));
        Chain = new RepairChain(last is null ? _stages.ToArray() : [.. _stages, last], output);
    }

    public RepairChain Chain { get; }

    /// <summary>What is known of the stream's end.</summary>
    public FinishStage Ends { get; }

    /// <summary>What the stream showed about its deltas; Unknown without the stage.</summary>
    public StutterOutcome Outcome => _stutter?.Outcome ?? StutterOutcome.Unknown;

    /// <summary>A tool call that upstream called finished has arguments that are no JSON. To be read once the stream has ended.</summary>
    public bool HasBrokenArguments => _toolDeltas is { HasBrokenArguments: true };

    /// <summary>To be called when the answer passes to the client as it is: what is known to be wrong in it is noted.</summary>
    public void NotePassed() => _toolDeltas?.NotePassed();

    /// <summary>What the stream showed about closing tags of a thinking that nothing opened.</summary>
    public LoneClose LoneClose => _text?.LoneClose ?? LoneClose.Unknown;

    /// <summary>The model repeats one block without end and the answer was ended: upstream may stop.</summary>
    public bool LoopFound => _loopGuard is { Triggered: true };

    /// <summary>What a profile declares about text deltas, as evidence for the stutter stage.</summary>
    public static DeltaHabit HabitOf(UpstreamProfile profile) => profile.Stutter switch
    {
        StutterDeclaration.Cumulative => DeltaHabit.Cumulative,
        StutterDeclaration.Incremental => DeltaHabit.Incremental,
        _ => DeltaHabit.Unknown,
    };

    /// <summary>Both kinds of tags in one reading, unless one of them is to be changed and the other only observed.</summary>
    private void AddTextStages(RepairContext context, RepairModes modes, Func<string> newCallId)
    {
        RepairMode? calls = context.Tools.IsEmpty ? null : modes.ToolCalls;
        if (modes.ThinkTags is { } thinking && thinking == calls)
        {
            Add(new AnswerTextStage(context, thinking, TextTags.Thinking | TextTags.Calls, newCallId));
            return;
        }

        if (modes.ThinkTags is { } thinkTags) Add(new AnswerTextStage(context, thinkTags, TextTags.Thinking, newCallId));
        if (calls is { } toolCalls) Add(new AnswerTextStage(context, toolCalls, TextTags.Calls, newCallId));

        void Add(AnswerTextStage stage) => _stages.Add(_text = stage);
    }

    public void Dispose()
    {
        foreach (RepairStage stage in _stages)
        {
            if (stage is IDisposable disposable) disposable.Dispose();
        }
    }
}
