using System.IO.Compression;
using System.Net;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>
/// Send and first Frame of one attempt at a chat stream: from the request until upstream has said something or has failed. Nothing of it has
/// reached the client, so whatever goes wrong here may be tried again.
/// </summary>
internal sealed class UpstreamCall(UpstreamAccess upstreams, CallContext context)
{
    private const int MaxErrorBytes = 1024 * 1024;
    private const int MaxPreambleBytes = 64 * 1024;

    /// <summary>Sends and waits for the first event, at most <paramref name="firstToken"/>.</summary>
    public Task<AttemptOutcome<UpstreamStream>> SendAsync(AttemptTarget target, ChatRequest chat, string query, TimeSpan firstToken, CancellationToken cancellationToken) =>
        SendAsync(target, BuildRequest(target, chat, query), native: null, firstToken, cancellationToken);

    /// <summary>As <see cref="SendAsync(AttemptTarget, ChatRequest, string, TimeSpan, CancellationToken)"/>, in the client's own dialect.</summary>
    public Task<AttemptOutcome<UpstreamStream>> SendNativeAsync(AttemptTarget target, NativeRequest native, Uri url, TimeSpan firstToken, CancellationToken cancellationToken) =>
        SendAsync(target, NewRequest(target, url + context.Client.QueryString.Value, native.Body, native.ForUpstream(target.Ask.Model)), native, firstToken, cancellationToken);

    private async Task<AttemptOutcome<UpstreamStream>> SendAsync(AttemptTarget target, HttpRequestMessage message, NativeRequest? native, TimeSpan firstToken, CancellationToken cancellationToken)
    {
        using HttpRequestMessage request = message;
        CancellationTokenSource cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Deadline deadline = new(context.Instruments.Time, firstToken, cancel);
        HttpResponseMessage? response = null;
        UpstreamStream? begun = null;
        try
        {
            response = await upstreams.Transport.SendAsync(request, context.Snapshot, cancel.Token);
            AttemptOutcome<UpstreamStream> outcome = await ReadAnswerAsync(response, target, native, cancel);
            begun = outcome.Answer;
            return outcome;
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or OperationCanceledException or InvalidDataException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return TransportFaults.Explain(failure, deadline.Passed ? firstToken : null, headersCame: response is not null, context.Snapshot.Timeouts.Connect);
        }
        finally
        {
            deadline.Dispose();
            if (begun is null)
            {
                if (response is not null) UpstreamTransport.Release(response);
                cancel.Dispose();
            }
        }
    }

    /// <summary>A body that is packed is unpacked here: the frames inside are what has to be read.</summary>
    public static async Task<Stream> OpenBodyAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken);
        foreach (string encoding in response.Content.Headers.ContentEncoding.Reverse())
        {
            body = encoding.ToLowerInvariant() switch
            {
                "gzip" or "x-gzip" => new GZipStream(body, CompressionMode.Decompress),
                "br" => new BrotliStream(body, CompressionMode.Decompress),
                "deflate" => new ZLibStream(body, CompressionMode.Decompress),
                "identity" => body,
                _ => throw new InvalidDataException($"The upstream's body has the unknown encoding {encoding}."),
            };
        }

        return body;
    }

    private HttpRequestMessage BuildRequest(AttemptTarget target, ChatRequest chat, string query)
    {
        JsonSplice splice = chat.ForUpstream(target.Ask.Model, stream: true, includeUsage: target.Account.Profile.SupportsStreamOptions);
        return NewRequest(target, target.Url("/chat/completions" + query), chat.Body, splice);
    }

    private HttpRequestMessage NewRequest(AttemptTarget target, string url, ReadOnlyMemory<byte> body, JsonSplice splice)
    {
        HttpRequestMessage request = new(HttpMethod.Post, url)
        {
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrHigher,
            Content = new SplicedContent(body, splice, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
        HeaderAllowList.CopyToUpstream(context.Client, request);
        HeaderAllowList.ApplyAccount(target.Account, request, target.Token);
        return request;
    }

    private async Task<AttemptOutcome<UpstreamStream>> ReadAnswerAsync(
        HttpResponseMessage response, AttemptTarget target, NativeRequest? native, CancellationTokenSource cancel)
    {
        Stream body = await OpenBodyAsync(response, cancel.Token);
        if (response.StatusCode != HttpStatusCode.OK && (int)response.StatusCode is < 200 or > 299) return await ReadErrorAsync(response, body, cancel.Token);
        SseFrameReader reader = new(context.Snapshot.Limits.EventBytes);
        ChatEvent first = new();
        NativeAnswer? answer = native?.CreateAnswer(context.Output);
        bool keep = false;
        try
        {
            string? type = response.Content.Headers.ContentType?.MediaType;
            if (!await BeginsAsStreamAsync(body, reader, type, cancel.Token))
            {
                return native is null ? await ReadWholeAsync(response, target, body, reader.Pending, cancel) : OwnErrors.NotAStream(type);
            }

            // What replay reads are chat streams.
            if (native is null) body = upstreams.Captures.Tee(body, reader.Pending.Span, context.Snapshot.Storage, context.RequestId, target.Account.Profile.Name);
            using PooledBytes silent = new(256);
            ProxyError? fault = await ReadFirstEventAsync(response, body, reader, frame => ReadFirst(frame, first, answer, silent), silent, cancel.Token);
            if (fault is not null) return fault;
            keep = true;
            return new UpstreamStream(response, target, body, reader, first, cancel) { Preamble = silent.Span.ToArray(), Native = answer };
        }
        finally
        {
            if (!keep)
            {
                reader.Dispose();
                first.Dispose();
                answer?.Dispose();
                await body.DisposeAsync();
            }
        }
    }

    /// <summary>Reads until the first bytes tell whether this is an event stream, whatever the content type says. They stay in the reader.</summary>
    private static async Task<bool> BeginsAsStreamAsync(Stream body, SseFrameReader reader, string? type, CancellationToken cancellationToken)
    {
        bool declared = type is null || type.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase);
        while (true)
        {
            if (StreamBeginning.Read(reader.Pending.Span, declared) is { } isStream) return isStream;
            int read = await body.ReadAsync(reader.GetMemory(), cancellationToken);
            if (read == 0) return declared;
            reader.Advance(read);
        }
    }

    /// <summary>Reads until <paramref name="take"/> knows more than that nothing was said.</summary>
    private async Task<ProxyError?> ReadFirstEventAsync(
        HttpResponseMessage response, Stream body, SseFrameReader reader, Func<SseFrame, FirstFrame> take, PooledBytes silent, CancellationToken cancellationToken)
    {
        bool ended = false;
        while (true)
        {
            while (reader.TryRead(out SseFrame frame) || (ended && reader.TryReadLast(out frame)))
            {
                FirstFrame said = take(frame);
                if (said.Fault is not null || said.Begun) return said.Fault;
            }

            if (reader.FrameTooLarge) return OwnErrors.ProtocolError($"an event larger than {context.Snapshot.Limits.EventBytes / (1024 * 1024)} MiB");
            if (ended) return UpstreamErrorReader.FromResponse((int)response.StatusCode, HeaderAllowList.OfFailure(response), silent.Span, context.Model, context.Instruments.Time.GetUtcNow());
            int read = await body.ReadAsync(reader.GetMemory(), cancellationToken);
            reader.Advance(read);
            ended = read == 0;
        }
    }

    private FirstFrame ReadFirst(SseFrame frame, ChatEvent first, NativeAnswer? native, PooledBytes silent)
    {
        if (native is null) ChatEventDecoder.Decode(frame, first);
        EventKind kind = native?.Read(frame) ?? first.Kind;
        ReadOnlyMemory<byte> error = native?.ErrorText ?? first.Data;
        switch (kind)
        {
            case EventKind.Error: return new(false, UpstreamErrorReader.FromStreamEvent(error.Span, frame.HttpStatus, context.Model));
            case EventKind.Broken: return new(false, OwnErrors.ProtocolError(native is null ? "a first event that is not JSON" : "a first event that is none of the dialect's"));
            case EventKind.Done: return new(false, OwnErrors.ProtocolError("an answer with no event in it"));
        }

        bool begun = kind == EventKind.Chunk;
        if (begun ? native is not null : silent.Length < MaxPreambleBytes) silent.Write(frame.Raw.Span);
        return new(begun, null);
    }

    private async Task<ProxyError> ReadErrorAsync(HttpResponseMessage response, Stream body, CancellationToken cancellationToken)
    {
        using PooledBytes text = new();
        await ReadAtMostAsync(body, text, MaxErrorBytes, cancellationToken);
        return UpstreamErrorReader.FromResponse((int)response.StatusCode, HeaderAllowList.OfFailure(response), text.Span, context.Model, context.Instruments.Time.GetUtcNow());
    }

    /// <summary>A 200 that is no stream: a whole answer in JSON, an error that says 200, or a web page.</summary>
    private async Task<AttemptOutcome<UpstreamStream>> ReadWholeAsync(HttpResponseMessage response, AttemptTarget target, Stream body, ReadOnlyMemory<byte> begun, CancellationTokenSource cancel)
    {
        using PooledBytes text = new();
        text.Write(begun.Span);
        if (!await ReadAtMostAsync(body, text, context.Snapshot.Limits.BodyBytes, cancel.Token)) return OwnErrors.ProtocolError("a whole answer larger than the limit");
        if (!WholeAnswerStream.TryConvert(text.Memory, out byte[] sse))
        {
            return UpstreamErrorReader.FromResponse((int)response.StatusCode, HeaderAllowList.OfFailure(response), text.Span, context.Model, context.Instruments.Time.GetUtcNow());
        }

        MemoryStream stream = new(sse);
        SseFrameReader reader = new(sse.Length, sse.Length);
        ChatEvent first = new();
        using PooledBytes silent = new();
        ProxyError? fault = await ReadFirstEventAsync(response, stream, reader, frame => ReadFirst(frame, first, native: null, silent), silent, cancel.Token);
        if (fault is null) return new UpstreamStream(response, target, stream, reader, first, cancel);
        reader.Dispose();
        first.Dispose();
        return fault;
    }

    /// <summary>False when there was more than <paramref name="limit"/> bytes; what fits is kept.</summary>
    public static async Task<bool> ReadAtMostAsync(Stream body, PooledBytes into, int limit, CancellationToken cancellationToken)
    {
        while (into.Length <= limit)
        {
            int read = await body.ReadAsync(into.GetMemory(4096), cancellationToken);
            if (read == 0) return true;
            into.Advance(read);
        }

        return false;
    }

    /// <summary>What a frame before Commit came to: nothing yet, the answer's beginning, or the attempt's end.</summary>
    private readonly record struct FirstFrame(bool Begun, ProxyError? Fault);
}
