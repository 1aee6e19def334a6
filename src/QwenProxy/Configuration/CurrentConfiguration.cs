using System.Collections.Immutable;

namespace QwenProxy.Configuration;

/// <summary>The configuration in force. A request takes it once and keeps what it took; a reload swaps it for those that come after.</summary>
internal sealed class CurrentConfiguration(ProxySnapshot first, DateTimeOffset now)
{
    private volatile ProxySnapshot _snapshot = first;
    private volatile string[] _refused = [];

    public ProxySnapshot Snapshot
    {
        get => _snapshot;
        set => _snapshot = value;
    }

    /// <summary>When what is in force was read.</summary>
    public DateTimeOffset LoadedAt { get; set; } = now;

    /// <summary>The faults of an edit that was refused and is not mended yet; empty when what was written is in force.</summary>
    public ImmutableArray<string> Refused
    {
        get => _refused.ToImmutableArray();
        set => _refused = [.. value];
    }
}
