namespace QwenProxy.Configuration;

/// <summary>The configuration in force. A request takes it once and keeps what it took; a reload swaps it for those that come after.</summary>
internal sealed class CurrentConfiguration(ProxySnapshot first)
{
    private volatile ProxySnapshot _snapshot = first;

    public ProxySnapshot Snapshot
    {
        get => _snapshot;
        set => _snapshot = value;
    }
}
