using System.Buffers;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Resume;
using QwenProxy.Proxying.Streaming;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Attempts;

/// <summary>
/// Attempts until one begins to answer, then the pump, then attempts again where upstream broke: before Commit from the start, after it only as a
/// resume. A whole answer is committed when it is complete, so all of it may be tried again.
/// </summary>
internal sealed class AnswerLoop(UpstreamAccess upstreams, StutterPrior prior, Exchange exchange, IncomingRequest incoming, RouteSession route) : IAsyncDisposable
{
    private readonly AttemptLoop _attempts = new(upstreams.Authorizer, exchange, route);
    private readonly ResumeLoop _resume = new(exchange, incoming, route);

    /// <summary>Runs to the end of the answer. The error, if any, is for the client.</summary>
    public async Task<ProxyError?> RunAsync()
    {
        using PooledBytes? whole = incoming.Stream ? null : new PooledBytes();
        DownstreamAnswer answer = NewAnswer(whole);
        ProxyError? broken = null;
        while (true)
        {
            AttemptOutcome<UpstreamStream> outcome = await _attempts.RunAsync(SendAsync, HedgeAfter);
            if (outcome.Answer is not { } upstream) return broken ?? outcome.Error;
            using (upstream)
            {
                if (upstream.Native is { } native) answer = Take(native);
                Commit(upstream, answer);
                ProxyError? fault = upstream.Native is null ? await PumpAsync(upstream, answer) : await PumpNativeAsync(upstream, answer);
                if (fault is null)
                {
                    route.Succeeded();
                    answer.Finish();
                    if (whole is not null) WriteWhole(upstream, whole);
                    return null;
                }

                route.Failed(fault);
                if (upstream.Native is not null) return fault;
                if (answer.IsStream)
                {
                    // What broke first is what the client is told when nothing mends it.
                    broken ??= fault;
                    if (!_resume.Prepare(upstream.Target, fault)) return broken;
                    continue;
                }
            }

            whole!.Clear();
            answer = NewAnswer(whole);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _attempts.DisposeAsync();
        _resume.Dispose();
    }

    /// <summary>The rest of a broken answer comes from one upstream at a time: what it must repeat is compared to what another has said.</summary>
    private TimeSpan HedgeAfter => _resume.IsResuming ? TimeSpan.Zero : TimeSpan.FromSeconds(exchange.Snapshot.Retry.HedgeSeconds);

    /// <summary>8 Frame … 12 Flush, for one upstream stream.</summary>
    private async Task<ProxyError?> PumpAsync(UpstreamStream upstream, DownstreamAnswer answer)
    {
        using ReplayVerifier? verifier = _resume.NewVerifier();
        if (verifier is not null)
        {
            exchange.Resumes++;
            answer.PinId(_resume.FirstId);
            exchange.Output.Write(": resumed\n\n"u8);
        }

        using StreamRepair repair = new(prior, exchange, incoming.Chat, upstream.Target, _resume.Record(answer), verifier);
        ProxyError? fault = await new StreamPump(exchange, upstream, new ChatFrames(exchange, upstream, repair, answer), answer).RunAsync();
        repair.Learn();
        _resume.EndStream(fault);
        return fault;
    }

    /// <summary>6 Send and 7 the first Frame.</summary>
    private async Task<AttemptOutcome<UpstreamStream>> SendAsync(AttemptTarget target, CancellationToken cancellationToken)
    {
        UpstreamCall call = new(upstreams, new CallContext(exchange.RequestId, target.Ask.Model, exchange.Snapshot, exchange.Http.Request, exchange.Output, exchange.Instruments));
        TimeSpan deadline = route.FirstTokenDeadline(target.Ask);
        if (NativeUrl(target) is { } url)
        {
            AttemptOutcome<UpstreamStream> outcome = await call.SendNativeAsync(target, incoming.Native!, url, deadline, cancellationToken);
            if (outcome.Error is not { } error || !NativeEndpoints.IsMissing(error)) return outcome;
            outcome = await call.SendAsync(target, AdaptedRequest.For(target, exchange, incoming), incoming.Query, deadline, cancellationToken);
            if (outcome.Answer is not null) upstreams.NativeEndpoints.NoteMissing(url);
            return outcome;
        }

        return _resume.IsResuming ? await _resume.SendAsync(call, target, deadline, cancellationToken) : await call.SendAsync(target, AdaptedRequest.For(target, exchange, incoming), incoming.Query, deadline, cancellationToken);
    }

    /// <summary>Where this attempt can be made in the client's own dialect; null when it has to be translated.</summary>
    private Uri? NativeUrl(AttemptTarget target)
    {
        if (_resume.IsResuming || !target.Account.Native || incoming.Native?.UrlAt(target.Account.Profile, target.BaseUrl) is not { } url) return null;
        return upstreams.NativeEndpoints.MayAsk(url) ? url : null;
    }

    private NativeAnswer Take(NativeAnswer native)
    {
        exchange.Answer?.Dispose();
        exchange.Answer = native;
        return native;
    }

    private async Task<ProxyError?> PumpNativeAsync(UpstreamStream upstream, DownstreamAnswer answer) =>
        await new StreamPump(exchange, upstream, new NativeFrames(exchange, upstream, upstream.Native!), answer).RunAsync();

    private DownstreamAnswer NewAnswer(PooledBytes? whole)
    {
        exchange.Answer?.Dispose();
        return exchange.Answer = incoming.CreateAnswer(whole is null ? exchange.Output : whole);
    }

    /// <summary>12 Commit: from here on the client's bytes are this answer.</summary>
    private void Commit(UpstreamStream upstream, DownstreamAnswer answer)
    {
        if (!answer.IsStream) return;
        ResponseHeads.WriteStream(exchange, upstream.Response);
        if (exchange.FirstByteAt == 0) exchange.FirstByteAt = exchange.Time.GetTimestamp();
    }

    /// <summary>The server flushes what is left when it ends the body, in one piece with the end; a flush of our own would be a second packet.</summary>
    private void WriteWhole(UpstreamStream upstream, PooledBytes whole)
    {
        exchange.FirstByteAt = exchange.Time.GetTimestamp();
        ResponseHeads.WriteWhole(exchange, upstream.Response, whole.Length);
        exchange.Output.Write(whole.Span);
    }
}
