namespace QwenProxy.Core.Events;

/// <summary>Takes events one by one: the encoders of the dialects, the fold of a whole answer, the stages of repair.</summary>
public interface IEventSink
{
    /// <summary>The event is borrowed; keep nothing of it but copies.</summary>
    void Push(ChatEvent chatEvent);
}
