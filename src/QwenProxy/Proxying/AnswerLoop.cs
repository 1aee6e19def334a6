using System.Buffers;
using System.Net;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Hosting;
using QwenProxy.Wire;

namespace QwenProxy.Proxying;

/// <summary>
/// Attempts until one begins to answer, then the pump, then attempts again where upstream broke: before Commit from the start, after it only as a
/// resume. A whole answer is committed when it is complete, so all of it may be tried again.
/// </summary>
internal sealed class AnswerLoop(ProxyRuntime runtime, Exchange exchange, IncomingRequest incoming, RouteSession route)
{
    private readonly AttemptLoop _attempts = new(runtime, exchange, route);

    /// <summary>Runs to the end of the answer. The error, if any, is for the client.</summary>
    public async Task<ProxyError?> RunAsync()
    {
        using PooledBytes? whole = incoming.Stream ? null : new PooledBytes();
        DownstreamAnswer answer = NewAnswer(whole);
        while (true)
        {
            AttemptOutcome<UpstreamStream> outcome = await _attempts.RunAsync(SendAsync);
            if (outcome.Answer is not { } upstream) return outcome.Error;
            using (upstream)
            {
                Commit(upstream, answer);
                StreamRepair repair = new(runtime, exchange, incoming.Chat, upstream.Target, answer);
                ProxyError? fault = await new StreamPump(exchange, upstream, repair, answer).RunAsync();
                repair.Learn();
                if (fault is null)
                {
                    route.Succeeded();
                    answer.Finish();
                    await EndAsync(upstream, answer, whole);
                    return null;
                }

                route.Failed(fault);
                if (answer.IsStream) return fault;
            }

            whole!.Clear();
            answer = NewAnswer(whole);
        }
    }

    /// <summary>6 Send and 7 the first Frame.</summary>
    private async Task<AttemptOutcome<UpstreamStream>> SendAsync(AttemptTarget target)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, target.Url("/chat/completions" + incoming.Query));
        request.Version = HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrHigher;
        JsonSplice splice = incoming.Chat.ForUpstream(target.Ask.Model, stream: true, includeUsage: target.Account.Profile.SupportsStreamOptions);
        request.Content = new SplicedContent(incoming.Chat.Body, splice, "application/json");
        request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
        HeaderAllowList.CopyToUpstream(exchange.Http.Request, request);
        HeaderAllowList.ApplyAccount(target.Account, request, target.Token);
        return await new UpstreamCall(runtime.Transport, exchange).SendAsync(request, target, route.FirstTokenDeadline(target.Ask));
    }

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
        if (exchange.FirstByteAt == 0) exchange.FirstByteAt = runtime.Time.GetTimestamp();
    }

    private async Task EndAsync(UpstreamStream upstream, DownstreamAnswer answer, PooledBytes? whole)
    {
        if (!answer.IsStream)
        {
            exchange.FirstByteAt = runtime.Time.GetTimestamp();
            ResponseHeads.WriteWhole(exchange, upstream.Response, whole!.Length);
            exchange.Output.Write(whole.Span);
        }

        await exchange.Output.FlushAsync(exchange.Token);
    }
}
