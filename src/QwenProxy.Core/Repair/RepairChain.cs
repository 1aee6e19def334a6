using QwenProxy.Core.Events;

namespace QwenProxy.Core.Repair;

/// <summary>The stages of one stream in order, ending in the encoder. With no stages it is the encoder.</summary>
public sealed class RepairChain : IEventSink
{
    private readonly RepairStage[] _stages;
    private readonly IEventSink _first;

    public RepairChain(ReadOnlySpan<RepairStage> stages, IEventSink output)
    {
        _stages = stages.ToArray();
        Output = output;
        IEventSink next = output;
        for (int i = _stages.Length - 1; i >= 0; i--)
        {
            _stages[i].Next = next;
            next = new StageSink(_stages[i]);
        }

        _first = next;
    }

    /// <summary>Where events go after the last stage.</summary>
    public IEventSink Output { get; }

    public bool IsHolding
    {
        get
        {
            foreach (RepairStage stage in _stages)
            {
                if (stage.IsHolding) return true;
            }

            return false;
        }
    }

    public void Push(ChatEvent chatEvent) => _first.Push(chatEvent);

    /// <summary>A hold has lasted 150 ms: every stage passes on what it holds, the first one first, so that order is kept.</summary>
    public void LetGo()
    {
        foreach (RepairStage stage in _stages) stage.LetGo();
    }

    /// <summary>Upstream has ended: nothing may stay behind.</summary>
    public void Finish()
    {
        foreach (RepairStage stage in _stages) stage.Finish();
    }

    private sealed class StageSink(RepairStage stage) : IEventSink
    {
        public void Push(ChatEvent chatEvent) => stage.Push(chatEvent);
    }
}
