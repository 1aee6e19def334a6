using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Resume;
using QwenProxy.Observability;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// Continues a stream that broke after Commit: remembers what the client was sent, asks again by prefill or replay, and proves that the new bytes
/// fit. The rules are Core's; here is what waits.
/// </summary>
internal sealed class ResumeLoop : IDisposable
{
    /// <summary>A request may switch resume off for itself: <c>x-qwen-proxy-resume: off</c>.</summary>
    private const string HeaderName = "x-qwen-proxy-resume";

    private readonly Exchange _exchange;
    private readonly IncomingRequest _incoming;
    private readonly RouteSession _route;
    private readonly ResumePolicy _policy = new();
    private readonly UsageSum _usage = new();
    private readonly SentAnswer? _sent;
    private readonly HashSet<string> _askedModels = [];
    private ResumeWay _way;

    public ResumeLoop(Exchange exchange, IncomingRequest incoming, RouteSession route)
    {
        _exchange = exchange;
        _incoming = incoming;
        _route = route;
        bool wanted = exchange.Snapshot.Resume && !exchange.Http.Request.Headers[HeaderName].ToString().Equals("off", StringComparison.OrdinalIgnoreCase);
        if (wanted && incoming.Stream) _sent = new SentAnswer();
    }

    /// <summary>A stream broke and the next attempt continues it.</summary>
    public bool IsResuming { get; private set; }

    /// <summary>The id the client knows the answer by: a JSON token, or empty when it had none.</summary>
    public byte[] FirstId => _sent?.IdToken ?? [];

    /// <summary>Where the repaired events go: to the client's encoder, and into memory when a resume may need them.</summary>
    public IEventSink Record(DownstreamAnswer answer) => _sent is null ? answer : new Recorder(_sent, answer);

    /// <summary>Decides whether a broken stream is continued, and points the route to whom to ask.</summary>
    public bool Prepare(AttemptTarget broken, ProxyError fault)
    {
        bool again = _sent is not null && fault.Kind != FaultKind.Internal && _policy.CanResume(_sent, fault);
        RequestLog.Broke(_exchange.Instruments.Logger, _exchange.RequestId, _exchange.Repairs.EventNumber, fault.Kind.ToString(), again ? "resuming" : "failing");
        if (!again) return false;
        _askedModels.Add(broken.Ask.Model);
        _route.BeginResume(routes => _policy.Routes(routes, _askedModels), broken, fault);
        IsResuming = true;
        return true;
    }

    /// <summary>Asks for the rest of the answer, by prefill where the upstream can, else from the start. A refused prefill turns into a replay.</summary>
    public async Task<AttemptOutcome<UpstreamStream>> SendAsync(UpstreamCall call, AttemptTarget target, ChatRequest adapted, TimeSpan deadline, CancellationToken cancellationToken)
    {
        UpstreamProfile profile = target.Account.Profile;
        PrefillStyle style = profile.CanPrefill(target.Ask.Model) ? profile.Prefill : PrefillStyle.None;
        _way = _policy.Choose(_sent!, style, target.Account.Name, target.Ask.Model);
        if (_way == ResumeWay.Prefill && PrefillRequest.Build(adapted.Body.Span, _sent!, style) is { } body && ChatRequest.TryParse(body, out ChatRequest prefill, out _))
        {
            AttemptOutcome<UpstreamStream> outcome = await call.SendAsync(target, prefill, _incoming.Query, deadline, cancellationToken);
            if (outcome.Error is not { } error || !_policy.NoteRefusedPrefill(target.Account.Name, target.Ask.Model, error)) return Note(outcome);
            _exchange.Instruments.Metrics.Resumed("prefill", "refused");
        }

        _way = ResumeWay.Replay;
        return Note(await call.SendAsync(target, adapted, _incoming.Query, deadline, cancellationToken));
    }

    /// <summary>The stage that lets only new bytes through; null on a first stream.</summary>
    public ReplayVerifier? NewVerifier() => IsResuming ? new ReplayVerifier(_sent!, _way, _usage, _exchange.Repairs) : null;

    /// <summary>One upstream stream is over. The usage of all of them together is what the answer cost.</summary>
    public void EndStream(ProxyError? fault)
    {
        if (IsResuming) _exchange.Instruments.Metrics.Resumed(_way.ToString().ToLowerInvariant(), fault is null ? "complete" : fault.Kind.ToString());
        if (!_exchange.Usage.IsEmpty) _usage.Note(_exchange.Usage.Span);
        _exchange.ForgetUsage();
        _usage.EndStream();
        if (fault is null) KeepUsage();
    }

    /// <summary>The answer is complete: what all its streams together used is what it cost.</summary>
    public void KeepUsage()
    {
        if (_usage.Total() is { } total) _exchange.KeepUsage(total);
    }

    public void Dispose() => _sent?.Dispose();

    private AttemptOutcome<UpstreamStream> Note(AttemptOutcome<UpstreamStream> outcome)
    {
        if (outcome.Answer is not null) _policy.NoteResume();
        return outcome;
    }

    private sealed class Recorder(SentAnswer sent, DownstreamAnswer answer) : IEventSink
    {
        public void Push(ChatEvent chatEvent)
        {
            sent.Push(chatEvent);
            answer.Push(chatEvent);
        }
    }
}
