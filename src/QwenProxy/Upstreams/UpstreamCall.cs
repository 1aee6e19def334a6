using System.IO.Compression;
using System.Net;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>
/// Send and first Frame of one attempt: from the request until upstream has said something or has failed. Nothing of it has
/// reached the client, so whatever goes wrong here may be tried again.
/// </summary>
internal sealed class UpstreamCall(UpstreamAccess upstreams, CallContext context)
{
    private const int MaxErrorBytes = 1024 * 1024;
    private const int MaxPreambleBytes = 64 * 1024;

    /// <summary>Sends and waits for the first event, at most <paramref name="firstToken"/>.</summary>
    public async Task<AttemptOutcome<UpstreamStream>> SendAsync(AttemptTarget target, UpstreamRequest asked, TimeSpan firstToken, CancellationToken cancellationToken)
    {
        using HttpRequestMessage request = NewMessage(target, asked);
        CancellationTokenSource cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Deadline deadline = new(context.Instruments.Time, firstToken, cancel);
        HttpResponseMessage? response = null;
        UpstreamStream? begun = null;
        try
        {
            response = await upstreams.Transport.SendAsync(request, context.Snapshot, cancel.Token);
            AttemptOutcome<UpstreamStream> outcome = await ReadAnswerAsync(response, target, asked, cancel);
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

    private HttpRequestMessage NewMessage(AttemptTarget target, UpstreamRequest asked)
    {
        HttpRequestMessage request = new(HttpMethod.Post, asked.Url)
        {
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrHigher,
            Content = new SplicedContent(asked.Body, asked.Edits, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
        HeaderAllowList.CopyToUpstream(context.Client, request);
        HeaderAllowList.ApplyAccount(target.Account, request, target.Token);
        return request;
    }

    private async Task<AttemptOutcome<UpstreamStream>> ReadAnswerAsync(
        HttpResponseMessage response, AttemptTarget target, UpstreamRequest asked, CancellationTokenSource cancel)
    {
        Stream body = await OpenBodyAsync(response, cancel.Token);
        if (response.StatusCode != HttpStatusCode.OK && (int)response.StatusCode is < 200 or > 299) return await ReadErrorAsync(response, body, cancel.Token);
        SseFrameReader reader = new(context.Snapshot.Limits.EventBytes);
        ChatEvent first = ChatEvent.Rent();
        bool keep = false;
        try
        {
            string? type = response.Content.Headers.ContentType?.MediaType;
            if (!await BeginsAsStreamAsync(body, reader, type, cancel.Token))
            {
                return await ReadWholeAsync(response, target, asked, body, reader.Pending, cancel);
            }

            body = upstreams.Captures.Tee(body, reader.Pending.Span, context.Snapshot.Storage, context.RequestId, target.Account.Profile.Name);
            using PooledBytes silent = new(256);
            ProxyError? fault = await ReadFirstEventAsync(response, body, reader, frame => ReadFirst(frame, asked.Events, first, silent), silent, cancel.Token);
            if (fault is not null) return fault;
            keep = true;
            return new UpstreamStream(response, target, asked, body, reader, first, cancel) { Preamble = silent.Span.ToArray() };
        }
        finally
        {
            if (!keep)
            {
                reader.Dispose();
                first.Dispose();
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

    private FirstFrame ReadFirst(SseFrame frame, EventReader events, ChatEvent first, PooledBytes silent)
    {
        events.Read(frame, first);
        switch (first.Kind)
        {
            case EventKind.Error: return new(false, UpstreamErrorReader.FromStreamEvent(first, context.Model));
            case EventKind.Broken: return new(false, OwnErrors.ProtocolError("a first event that is not JSON of its dialect"));
            case EventKind.Done: return new(false, OwnErrors.ProtocolError("an answer with no event in it"));
        }

        bool begun = first.Kind == EventKind.Chunk;
        if (!begun && silent.Length < MaxPreambleBytes) silent.Write(frame.Raw.Span);
        return new(begun, null);
    }

    private async Task<ProxyError> ReadErrorAsync(HttpResponseMessage response, Stream body, CancellationToken cancellationToken)
    {
        using PooledBytes text = new();
        await ReadAtMostAsync(body, text, MaxErrorBytes, cancellationToken);
        return UpstreamErrorReader.FromResponse((int)response.StatusCode, HeaderAllowList.OfFailure(response), text.Span, context.Model, context.Instruments.Time.GetUtcNow());
    }

    /// <summary>A 200 that is no stream: a whole answer in JSON, an error that says 200, or a web page.</summary>
    private async Task<AttemptOutcome<UpstreamStream>> ReadWholeAsync(HttpResponseMessage response, AttemptTarget target, UpstreamRequest asked, Stream body, ReadOnlyMemory<byte> begun, CancellationTokenSource cancel)
    {
        using PooledBytes text = new();
        text.Write(begun.Span);
        if (!await ReadAtMostAsync(body, text, context.Snapshot.Limits.BodyBytes, cancel.Token)) return OwnErrors.ProtocolError("a whole answer larger than the limit");
        using PooledBytes told = new(text.Length + 256);
        if (!asked.Events.TryToStream(text.Span, told))
        {
            return UpstreamErrorReader.FromResponse((int)response.StatusCode, HeaderAllowList.OfFailure(response), text.Span, context.Model, context.Instruments.Time.GetUtcNow());
        }

        MemoryStream stream = new(told.Span.ToArray());
        SseFrameReader reader = new(told.Length, told.Length);
        ChatEvent first = ChatEvent.Rent();
        using PooledBytes silent = new();
        ProxyError? fault = await ReadFirstEventAsync(response, stream, reader, frame => ReadFirst(frame, asked.Events, first, silent), silent, cancel.Token);
        if (fault is null) return new UpstreamStream(response, target, asked, stream, reader, first, cancel);
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
