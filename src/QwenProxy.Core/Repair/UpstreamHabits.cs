using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Core.Repair.Thinking;

namespace QwenProxy.Core.Repair;

/// <summary>What streams have taught about the upstreams they came from.</summary>
public sealed class UpstreamHabits
{
    /// <summary>Who says text twice.</summary>
    public StutterPrior Stutter { get; set; } = new();

    /// <summary>Who thinks in the content.</summary>
    public ThinkingPrior Thinking { get; set; } = new();
}
