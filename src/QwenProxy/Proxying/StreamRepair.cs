using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Repair.Thinking;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Resume;
using QwenProxy.Hosting;

namespace QwenProxy.Proxying;

/// <summary>10 Repair: the stages of one upstream stream, as the configuration and the request's <c>x-qwen-proxy-repair</c> header want them.</summary>
internal sealed class StreamRepair : IDisposable
{
    private readonly ProxyRuntime _runtime;
    private readonly StutterStage? _stutter;
    private readonly LoopGuardStage? _loopGuard;
    private readonly List<RepairStage> _stages = [];
    private readonly string _host;
    private readonly string _model;

    public StreamRepair(ProxyRuntime runtime, Exchange exchange, ChatRequest request, AttemptTarget target, IEventSink output, ReplayVerifier? verifier)
    {
        _runtime = runtime;
        _host = target.BaseUrl.Host;
        _model = target.Ask.Model;
        UpstreamProfile profile = target.Account.Profile;
        ReadOnlySpan<byte> body = request.Body.Span;
        Context = new RepairContext
        {
            Report = exchange.Repairs,
            HoldLimitBytes = exchange.Snapshot.Limits.HoldBytes,
            Tools = request.Tools.IsEmpty ? default : request.Body.Slice(request.Tools.Start, request.Tools.Length),
            ExpectsJson = request.ResponseFormat.In(body).IndexOf("json_"u8) >= 0,
            Deltas = profile.Stutter switch
            {
                StutterDeclaration.Cumulative => DeltaHabit.Cumulative,
                StutterDeclaration.Incremental => DeltaHabit.Incremental,
                _ => DeltaHabit.Unknown,
            },
            StutterStanding = runtime.Prior.StandingOf(_host, _model),
            KeyOrderMark = profile.KeyOrderMark,
        };
        RepairSnapshot modes = RepairHeader.Apply(exchange.Snapshot.Repair, exchange.Http.Request.Headers[RepairHeader.Name].ToString());
        if (modes.Stutter != StutterMode.Off && Context.Deltas != DeltaHabit.Incremental) _stages.Add(_stutter = new StutterStage(Context, modes.Stutter));
        if (modes.ThinkTags != SwitchMode.Off) _stages.Add(new ThinkTagStage(Context, ModeOf(modes.ThinkTags)));
        if (modes.ToolCalls != SwitchMode.Off)
        {
            if (!Context.Tools.IsEmpty) _stages.Add(new LeakedCallStage(Context, ModeOf(modes.ToolCalls), () => runtime.NewId("call_")));
            _stages.Add(new ToolDeltaStage(Context, ModeOf(modes.ToolCalls), () => runtime.NewId("call_")));
        }

        if (modes.LoopGuard != SwitchMode.Off) _stages.Add(_loopGuard = new LoopGuardStage(Context, ModeOf(modes.LoopGuard)));

        Verifier = verifier;
        if (verifier is not null) _stages.Add(verifier);
        Chain = new RepairChain(_stages.ToArray(), output);
    }

    public RepairContext Context { get; }

    public RepairChain Chain { get; }

    /// <summary>On a stream that continues a broken one: the last stage, which lets only new bytes through.</summary>
    public ReplayVerifier? Verifier { get; }

    /// <summary>The stream is over: what it taught about this upstream and model is kept.</summary>
    public void Learn()
    {
        if (_stutter is not null) _runtime.Prior.Record(_host, _model, _stutter.Outcome);
    }

    /// <summary>The model repeats one block without end and the answer was ended: upstream may stop.</summary>
    public bool LoopFound => _loopGuard is { Triggered: true };

    public void Dispose()
    {
        // The verifier belongs to the resume that made it.
        foreach (RepairStage stage in _stages)
        {
            if (stage is IDisposable disposable && !ReferenceEquals(stage, Verifier)) disposable.Dispose();
        }
    }

    private static RepairMode ModeOf(SwitchMode mode) => mode == SwitchMode.On ? RepairMode.On : RepairMode.Observe;
}
