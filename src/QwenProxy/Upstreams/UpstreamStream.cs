using QwenProxy.Core.Dialects;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>An answer that upstream has begun: its first event is decoded and waits in <see cref="Event"/>, the rest is still to be read.</summary>
internal sealed class UpstreamStream(
    HttpResponseMessage response, AttemptTarget target, Stream body, SseFrameReader reader, ChatEvent firstEvent, CancellationTokenSource cancel) : IDisposable
{
    public HttpResponseMessage Response => response;

    /// <summary>Who is answering.</summary>
    public AttemptTarget Target => target;

    public Stream Body => body;

    public SseFrameReader Reader => reader;

    /// <summary>The event that is decoded into for the whole stream.</summary>
    public ChatEvent Event => firstEvent;

    /// <summary>Comments that came before the first event, to be passed on with it; on a native stream the first event too.</summary>
    public byte[] Preamble { get; init; } = [];

    /// <summary>Not null when upstream answers in the client's own dialect.</summary>
    public NativeAnswer? Native { get; init; }

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
    }
}
