using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Resilience;
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

    /// <summary>Asks for the rest of the answer where this upstream can be asked that; null where all of it has to be asked for again.</summary>
    public UpstreamRequest? Prefill(AttemptTarget target, ChatRequest adapted)
    {
        UpstreamProfile profile = target.Account.Profile;
        PrefillStyle style = profile.CanPrefill(target.Ask.Model) ? profile.Prefill : PrefillStyle.None;
        if (style == PrefillStyle.None || _policy.Choose(_sent!, style, target.Account.Name, target.Ask.Model) != ResumeWay.Prefill) return null;
        if (PrefillRequest.Build(adapted.Body.Span, _sent!, style) is not { } body || !ChatRequest.TryParse(body, out ChatRequest prefill, out _)) return null;
        return UpstreamRequest.Chat(target, prefill, _incoming.Query);
    }

    /// <summary>The error says that the upstream cannot go on with a text; then it is asked for all of it.</summary>
    public bool IsRefusedPrefill(AttemptTarget target, ProxyError error)
    {
        if (!_policy.NoteRefusedPrefill(target.Account.Name, target.Ask.Model, error)) return false;
        _exchange.Instruments.Metrics.Resumed("prefill", "refused");
        return true;
    }

    /// <summary>A stream has begun.</summary>
    public void Began(bool prefilled)
    {
        if (!IsResuming) return;
        _way = prefilled ? ResumeWay.Prefill : ResumeWay.Replay;
        _policy.NoteResume();
    }

    /// <summary>The stage that lets only new bytes through; null on a first stream.</summary>
    public ReplayVerifier? NewVerifier() => IsResuming ? new ReplayVerifier(_sent!, _way, _usage, _exchange.Repairs) : null;

    /// <summary>One upstream stream is over. The usage of all of them together is what the answer cost.</summary>
    public void EndStream(ProxyError? fault)
    {
        if (IsResuming) _exchange.Instruments.Metrics.Resumed(_way.ToString().ToLowerInvariant(), fault is null ? "complete" : ErrorSummary.Snake(fault.Kind));
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

    private sealed class Recorder(SentAnswer sent, DownstreamAnswer answer) : IEventSink
    {
        public void Push(ChatEvent chatEvent)
        {
            sent.Push(chatEvent);
            answer.Push(chatEvent);
        }
    }
}
