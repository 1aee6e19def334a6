using QwenProxy.Core.Events;
using QwenProxy.Observability;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>An answer that upstream has begun: its first event is decoded and waits in <see cref="Event"/>, the rest is still to be read.</summary>
internal sealed class UpstreamStream(
    HttpResponseMessage response, AttemptTarget target, UpstreamRequest request, Stream body, SseFrameReader reader, ChatEvent firstEvent, CancellationTokenSource cancel) : IAttemptAnswer
{
    public HttpResponseMessage Response => response;

    public bool IsStream => true;

    public AttemptTelemetry? Attempt { get; set; }

    /// <summary>Who is answering.</summary>
    public AttemptTarget Target => target;

    public Stream Body => body;

    /// <summary>A read of no bytes waits until there are some; a decoder's need not.</summary>
    public bool CanWaitWithoutBuffer { get; } = response.Content.Headers.ContentEncoding.Count == 0;

    public SseFrameReader Reader => reader;

    /// <summary>The event that is decoded into for the whole stream.</summary>
    public ChatEvent Event => firstEvent;

    /// <summary>Reads frames into <see cref="Event"/>.</summary>
    public EventReader Events => request.Events;

    /// <summary>Upstream answers in the client's own dialect, which is another than chat.</summary>
    public bool IsNative => request.IsNative;

    /// <summary>What came before the first event, to be passed on with it.</summary>
    public byte[] Preamble { get; init; } = [];

    /// <summary>Cancels every read and the request itself.</summary>
    public CancellationTokenSource Cancel => cancel;

    public void Dispose()
    {
        // Disposing an unfinished response closes its connection (or resets its HTTP/2 stream): upstream stops at once.
        UpstreamTransport.Release(response);
        body.Dispose();
        reader.Dispose();
        firstEvent.Dispose();
        cancel.Dispose();
        Attempt?.Dispose();
    }
}
