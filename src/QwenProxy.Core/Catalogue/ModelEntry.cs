using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>
/// What is known of one model. Sizes are tokens. Upstream's own list wins over this one; an account's list says what it may serve.
/// </summary>
public sealed record ModelEntry(string Name, int ContextTokens, int MaxOutputTokens)
{
    /// <summary>Reads images.</summary>
    public bool Vision { get; init; }

    public ThinkingMode Thinking { get; init; } = ThinkingMode.None;

    /// <summary>Price tiers by the input tokens of a request, lowest first; empty where no price is known.</summary>
    public ImmutableArray<PriceTier> Prices { get; init; } = [];

    /// <summary>The tier that a request with so many input tokens is billed at; null where no price is known.</summary>
    public PriceTier? PriceFor(long inputTokens)
    {
        foreach (PriceTier tier in Prices)
        {
            if (inputTokens <= tier.UpToInputTokens) return tier;
        }

        return Prices.IsEmpty ? null : Prices[^1];
    }
}

public enum ThinkingMode
{
    None,

    /// <summary>Can think; off unless the request asks.</summary>
    OffByDefault,

    /// <summary>Can think; on unless the request says no.</summary>
    OnByDefault,

    /// <summary>Always thinks; a request that says no is refused.</summary>
    Always,
}

/// <summary>US dollars per million tokens, international list price, for requests of at most so many input tokens.</summary>
public readonly record struct PriceTier(long UpToInputTokens, decimal InputUsd, decimal OutputUsd)
{
    /// <summary>Reading from an explicit cache costs 10 % of the input price where no own price is listed.</summary>
    public decimal CacheReadUsd { get; init; } = InputUsd * 0.10m;

    /// <summary>Writing to an explicit cache costs 125 % of the input price.</summary>
    public decimal CacheWriteUsd { get; init; } = InputUsd * 1.25m;

    /// <summary>What the service's own, implicit cache reads cost: 20 % of the input price.</summary>
    public decimal ImplicitCacheReadUsd { get; init; } = InputUsd * 0.20m;
}
