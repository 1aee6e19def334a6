namespace QwenProxy.Core.Catalogue;

/// <summary>The quirks of one kind of upstream: what it accepts, what it lacks, how it thinks.</summary>
public sealed record UpstreamProfile(string Name)
{
    public override string ToString() => Name;
}
