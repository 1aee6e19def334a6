using QwenProxy.Configuration;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Resume;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Streaming;

/// <summary>10 Repair: the stages of one upstream stream, as the configuration and the request's <c>x-qwen-proxy-repair</c> header want them.</summary>
internal sealed class StreamRepair : IDisposable
{
    private readonly UpstreamHabits _habits;
    private readonly RepairPipeline _pipeline;
    private readonly AttemptTarget _target;
    private readonly bool _isStream;

    public StreamRepair(UpstreamHabits habits, Exchange exchange, IncomingRequest incoming, AttemptTarget target, IEventSink output, ReplayVerifier? verifier)
    {
        _habits = habits;
        _target = target;
        _isStream = incoming.Stream;
        ChatRequest request = incoming.Chat;
        UpstreamProfile profile = target.Account.Profile;
        ReadOnlySpan<byte> body = request.Body.Span;
        Context = new RepairContext
        {
            Report = exchange.Repairs,
            HoldLimitBytes = exchange.Snapshot.Limits.HoldBytes,
            Tools = request.Tools.IsEmpty ? default : request.Body.Slice(request.Tools.Start, request.Tools.Length),
            Messages = request.Body.Slice(request.Messages.Start, request.Messages.Length),
            ExpectsJson = request.ResponseFormat.In(body).IndexOf("json_"u8) >= 0,
            Deltas = RepairPipeline.HabitOf(profile),
            StutterStanding = habits.Stutter.StandingOf(target.BaseUrl.Host, target.Ask.Model),
            KeyOrderMark = profile.KeyOrderMark,
            IsWhole = !_isStream,
            BeginsThinking = verifier is not { ContinuesText: true } && habits.Thinking.IsLearned(target.Account.Name, target.Ask.Model)
                && ThinkingSwitch.LeavesOn(request, incoming.Thinking),
        };
        RepairSnapshot modes = RepairHeader.Apply(exchange.Snapshot.Repair, exchange.Http.Request.Headers[RepairHeader.Name].ToString());
        RepairModes wanted = new(modes.Stutter, ModeOf(modes.ThinkTags), ModeOf(modes.ToolCalls), ModeOf(modes.LoopGuard));
        Verifier = verifier;
        _pipeline = new RepairPipeline(Context, wanted, () => exchange.Instruments.Ids.Next("call_"), output, verifier);
    }

    public RepairContext Context { get; }

    public RepairChain Chain => _pipeline.Chain;

    public FinishStage Ends => _pipeline.Ends;

    /// <summary>On a stream that continues a broken one: the last stage, which lets only new bytes through.</summary>
    public ReplayVerifier? Verifier { get; }

    /// <summary>The stream is over: what it taught about this upstream and model is kept.</summary>
    public void Learn()
    {
        _habits.Stutter.Record(_target.BaseUrl.Host, _target.Ask.Model, _pipeline.Outcome);
        // A whole answer needs no foreknowledge, and gives none.
        if (_isStream) _habits.Thinking.Record(_target.Account.Name, _target.Ask.Model, _pipeline.LoneClose);
    }

    /// <summary>The model repeats one block without end and the answer was ended: upstream may stop.</summary>
    public bool LoopFound => _pipeline.LoopFound;

    /// <summary>A tool call that upstream called finished has arguments that are no JSON.</summary>
    public bool HasBrokenArguments => _pipeline.HasBrokenArguments;

    /// <summary>The answer passes as it is: what is known to be wrong in it is noted.</summary>
    public void NotePassed() => _pipeline.NotePassed();

    public void Dispose() => _pipeline.Dispose();

    private static RepairMode? ModeOf(SwitchMode mode) => mode switch
    {
        SwitchMode.On => RepairMode.On,
        SwitchMode.Observe => RepairMode.Observe,
        _ => null,
    };
}
