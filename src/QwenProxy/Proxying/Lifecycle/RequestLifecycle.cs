using System.Buffers;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Repair;
using QwenProxy.Observability;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Proxying.Settlement;
using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>
/// The life of a request, in the order of its phases:
/// 1 Accept (<see cref="Admission"/>), 2 Parse, 3 Route (here); 4 Lease, 5 Authorize, 6 Send, 7 first Frame (<see cref="AnswerLoop"/> and <see cref="UpstreamCall"/>);
/// 8 Frame, 9 Decode, 10 Repair, 11 Encode, 12 Commit and Flush (<see cref="StreamPump"/>); and whatever happens, once, Settle.
/// </summary>
internal sealed class RequestLifecycle(
    CurrentConfiguration configuration, Admission admission, Instruments instruments, Router router, UpstreamAccess upstreams, UpstreamHabits habits, RequestSettlement settlement)
{
    /// <summary>How long a failed stream's error event may take to reach the client before the connection is closed.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromMilliseconds(100);

    /// <summary>Above this size a request's work leaves the thread it came in on; see docs/performance.md.</summary>
    private const int LargeBodyBytes = 64 * 1024;

    public Task RunAsync(HttpContext http, ClientDialect dialect) => RunAsync(http, dialect, ServeChatAsync);

    /// <summary>The same frame around another kind of work: Accept before it, errors and Settle after it.</summary>
    public async Task RunAsync(HttpContext http, ClientDialect dialect, Func<Exchange, ClientDialect, Task<ProxyError?>> serve)
    {
        string requestId = instruments.Ids.Next("req_");
        using Exchange exchange = new(http, configuration.Snapshot, instruments, requestId, admission.End) { Span = RequestTracing.BeginRequest(http.Request, requestId) };
        http.Response.Headers["x-request-id"] = exchange.RequestId;
        if (dialect.RequestIdHeader is { } header) http.Response.Headers[header] = exchange.RequestId;
        bool entered = false;
        settlement.Begin(exchange);
        try
        {
            ProxyError? error = admission.Admit(exchange, out entered) ?? await AcceptAsync(exchange) ?? await serve(exchange, dialect);
            if (error is not null) await FailAsync(exchange, dialect, error);
            else await exchange.Output.FinishAsync(exchange.Token);
        }
        catch (OperationCanceledException) when (exchange.Token.IsCancellationRequested)
        {
            await FailAsync(exchange, dialect, exchange.EndError());
        }
        catch (Exception fault)
        {
            // A client's hang-up is known an instant before it has cancelled everything: a cancellation in that instant is its doing, too.
            if (!exchange.ClientIsGone) RequestLog.Internal(instruments.Logger, fault, exchange.RequestId);
            await FailAsync(exchange, dialect, exchange.ClientIsGone ? OwnErrors.ClientGone() : OwnErrors.Internal());
        }
        finally
        {
            if (entered) admission.Leave();
            settlement.Settle(exchange, dialect.Name);
            exchange.Answer?.Dispose();
        }
    }

    /// <summary>What the client's key allows, for a request whose model is known and that is to go to an upstream.</summary>
    public ProxyError? EnterClient(Exchange exchange) => exchange.Client is null ? null : admission.Enter(exchange, router.ModelOf(exchange, exchange.AskedModel));

    /// <summary>1 Accept, after <see cref="Admission.Admit"/>: one bounded read of the body.</summary>
    private static async ValueTask<ProxyError?> AcceptAsync(Exchange exchange) =>
        await BodyReader.ReadAsync(exchange.Http.Request, exchange.Body, exchange.Snapshot.Limits.BodyBytes, exchange.Token);

    private async Task<ProxyError?> ServeChatAsync(Exchange exchange, ClientDialect dialect)
    {
        // Reading a large body takes its time, and this may be the thread that serves the sockets of all other streams.
        if (exchange.Body.Length > LargeBodyBytes) await Task.Yield();

        // 2 Parse
        IncomingRequest? incoming = dialect.Parse(exchange, out ProxyError? fault);
        if (incoming is null) return fault;
        foreach (string note in incoming.Notes)
        {
            instruments.Metrics.TranslationNoted(note);
            RequestLog.Translated(instruments.Logger, exchange.RequestId, PrintableText.Of(note));
        }

        if (PrintableText.HasControl(incoming.Chat.Model)) return OwnErrors.ControlCharactersInModel();
        exchange.IsStreaming = incoming.Stream;
        exchange.AskedModel = incoming.Chat.Model;
        TimeoutsSnapshot timeouts = exchange.Snapshot.Timeouts;
        exchange.LimitLifetime(incoming.Stream ? timeouts.Streaming : timeouts.Request);

        // 3 Route
        if (EnterClient(exchange) is { } refused) return refused;
        using RouteSession route = router.Open(exchange, incoming.Chat.Model, incoming.Chat.Body, incoming.Chat.Messages.In(incoming.Chat.Body.Span));

        // 4 … 12
        await using AnswerLoop loop = new(upstreams, habits, exchange, incoming, route);
        return await loop.RunAsync();
    }

    /// <summary>
    /// Tells the client in its dialect: as a JSON body while nothing was sent, as an error event afterwards. A failed stream ends by closing the
    /// connection without the end of the body, since half of the clients take an orderly end for a whole answer.
    /// </summary>
    private async Task FailAsync(Exchange exchange, ClientDialect dialect, ProxyError error)
    {
        exchange.Error = error;
        // Whoever reads the error may ask again at once, and this request runs no more.
        RequestSettlement.Book(exchange);
        if (exchange.ClientIsGone) return;
        HttpContext http = exchange.Http;
        if (!http.Response.HasStarted && exchange.Output.Written == 0)
        {
            if (dialect.IsSaidInStream(error) && exchange.Answer is { IsStream: true } told)
            {
                await EndInOrderAsync(exchange, told, error);
                return;
            }

            ResponseHeads.WriteFailure(exchange, error);
            byte[] body = dialect.WriteError(error);
            http.Response.ContentType = "application/json";
            http.Response.ContentLength = body.Length;
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
            using Deadline deadline = new(instruments.Time, TimeSpan.FromSeconds(10), limit);
            exchange.Output.Write(body);
            await WriteOrGiveUpAsync(async () => await exchange.Output.FlushAsync(limit.Token));
            return;
        }

        using CancellationTokenSource last = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        using Deadline lastDeadline = new(instruments.Time, TimeSpan.FromSeconds(2), last);
        await WriteOrGiveUpAsync(async () =>
        {
            if (exchange.Answer is { IsStream: true } answer) answer.WriteError(error);
            await exchange.Output.FlushAsync(last.Token);
            await Task.Delay(LastWords, instruments.Time, last.Token);
        });
        http.Abort();
    }

    /// <summary>The error event as the end of a whole response, and the end of the connection.</summary>
    private async Task EndInOrderAsync(Exchange exchange, DownstreamAnswer answer, ProxyError error)
    {
        ResponseHeads.WriteStream(exchange, upstream: null);
        exchange.Http.Response.Headers.Connection = "close";
        answer.WriteError(error);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(exchange.Http.RequestAborted);
        using Deadline deadline = new(instruments.Time, TimeSpan.FromSeconds(2), limit);
        await WriteOrGiveUpAsync(async () => await exchange.Output.FlushAsync(limit.Token));
    }

    /// <summary>The client may be gone by now or read nothing any more; then there is nobody left to tell.</summary>
    private static async Task WriteOrGiveUpAsync(Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // Settle reports the failure that led here; that its text was not read either is no second one.
        }
    }
}
