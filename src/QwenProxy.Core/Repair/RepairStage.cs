using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair;

/// <summary>
/// One synchronous step between decoding and encoding. It edits the borrowed event in place, holds a copy back, or adds events of its own, and
/// pushes what is to go on to <see cref="Next"/>. An event it has nothing to say about is pushed on untouched, without allocating.
/// A stage sees no clock: whoever drives the chain calls <see cref="LetGo"/> when a hold has lasted too long.
/// </summary>
public abstract class RepairStage
{
    /// <summary>The name used in the configuration, metrics and logs.</summary>
    public abstract string Name { get; }

    /// <summary>The following stage or the encoder. Set by <see cref="RepairChain"/>.</summary>
    public IEventSink Next { get; internal set; } = null!;

    /// <summary>True while text or events wait here for a decision.</summary>
    public virtual bool IsHolding => false;

    public abstract void Push(ChatEvent chatEvent);

    /// <summary>Time or room for holding is up: pass on everything held, as it came.</summary>
    public virtual void LetGo()
    {
    }

    /// <summary>Upstream has ended and no further event comes: pass on everything held.</summary>
    public virtual void Finish() => LetGo();
}
