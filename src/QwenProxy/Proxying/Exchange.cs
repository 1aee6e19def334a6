using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Core.Clients;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Resilience;
using QwenProxy.Observability;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying;

/// <summary>
/// One request of one client from Accept to Settle: what it began with, what has become of it, and the token that ends it.
/// Everything that runs for the request hangs on <see cref="Token"/>.
/// </summary>
internal sealed class Exchange : IDisposable
{
    private static readonly List<FailedAttempt> s_none = [];

    private readonly CancellationTokenSource _end;
    private readonly ITimer _lifetime;
    private readonly CancellationToken _clientGone;
    private readonly CancellationToken _drained;
    private readonly List<RequestStep> _steps = new(1);
    private List<FailedAttempt> _failures = s_none;
    private TimeSpan _limit;
    private bool _limitReached;
    private volatile SecretWords _secrets;
    private readonly PooledBytes _usage = new(256);

    public Exchange(HttpContext http, ProxySnapshot snapshot, Instruments instruments, string requestId, CancellationToken drained)
    {
        Http = http;
        Snapshot = snapshot;
        Instruments = instruments;
        RequestId = requestId;
        _secrets = HeldSecrets.Of(snapshot);
        Path = PrintableText.Of(http.Request.Path.Value ?? "/");
        StartedAt = Time.GetTimestamp();
        Output = new CountingWriter(http.Response.BodyWriter);
        _clientGone = http.RequestAborted;
        _drained = drained;
        _end = CancellationTokenSource.CreateLinkedTokenSource(_clientGone, drained);
        _lifetime = Time.CreateTimer(static state => ((Exchange)state!).EndByLimit(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public HttpContext Http { get; }

    /// <summary>The configuration this request began with; a reload does not touch it.</summary>
    public ProxySnapshot Snapshot { get; }

    public Instruments Instruments { get; }

    public TimeProvider Time => Instruments.Time;

    public string RequestId { get; }

    /// <summary>What must not come out, in whoever's words: the configuration's secrets and the tokens this request was sent with.</summary>
    public SecretWords Secrets => _secrets;

    /// <summary>Without the query, short and printable.</summary>
    public string Path { get; }

    public long StartedAt { get; }

    /// <summary>Ends when the client hangs up, the whole request takes too long, or a drain runs out.</summary>
    public CancellationToken Token => _end.Token;

    public CountingWriter Output { get; }

    public PooledBytes Body { get; } = new(1024);

    /// <summary>How the client is answered; null until Parse.</summary>
    public DownstreamAnswer? Answer { get; set; }

    public RepairReport Repairs { get; } = new();

    /// <summary>The model as the client wrote it; empty until the body was read.</summary>
    public string AskedModel { get; set; } = "";

    public string? ServedModel { get; set; }

    /// <summary><see cref="ServedModel"/> is a fallback for the model that was asked for.</summary>
    public bool IsOnFallback { get; set; }

    /// <summary>The answer comes in the client's own dialect, which is another than chat.</summary>
    public bool IsNative { get; set; }

    public string? Account { get; set; }

    /// <summary>Whose key was shown; null without keys.</summary>
    public Client? Client { get; set; }

    public string? ClientName => Client?.Name;

    /// <summary>The request counts in its client's limits; null before they were looked at.</summary>
    public ClientAdmission? Admission { get; set; }

    /// <summary>What was left to the client when the request began; null without limits.</summary>
    public ClientStanding? Standing { get; set; }

    public bool IsStreaming { get; set; }

    /// <summary>What each attempt that failed has failed by, in their order, resumes included.</summary>
    public IReadOnlyList<FailedAttempt> Failures => _failures;

    /// <summary>What happened on the way: waits, attempts, breaks, resumes. Read at Settle, when nothing is added any more.</summary>
    public IReadOnlyList<RequestStep> Steps => _steps;

    public int Attempts { get; set; }

    public int Resumes { get; set; }

    public long UpstreamBytes { get; private set; }

    /// <summary>When the first byte of the answer was written; 0 before.</summary>
    public long FirstByteAt { get; set; }

    public ProxyError? Error { get; set; }

    /// <summary>The request's span; null while nobody listens.</summary>
    public Activity? Span { get; init; }

    /// <summary>The last usage object upstream sent, as it came; empty when there was none.</summary>
    public ReadOnlyMemory<byte> Usage => _usage.Memory;

    public bool ClientIsGone => _clientGone.IsCancellationRequested;

    public void LimitLifetime(TimeSpan limit)
    {
        _limit = limit;
        TimeSpan left = limit - Time.GetElapsedTime(StartedAt);
        _lifetime.Change(left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    /// <summary>What ended <see cref="Token"/>, as an error.</summary>
    public ProxyError EndError() =>
        _clientGone.IsCancellationRequested ? OwnErrors.ClientGone()
        : _limitReached ? OwnErrors.LifetimeLimit(_limit, IsStreaming)
        : _drained.IsCancellationRequested ? OwnErrors.EndedByDrain(TimeSpan.FromSeconds(5))
        : OwnErrors.ClientGone();

    /// <summary>A token goes out, which upstream may repeat. Two attempts may run side by side.</summary>
    public void Sends(string? token)
    {
        lock (_end) _secrets = _secrets.And(token);
    }

    public void CountUpstream(int bytes) => UpstreamBytes += bytes;

    public void KeepUsage(ReadOnlySpan<byte> usage)
    {
        _usage.Clear();
        _usage.Write(usage);
    }

    /// <summary>The next stream of a resumed answer reports for itself.</summary>
    public void ForgetUsage() => _usage.Clear();

    public void NoteFailure(FailedAttempt failure)
    {
        if (ReferenceEquals(_failures, s_none)) _failures = [];
        _failures.Add(failure);
    }

    /// <summary>Something that has just ended is noted. Two attempts may run side by side.</summary>
    /// <param name="began">Its timestamp.</param>
    public void NoteStep(StepKind kind, long began, string account = "", string model = "", ProxyError? error = null, string said = "")
    {
        RequestStep step = new(kind, Time.GetElapsedTime(StartedAt, began), Time.GetElapsedTime(began), account, PrintableText.Of(model), error?.Status ?? 0, error is null ? said : ErrorSummary.Snake(error.Kind));
        lock (_steps) _steps.Add(step);
        RequestTracing.AddStep(Span, step);
    }

    public void Dispose()
    {
        _lifetime.Dispose();
        _end.Dispose();
        Body.Dispose();
        _usage.Dispose();
        Output.Dispose();
    }

    private void EndByLimit()
    {
        _limitReached = true;
        try
        {
            _end.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The request ended while its timer fired: nothing is left to cancel.
        }
    }
}
