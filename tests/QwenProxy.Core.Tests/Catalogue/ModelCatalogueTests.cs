using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Tests.Catalogue;

public sealed class ModelCatalogueTests
{
    [Theory]
    [InlineData("qwen3.7-max", "qwen3.7-max")]
    [InlineData("qwen/qwen3.7-max", "qwen3.7-max")]
    [InlineData("Qwen/Qwen3.5-397B-A17B", "qwen3.5-397b-a17b")]
    [InlineData("qwen3.7-plus-2026-07-15", "qwen3.7-plus")]
    [InlineData("qwen3-max-2026-01-23", "qwen3-max-2026-01-23")]
    public void KnownModel_IsFound(string asked, string name) => Assert.Equal(name, ModelCatalogue.TryGet(asked)!.Name);

    [Theory]
    [InlineData("")]
    [InlineData("gpt-4o")]
    [InlineData("qwen3.7-plus-2026-99-99")]
    [InlineData("qwen3.7-pl")]
    public void UnknownModel_GivesNull(string asked) => Assert.Null(ModelCatalogue.TryGet(asked));

    [Theory]
    [InlineData(1, 0.40)]
    [InlineData(256_000, 0.40)]
    [InlineData(256_001, 1.20)]
    [InlineData(5_000_000, 1.20)]
    public void Price_DependsOnInputTokens(long input, double usd) =>
        Assert.Equal((decimal)usd, ModelCatalogue.TryGet("qwen3.7-plus")!.PriceFor(input)!.Value.InputUsd);

    [Fact]
    public void CachePrices_FollowTheRuleUnlessListed()
    {
        PriceTier rule = ModelCatalogue.TryGet("qwen3.7-max")!.PriceFor(0)!.Value;
        Assert.Equal((0.25m, 3.125m, 0.5m), (rule.CacheReadUsd, rule.CacheWriteUsd, rule.ImplicitCacheReadUsd));
        Assert.Equal(0.625m, ModelCatalogue.TryGet("qwen3.6-plus")!.PriceFor(0)!.Value.CacheWriteUsd);
    }

    [Fact]
    public void ModelWithoutPrice_HasNone() => Assert.Null(ModelCatalogue.TryGet("coder-model")!.PriceFor(10));

    [Fact]
    public void EveryEntry_IsSound()
    {
        Assert.Equal(ModelCatalogue.All.Length, ModelCatalogue.All.Select(m => m.Name).Distinct().Count());
        Assert.All(ModelCatalogue.All, model =>
        {
            Assert.Equal(model.Name.ToLowerInvariant(), model.Name);
            Assert.InRange(model.MaxOutputTokens, 1, model.ContextTokens);
            Assert.Equal(model.Prices.OrderBy(p => p.UpToInputTokens), model.Prices);
            if (!model.Prices.IsEmpty) Assert.Equal(long.MaxValue, model.Prices[^1].UpToInputTokens);
        });
    }

    [Fact]
    public void SuccessorOfARetiredModel_IsOnOfferAndNotRetired() => Assert.All(ModelCatalogue.Retired, pair =>
    {
        Assert.NotNull(ModelCatalogue.TryGet(pair.Value));
        Assert.DoesNotContain(pair.Value, ModelCatalogue.Retired.Keys);
    });
}
