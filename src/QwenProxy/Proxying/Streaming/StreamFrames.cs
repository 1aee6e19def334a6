using QwenProxy.Core.Errors;
using QwenProxy.Wire;

namespace QwenProxy.Proxying.Streaming;

/// <summary>What is done with an upstream stream's frames, apart from time and sockets, which are <see cref="StreamPump"/>'s.</summary>
internal abstract class StreamFrames
{
    /// <summary>What ended the stream before its time; the first fault counts.</summary>
    public ProxyError? Fault { get; private set; }

    /// <summary>The end mark came, or nothing after this matters.</summary>
    public bool IsDone { get; private set; }

    public bool IsEnded => Fault is not null || IsDone;

    /// <summary>The answer is whole: what is still to come changes nothing.</summary>
    public abstract bool IsFinished { get; }

    /// <summary>False where the stream was not over when it said so before: then silence behind its end proves less.</summary>
    public virtual bool IsSureOfItsEnd => true;

    /// <summary>Text is held back and waits for the next event or for <see cref="LetGo"/>.</summary>
    public virtual bool IsHolding => false;

    /// <summary>Takes what came before the first read: the first event that says something.</summary>
    /// <param name="now">The moment in milliseconds, on the clock of the later frames.</param>
    public abstract void TakeFirst(long now);

    /// <summary>Takes a whole frame. True when upstream said something in it, so that its silence begins anew.</summary>
    public abstract bool Take(in SseFrame frame, long now);

    /// <summary>What is held has waited long enough.</summary>
    public virtual void LetGo()
    {
    }

    /// <summary>Upstream is gone and said all it had to say.</summary>
    public abstract void End();

    public void Fail(ProxyError fault) => Fault ??= fault;

    public void Done() => IsDone = true;
}
