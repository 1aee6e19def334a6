using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>One named reason to change a request for an upstream's sake. See docs/quirks.md for the facts behind each.</summary>
public sealed class QuirkRule
{
    private readonly Func<UpstreamProfile, string, bool> _applies;

    internal QuirkRule(string id, string summary, Func<UpstreamProfile, string, bool> applies, Action<RequestDraft> rewrite)
    {
        Id = id;
        Summary = summary;
        _applies = applies;
        Rewrite = rewrite;
    }

    /// <summary>The stable name, used in the configuration, metrics and logs.</summary>
    public string Id { get; }

    /// <summary>What it changes, in one line.</summary>
    public string Summary { get; }

    internal Action<RequestDraft> Rewrite { get; }

    /// <summary>Whether the rule has anything to say about requests to this kind of upstream for this model (the upstream's name for it).</summary>
    public bool Applies(UpstreamProfile profile, string model) => _applies(profile, model);

    public override string ToString() => Id;
}
