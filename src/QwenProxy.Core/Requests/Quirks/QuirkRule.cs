using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;

namespace QwenProxy.Core.Requests.Quirks;

/// <summary>
/// One named reason to change a request for an upstream's sake, with what it does in each wire API in which it means something. See docs/quirks.md
/// for the facts behind each.
/// </summary>
public sealed class QuirkRule
{
    private readonly Func<UpstreamProfile, string, bool> _applies;
    private readonly Action<RequestDraft>? _chat;

    internal QuirkRule(string id, string summary, Func<UpstreamProfile, string, bool> applies, Action<RequestDraft>? chat)
    {
        Id = id;
        Summary = summary;
        _applies = applies;
        _chat = chat;
    }

    /// <summary>The stable name, used in the configuration, metrics and logs.</summary>
    public string Id { get; }

    /// <summary>What it changes, in one line.</summary>
    public string Summary { get; }

    /// <summary>What it does to a native Messages request.</summary>
    internal Action<RequestDraft>? Messages { get; init; }

    /// <summary>What it does to a native Responses request.</summary>
    internal Action<RequestDraft>? Responses { get; init; }

    /// <summary>What it does to a request in a wire API; null where it has no meaning there.</summary>
    internal Action<RequestDraft>? In(WireDialect dialect) => dialect switch
    {
        WireDialect.AnthropicMessages => Messages,
        WireDialect.OpenAIResponses => Responses,
        _ => _chat,
    };

    /// <summary>Whether the rule has anything to say about requests to this kind of upstream for this model (the upstream's name for it).</summary>
    public bool Applies(UpstreamProfile profile, string model) => _applies(profile, model);

    public override string ToString() => Id;
}
