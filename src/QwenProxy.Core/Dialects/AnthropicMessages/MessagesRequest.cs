using QwenProxy.Core.Requests;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>What the translation of a request may rely on; comes from the upstream's profile and the user's switches.</summary>
public sealed record MessagesOptions
{
    /// <summary>The upstream understands <c>cache_control</c> on content parts. False drops the markers.</summary>
    public bool CacheControl { get; init; }

    /// <summary>
    /// Rule <c>billing-block</c>: the text about itself that Claude Code puts first in <c>system</c> changes with every build and
    /// breaks prompt caches.
    /// </summary>
    public bool RemoveBillingBlock { get; init; } = true;

    /// <summary>Thinking of earlier turns goes upstream as <c>reasoning_content</c>. False drops it, for upstreams that stumble over it.</summary>
    public bool ReplayThinking { get; init; } = true;
}

public enum ThinkingMode
{
    /// <summary>The request has no <c>thinking</c>; Anthropic's own models then do not think.</summary>
    Unset,
    Disabled,

    /// <summary>With a budget.</summary>
    Enabled,

    /// <summary>The model decides, led by the effort.</summary>
    Adaptive,
}

/// <summary>How the model's thinking is shown to the client.</summary>
public enum ThinkingDisplay
{
    /// <summary>As thinking blocks.</summary>
    Shown,

    /// <summary>As thinking blocks without words; the signature brings the words back on the next turn.</summary>
    Omitted,

    /// <summary>Not at all.</summary>
    Hidden,
}

/// <summary>The client's wish about thinking, in nobody's dialect; the upstream's profile turns it into its own fields.</summary>
/// <param name="BudgetTokens">Only with <see cref="ThinkingMode.Enabled"/>.</param>
/// <param name="Effort">The client's word (<c>low</c> … <c>max</c>), not checked; null when it gave none.</param>
public readonly record struct ThinkingRequest(ThinkingMode Mode, int? BudgetTokens, string? Effort, ThinkingDisplay Display)
{
    /// <summary>
    /// For the upstream's profile. A request without <c>thinking</c> wants none: it is said upstream as a refusal, since Qwen's models would think by
    /// default, and a title would take as long as a proof.
    /// </summary>
    public ThinkingWish Wish => Mode is ThinkingMode.Unset or ThinkingMode.Disabled ? new ThinkingWish(false, null, null) : new ThinkingWish(true, BudgetTokens, Effort);

    /// <summary>The same as the user has settled it for this model.</summary>
    public ThinkingRequest Under(ThinkingPolicy policy) => policy switch
    {
        ThinkingPolicy.Off => this with { Mode = ThinkingMode.Disabled, Display = ThinkingDisplay.Hidden },
        ThinkingPolicy.On when Mode == ThinkingMode.Unset => this with { Mode = ThinkingMode.Adaptive, Display = ThinkingDisplay.Shown },
        _ => this,
    };
}

/// <summary>A Messages request in the middle's terms.</summary>
public sealed record MessagesRequest
{
    /// <summary>The OpenAI chat request as JSON, with the client's model name and stream wish, without anything about thinking.</summary>
    public required byte[] ChatBody { get; init; }

    public required string Model { get; init; }

    public required bool Stream { get; init; }

    public required ThinkingRequest Thinking { get; init; }

    public required IReadOnlyList<string> StopSequences { get; init; }

    /// <summary>
    /// What has no counterpart upstream and was left out, each kind once: <c>metadata</c>, <c>tool:web_search_20250305</c>,
    /// <c>block:server_tool_use</c>. Names only, no content.
    /// </summary>
    public required IReadOnlyList<string> Dropped { get; init; }

    /// <summary>Named rules that changed something: <c>billing-block</c>, <c>cache-markers</c>, <c>deferred-tools</c>.</summary>
    public required IReadOnlyList<string> QuirksApplied { get; init; }
}
