using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects;

/// <summary>How one client is answered: the wire form of a stream or of a whole answer, in the client's dialect.</summary>
public abstract class DownstreamAnswer : IEventSink, IDisposable
{
    /// <summary>What a waiting client is sent so that nothing between it and the proxy gives up; empty for a whole answer.</summary>
    public abstract ReadOnlyMemory<byte> KeepAlive { get; }

    /// <summary>True when events go to the client as they come; false when they are gathered into one whole answer.</summary>
    public abstract bool IsStream { get; }

    public abstract void Push(ChatEvent chatEvent);

    /// <summary>The answer is complete: the terminal event, or the whole answer.</summary>
    public abstract void Finish();

    /// <summary>The stream failed after it began: the dialect's error event and no terminal event. Never called on a whole answer.</summary>
    public abstract void WriteError(ProxyError error);

    /// <summary>Another stream continues the answer, which keeps the first stream's id: a JSON token with quotes, or empty.</summary>
    public virtual void Continue(byte[] idToken)
    {
    }

    public virtual void Dispose() => GC.SuppressFinalize(this);
}
