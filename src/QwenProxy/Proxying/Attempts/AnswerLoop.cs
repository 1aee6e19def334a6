using System.Buffers;
using System.Collections.Concurrent;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Resume;
using QwenProxy.Observability;
using QwenProxy.Proxying.Streaming;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// Attempts until one begins to answer, then the pump, then attempts again where upstream broke: before Commit from the start, after it only as a
/// resume. A stream is committed with its first words and a whole answer when it is complete; up to then all of it may be tried again.
/// </summary>
internal sealed class AnswerLoop(UpstreamAccess upstreams, UpstreamHabits habits, Exchange exchange, IncomingRequest incoming, RouteSession route) : IAsyncDisposable
{
    private readonly AttemptLoop _attempts = new(upstreams.Authorizer, exchange, route);
    private readonly FittingCall _fitting = new(upstreams, exchange, incoming);
    private readonly ResumeLoop _resume = new(exchange, incoming, route);

    /// <summary>Addresses that turned out during this request not to speak the client's dialect; null for a client who is asked for in chat.</summary>
    private readonly ConcurrentDictionary<Uri, bool>? _missing = incoming.Native is null ? null : new();
    private readonly PooledBytes? _whole = incoming.Stream ? null : new PooledBytes();
    private Draft? _draft;
    private Draft? _spare;

    /// <summary>Runs to the end of the answer. The error, if any, is for the client.</summary>
    public async Task<ProxyError?> RunAsync()
    {
        ProxyError? broken = null;
        _draft = NewDraft();
        while (true)
        {
            AttemptOutcome<UpstreamStream> outcome = await _attempts.RunAsync(SendAsync, HedgeAfter);
            if (outcome.Answer is not { } upstream) return PassSpare() ? null : broken ?? outcome.Error;
            using (upstream)
            {
                _draft.Begin(upstream, exchange);
                route.Began(upstream.Response);
                (ProxyError? fault, TokenCounts? tokens) = await PumpAsync(upstream, _draft);
                upstream.Attempt?.End(fault);
                if (fault is null)
                {
                    route.Succeeded(tokens);
                    Finish(_draft);
                    return null;
                }

                fault = exchange.Secrets.Hide(fault);
                exchange.NoteStep(StepKind.Break, exchange.Time.GetTimestamp(), upstream.Target.Account.Name, upstream.Target.Ask.Model, fault);
                route.Failed(fault, tokens);
                if (_draft.IsCommitted)
                {
                    // What broke first is what the client is told when nothing mends it.
                    broken ??= fault;
                    if (!_resume.Prepare(upstream.Target, fault)) return broken;
                    continue;
                }

                RequestLog.Broke(exchange.Instruments.Logger, exchange.RequestId, exchange.Repairs.EventNumber, fault.Kind.ToString(), "asking again");
                if (fault.Kind == FaultKind.Unusable) _spare = _draft;
                else _draft.Dispose();
                _draft = NewDraft();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _attempts.DisposeAsync();
        _resume.Dispose();
        // The last answer is the request's: should it have failed, its error is still to be written.
        _draft?.Words.Dispose();
        _spare?.Dispose();
        _whole?.Dispose();
    }

    /// <summary>The rest of a broken answer comes from one upstream at a time: what it must repeat is compared to what another has said.</summary>
    private TimeSpan HedgeAfter => _resume.IsResuming ? TimeSpan.Zero : TimeSpan.FromSeconds(exchange.Snapshot.Retry.HedgeSeconds);

    /// <summary>8 Frame … 12 Flush, for one upstream stream; with what upstream counted in it.</summary>
    private async Task<(ProxyError? Fault, TokenCounts? Tokens)> PumpAsync(UpstreamStream upstream, Draft draft)
    {
        using ReplayVerifier? verifier = _resume.NewVerifier();
        if (verifier is not null)
        {
            exchange.Resumes++;
            exchange.NoteStep(StepKind.Resume, exchange.Time.GetTimestamp(), upstream.Target.Account.Name, upstream.Target.Ask.Model);
            draft.Answer.Continue(_resume.FirstId);
            exchange.Output.Write(": resumed\n\n"u8);
        }

        using StreamRepair repair = new(habits, exchange, incoming, upstream.Target, draft.Words, verifier);
        StreamFrames frames = new(exchange, upstream, repair, draft.Answer, draft.Words) { TakesAnything = _spare is not null };
        ProxyError? fault = await new StreamPump(exchange, upstream, frames, draft.Answer).RunAsync();
        repair.Learn();
        TokenCounts? tokens = TokenCounts.Read(exchange.Usage.Span);
        upstream.Attempt?.Uses(tokens);
        _resume.EndStream(fault);
        return (fault, tokens);
    }

    /// <summary>6 Send and 7 the first Frame, in the first of these ways that is open: go on with the text so far, the client's dialect, chat.</summary>
    private async Task<AttemptOutcome<UpstreamStream>> SendAsync(AttemptTarget target, CancellationToken cancellationToken)
    {
        UpstreamCall call = new(upstreams, new CallContext(exchange.RequestId, target.Ask.Model, exchange.Snapshot, exchange.Http.Request, exchange.Instruments));
        Uri? native = incoming.Native?.UrlAt(target.Account.Native, target.Account.Profile, target.BaseUrl);
        bool speaks = native is not null && !_missing!.ContainsKey(native) && upstreams.NativeEndpoints.MayAsk(native);
        UpstreamRequest? prefill = _resume.IsResuming ? _resume.Prefill(target, _fitting.AdaptToChat(target)) : null;
        speaks &= prefill is null;
        TimeSpan deadline = route.FirstTokenDeadline(target.Ask);
        AttemptOutcome<UpstreamStream> outcome =
            prefill is not null ? await call.SendAsync(target, prefill, deadline, cancellationToken)
            : await _fitting.SendAsync(call, target, speaks ? native : null, deadline, cancellationToken);
        if (outcome.Error is not { } error)
        {
            // Only where chat is answered at the same account is it the dialect that was missing, and not the model or the right.
            if (native is not null && prefill is null && _missing!.ContainsKey(native)) upstreams.NativeEndpoints.NoteMissing(native);
            _resume.Began(prefill is not null);
            return outcome;
        }

        bool otherwise = prefill is not null ? _resume.IsRefusedPrefill(target, error) : speaks && NativeEndpoints.IsMissing(error);
        if (otherwise && prefill is null) _missing!.TryAdd(native!, true);
        return outcome with { AsksAgain = otherwise };
    }

    private Draft NewDraft()
    {
        _whole?.Clear();
        Draft draft = new(incoming.CreateAnswer(_whole is null ? exchange.Output : _whole), _resume, exchange.Snapshot.Limits.HoldBytes, Commit);
        exchange.Answer = draft.Answer;
        return draft;
    }

    /// <summary>12 Commit: from here on the client's bytes are this answer.</summary>
    private void Commit(UpstreamStream upstream)
    {
        ResponseHeads.WriteStream(exchange, upstream.Response);
        exchange.Output.Write(upstream.Preamble);
        if (exchange.FirstByteAt == 0) exchange.FirstByteAt = exchange.Time.GetTimestamp();
    }

    /// <summary>
    /// An answer that was set aside as unusable is still an answer: where nobody gave a better one, it passes as it is.
    /// </summary>
    private bool PassSpare()
    {
        if (_spare is not { } spare || _draft!.IsCommitted) return false;
        _draft.Dispose();
        (_draft, _spare) = (spare, null);
        exchange.Answer = spare.Answer;
        (exchange.Account, exchange.ServedModel, exchange.IsOnFallback) = (spare.Account, spare.Model, spare.IsOnFallback);
        _resume.KeepUsage();
        spare.Words.Open();
        Finish(spare);
        return true;
    }

    /// <summary>The server flushes what is left when it ends the body, in one piece with the end; a flush of our own would be a second packet.</summary>
    private void Finish(Draft draft)
    {
        draft.Answer.Finish();
        if (_whole is null) return;
        exchange.FirstByteAt = exchange.Time.GetTimestamp();
        ResponseHeads.WriteWhole(exchange, draft.Upstream!.Response, _whole.Length);
        exchange.Output.Write(_whole.Span);
    }

    /// <summary>An answer in the making, up to Commit one of several: the client's encoder, the gate before it, and who is speaking.</summary>
    private sealed class Draft : IDisposable
    {
        public Draft(DownstreamAnswer answer, ResumeLoop resume, int holdBytes, Action<UpstreamStream> commit)
        {
            Answer = answer;
            Words = new FirstWords(resume.Record(answer), holdBytes, () =>
            {
                if (answer.IsStream) commit(Upstream!);
            });
        }

        public DownstreamAnswer Answer { get; }

        public FirstWords Words { get; }

        public UpstreamStream? Upstream { get; private set; }

        public string? Account { get; private set; }

        public string? Model { get; private set; }

        public bool IsOnFallback { get; private set; }

        public bool IsCommitted => Answer.IsStream && Words.IsOpen;

        public void Begin(UpstreamStream upstream, Exchange exchange)
        {
            Upstream = upstream;
            exchange.IsNative = upstream.IsNative;
            (Account, Model, IsOnFallback) = (exchange.Account, exchange.ServedModel, exchange.IsOnFallback);
        }

        public void Dispose()
        {
            Words.Dispose();
            Answer.Dispose();
        }
    }
}
