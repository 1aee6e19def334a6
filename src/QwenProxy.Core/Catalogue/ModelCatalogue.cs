using System.Collections.Frozen;
using System.Collections.Immutable;

namespace QwenProxy.Core.Catalogue;

/// <summary>
/// The models shipped with the program: sizes, abilities and prices as collected on 2026-11-22 from the vendor's pages, the public model lists of
/// clients and gateways, and the shipped qwen-code 0.24.4. Sources disagree in places; where they do the vendor's own page won, and limits took the
/// smaller figure. It is a fallback: what an account's own <c>/models</c> says comes first.
/// </summary>
public static class ModelCatalogue
{
    private const int Million = 1_000_000;
    private const int QuarterMillion = 262_144;
    private const int Output64K = 65_536;
    private const int Output32K = 32_768;

    /// <summary>In order of use for a person who reads the list: newest general models first.</summary>
    public static ImmutableArray<ModelEntry> All { get; } =
    [
        // 3.8: output 131,072 by two resellers, 65,536 by another. Thinks always by the client's flag; flash can be switched off by effort.
        new("qwen3.8-max", Million, Output64K)
        {
            Vision = true, Thinking = ThinkingMode.Always, Prices = [Flat(2m, 6m) with { CacheReadUsd = 0.25m }],
        },
        new("qwen3.8-max-0902", Million, Output64K) { Vision = true, Thinking = ThinkingMode.Always },
        new("qwen3.8-flash", Million, Output64K) { Vision = true, Thinking = ThinkingMode.OnByDefault, Prices = [Flat(0.15m, 0.47m)] },
        new("qwen3.8-27b", QuarterMillion, Output64K) { Thinking = ThinkingMode.OnByDefault },
        new("qwen3.8-2.4t-a95b", QuarterMillion, Output64K) { Thinking = ThinkingMode.Always },

        // 3.7 and 3.6: the vendor's international price page, autumn 2026; 3.6-plus from a public model list of July 2026.
        new("qwen3.7-max", Million, Output64K) { Thinking = ThinkingMode.OnByDefault, Prices = [Flat(2.50m, 7.50m)] },
        new("qwen3.7-plus", Million, Output64K)
        {
            Vision = true, Thinking = ThinkingMode.OnByDefault, Prices = [Tier(256_000, 0.40m, 1.60m), Flat(1.20m, 4.80m)],
        },
        new("qwen3.7-flash", Million, Output64K) { Vision = true, Thinking = ThinkingMode.OnByDefault },
        new("qwen3.6-plus", Million, Output64K)
        {
            Vision = true, Thinking = ThinkingMode.OnByDefault,
            Prices = [Tier(256_000, 0.50m, 3.00m) with { CacheReadUsd = 0.05m, CacheWriteUsd = 0.625m }, Flat(2.00m, 6.00m)],
        },
        new("qwen3.6-flash", Million, Output64K)
        {
            Vision = true, Thinking = ThinkingMode.OnByDefault, Prices = [Tier(256_000, 0.25m, 1.50m), Flat(1.00m, 4.00m)],
        },
        new("qwen3.6-27b", QuarterMillion, Output64K) { Thinking = ThinkingMode.OnByDefault },
        new("qwen3.6-35b-a3b", QuarterMillion, Output64K) { Thinking = ThinkingMode.OnByDefault },

        // 3.5 and older: a public model list of July 2026.
        new("qwen3.5-plus", Million, Output64K) { Vision = true, Thinking = ThinkingMode.OnByDefault, Prices = [Flat(0.40m, 2.40m)] },
        new("qwen3.5-flash", Million, Output64K) { Vision = true, Thinking = ThinkingMode.OnByDefault },
        new("qwen3.5-397b-a17b", QuarterMillion, Output64K) { Thinking = ThinkingMode.OnByDefault },
        new("qwen3-max-2026-01-23", QuarterMillion, Output32K) { Thinking = ThinkingMode.OffByDefault },
        new("qwen3-coder-next", QuarterMillion, Output64K),
        new("qwen3-coder-plus", Million, Output64K) { Prices = [Flat(1m, 5m)] },
        new("qwen3-coder-flash", Million, Output64K) { Prices = [Flat(0.30m, 1.50m)] },
        new("qwen-plus", Million, Output32K) { Thinking = ThinkingMode.OffByDefault, Prices = [Flat(0.40m, 1.20m)] },
        new("qwen-flash", Million, Output32K) { Thinking = ThinkingMode.OffByDefault, Prices = [Flat(0.05m, 0.40m)] },

        // The names of the OAuth service that ended on 2026-04-15.
        new("coder-model", Million, Output64K) { Thinking = ThinkingMode.OnByDefault },
        new("vision-model", QuarterMillion, Output32K) { Vision = true },
    ];

    private static readonly FrozenDictionary<string, ModelEntry> s_byName = All.ToFrozenDictionary(m => m.Name);

    /// <summary>
    /// Models the service retired on 2026-10-10 and what stands nearest now: its notice names a successor for the first two and the fifth, the
    /// others are our choice of the same class. Calls to a retired name fail with 404 or 400. Not applied on their own, because the Coding Plan and
    /// local servers still serve some of these names: they make the hint in an error better.
    /// </summary>
    public static FrozenDictionary<string, string> Retired { get; } = new Dictionary<string, string>
    {
        ["qwen3-coder-plus"] = "qwen3.7-plus",
        ["qwen3-max"] = "qwen3.7-max",
        ["qwen3-max-preview"] = "qwen3.7-max",
        ["qwen3.6-max-preview"] = "qwen3.7-max",
        ["qwen3-vl-flash"] = "qwen3.6-flash",
        ["qwen-turbo"] = "qwen3.7-flash",
        ["qwen-vl-max"] = "qwen3.7-plus",
        ["qwen-vl-plus"] = "qwen3.7-plus",
        ["qwq-plus"] = "qwen3.7-plus",
        ["qvq-max"] = "qwen3.7-plus",
    }.ToFrozenDictionary();

    /// <summary>
    /// Finds a model by its name, also with a maker's prefix (<c>qwen/…</c>, <c>Qwen/…</c>) or a dated suffix (<c>…-2026-07-15</c>).
    /// </summary>
    public static ModelEntry? TryGet(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        string bare = name[(name.LastIndexOf('/') + 1)..].ToLowerInvariant();
        return s_byName.GetValueOrDefault(bare) ?? s_byName.GetValueOrDefault(WithoutDate(bare));
    }

    private static string WithoutDate(string name)
    {
        const int dateLength = 11;
        if (name.Length <= dateLength) return name;
        ReadOnlySpan<char> tail = name.AsSpan(name.Length - dateLength);
        return tail[0] == '-' && DateOnly.TryParseExact(tail[1..], "yyyy-MM-dd", out _) ? name[..^dateLength] : name;
    }

    private static PriceTier Flat(decimal input, decimal output) => new(long.MaxValue, input, output);

    private static PriceTier Tier(long upTo, decimal input, decimal output) => new(upTo, input, output);
}
