using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using QwenProxy.Core.Errors;
using QwenProxy.Observability;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Upstreams;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Lifecycle;

/// <summary>
/// Any other <c>/v1/…</c>: forwarded to the account that serves the model, with its credentials, body and query untouched. The answer is copied as
/// it comes; only an error that is no JSON object is put into words that the client can read.
/// </summary>
internal sealed class Forwarding(RequestLifecycle lifecycle, Router router, UpstreamAccess upstreams, ClientDialect dialect)
{
    private const int MaxErrorBytes = 1024 * 1024;

    public Task RunAsync(HttpContext http) => lifecycle.RunAsync(http, dialect, ServeAsync);

    private async Task<ProxyError?> ServeAsync(Exchange exchange, ClientDialect _)
    {
        ByteRange model = Find(exchange.Body.Span, out bool stream);
        exchange.IsStreaming = stream;
        exchange.LimitLifetime(stream ? exchange.Snapshot.Timeouts.Streaming : exchange.Snapshot.Timeouts.Request);
        exchange.AskedModel = model.IsEmpty ? "" : Plain(model.In(exchange.Body.Span));
        if (PrintableText.HasControl(exchange.AskedModel)) return OwnErrors.ControlCharactersInModel();
        if (lifecycle.EnterClient(exchange) is { } refused) return refused;
        using RouteSession route = router.Open(exchange, exchange.AskedModel, exchange.Body.Memory, default);
        // Not hedged: what a forwarded request does at an upstream is not known here, so it is done at one at a time.
        await using AttemptLoop attempts = new(upstreams.Authorizer, exchange, route);
        AttemptOutcome<ForwardedAnswer> outcome = await attempts.RunAsync((target, _) => SendAsync(exchange, target, model), hedgeAfter: TimeSpan.Zero);
        if (outcome.Answer is not { } answer) return outcome.Error;
        using (answer)
        {
            route.Began(answer.Response);
            ProxyError? fault = await CopyAsync(exchange, answer);
            answer.Attempt?.End(fault);
            if (fault is null) route.Succeeded();
            else route.Failed(fault);
            return fault;
        }
    }

    private static string Plain(ReadOnlySpan<byte> token)
    {
        using PooledBytes text = new(token.Length);
        JsonText.Unescape(token[1..^1], text);
        return Encoding.UTF8.GetString(text.Span);
    }

    /// <summary>The place of a JSON body's <c>model</c> string, empty for any other body; and whether a stream is asked for.</summary>
    private static ByteRange Find(ReadOnlySpan<byte> body, out bool stream)
    {
        stream = false;
        ByteRange model = default;
        int start = JsonScanner.SkipSpace(body, 0);
        if (start >= body.Length || body[start] != '{') return default;
        JsonScanner members = new(body);
        while (members.MoveNext())
        {
            if (members.NameIs("stream"u8)) stream = members.Value.In(body).SequenceEqual("true"u8);
            else if (model.IsEmpty && members.NameIs("model"u8) && members.Value.Length > 2 && body[members.Value.Start] == '"') model = members.Value;
        }

        return model;
    }

    private async Task<AttemptOutcome<ForwardedAnswer>> SendAsync(Exchange exchange, AttemptTarget target, ByteRange model)
    {
        HttpRequest client = exchange.Http.Request;
        using HttpRequestMessage request = new(new HttpMethod(client.Method), target.Url(client.Path.ToUriComponent()["/v1".Length..] + client.QueryString.Value));
        request.Version = HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrHigher;
        if (exchange.Body.Length > 0 || client.ContentLength == 0)
        {
            // The model's name is the one thing that may differ, and only where an alias or an account's name was asked for.
            JsonSplice splice = new();
            if (!model.IsEmpty && target.Ask.Model != exchange.AskedModel) splice.Replace(model, JsonText.Quote(target.Ask.Model));
            request.Content = new SplicedContent(exchange.Body.Memory, splice, client.ContentType is { } type ? HeaderText.Clean(type) : null);
        }

        if (client.Headers.Accept.Count > 0) request.Headers.TryAddWithoutValidation("Accept", HeaderText.Clean(client.Headers.Accept.ToString()));
        HeaderAllowList.CopyToUpstream(client, request);
        HeaderAllowList.ApplyAccount(target.Account, request, target.Token);
        return await HeadAsync(exchange, request);
    }

    private async Task<AttemptOutcome<ForwardedAnswer>> HeadAsync(Exchange exchange, HttpRequestMessage request)
    {
        TimeSpan idle = exchange.Snapshot.Timeouts.Idle;
        CancellationTokenSource cancel = CancellationTokenSource.CreateLinkedTokenSource(exchange.Token);
        using Deadline deadline = new(exchange.Time, idle, cancel);
        HttpResponseMessage? response = null;
        try
        {
            response = await upstreams.Transport.SendAsync(request, exchange.Snapshot, cancel.Token);
            if (response.IsSuccessStatusCode || (int)response.StatusCode is >= 300 and < 400) return new ForwardedAnswer(response, cancel);
            using PooledBytes text = new();
            Stream body = await UpstreamCall.OpenBodyAsync(response, cancel.Token);
            await UpstreamCall.ReadAtMostAsync(body, text, MaxErrorBytes, cancel.Token);
            ProxyError error = UpstreamErrorReader.FromResponse((int)response.StatusCode, HeaderAllowList.OfFailure(response), text.Span, exchange.ServedModel, exchange.Time.GetUtcNow());
            UpstreamTransport.Release(response);
            cancel.Dispose();
            return error;
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or OperationCanceledException or InvalidDataException)
        {
            if (response is not null) UpstreamTransport.Release(response);
            cancel.Dispose();
            exchange.Token.ThrowIfCancellationRequested();
            return TransportFaults.Explain(failure, deadline.Passed ? idle : null, headersCame: response is not null, exchange.Snapshot.Timeouts.Connect);
        }
    }

    private async Task<ProxyError?> CopyAsync(Exchange exchange, ForwardedAnswer answer)
    {
        HttpResponseMessage upstream = answer.Response;
        HttpResponse client = exchange.Http.Response;
        client.StatusCode = (int)upstream.StatusCode;
        HeaderAllowList.CopyToClient(upstream, client, exchange.Secrets);
        if (upstream.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type)) client.ContentType = HeaderText.Clean(exchange.Secrets.Hide(type.ToString()));
        if (upstream.Content.Headers.NonValidated.TryGetValues("Content-Encoding", out var encoding)) client.Headers.ContentEncoding = HeaderText.Clean(exchange.Secrets.Hide(encoding.ToString()));
        client.ContentLength = upstream.Content.Headers.ContentLength;
        ResponseHeads.WriteOwn(exchange);
        exchange.FirstByteAt = exchange.Time.GetTimestamp();
        TimeSpan idle = exchange.Snapshot.Timeouts.Idle;
        using Deadline silence = new(exchange.Time, idle, answer.Cancel);
        try
        {
            Stream body = await upstream.Content.ReadAsStreamAsync(answer.Cancel.Token);
            while (true)
            {
                int read = await body.ReadAsync(exchange.Output.GetMemory(16 * 1024), answer.Cancel.Token);
                if (read == 0) break;
                exchange.Output.Advance(read);
                exchange.CountUpstream(read);
                await exchange.Output.FlushAsync(exchange.Token);
                silence.Restart(idle);
            }

            await exchange.Output.FlushAsync(exchange.Token);
            return null;
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or OperationCanceledException)
        {
            exchange.Token.ThrowIfCancellationRequested();
            return silence.Passed ? OwnErrors.IdleTimeout(idle) : OwnErrors.Cut(failure);
        }
    }

    private sealed class ForwardedAnswer(HttpResponseMessage response, CancellationTokenSource cancel) : IAttemptAnswer
    {
        public HttpResponseMessage Response => response;

        public CancellationTokenSource Cancel => cancel;

        public bool IsStream => false;

        public AttemptTelemetry? Attempt { get; set; }

        public void Dispose()
        {
            UpstreamTransport.Release(response);
            cancel.Dispose();
            Attempt?.Dispose();
        }
    }
}
