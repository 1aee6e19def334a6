using QwenProxy.Core.Catalogue;

namespace QwenProxy.Core.Tests.Catalogue;

public sealed class ModelNamesTests
{
    [Theory]
    [InlineData("qwen3.7-plus", "qwen3.7-plus", true)]
    [InlineData("qwen3.7-plus", "Qwen3.7-plus", false)]
    [InlineData("claude-*", "claude-", true)]
    [InlineData("claude-*", "claude-x-1", true)]
    [InlineData("claude-*", "claude", false)]
    [InlineData("*", "", true)]
    [InlineData("*-mini", "gpt-4o-mini", true)]
    [InlineData("*-mini", "gpt-4o-mini-2", false)]
    [InlineData("a*b*c", "a-b-b-c", true)]
    [InlineData("a*b*c", "abc", true)]
    [InlineData("a*b*c", "acb", false)]
    [InlineData("ab*ba", "aba", false)]
    [InlineData("a**b", "ab", true)]
    public void Pattern_Matches(string pattern, string name, bool matches) => Assert.Equal(matches, ModelPattern.Matches(pattern, name));

    [Fact]
    public void ManyStars_StayFast()
    {
        string pattern = string.Concat(Enumerable.Repeat("a*", 500)) + "b";
        Assert.False(ModelPattern.Matches(pattern, new string('a', 100_000)));
    }

    [Fact]
    public void FirstAliasWritten_Wins()
    {
        ModelAliases aliases = Aliases(("gpt-4o", "exact"), ("gpt-*", "wide"), ("*", "rest"));
        Assert.Equal("exact", aliases.Resolve("gpt-4o"));
        Assert.Equal("wide", aliases.Resolve("gpt-5"));
        Assert.Equal("rest", aliases.Resolve("o9"));
    }

    [Fact]
    public void AliasOfAlias_IsFollowedToTheEnd() =>
        Assert.Equal("plan/qwen3.7-max", Aliases(("best", "big"), ("big", "plan/qwen3.7-max")).Resolve("best"));

    [Fact]
    public void CatchAll_LeavesTheTargetsOfOtherAliasesAlone() =>
        Assert.Equal("qwen3.7-plus", Aliases(("gpt-4o", "qwen3.7-plus"), ("*", "qwen3.7-max")).Resolve("gpt-4o"));

    [Fact]
    public void AliasThatMatchesItsOwnTarget_IsNoCircle()
    {
        ModelAliases aliases = Aliases(("*", "qwen3.7-plus"), ("same", "same"));
        Assert.True(aliases.Follow("same", out _));
        Assert.True(aliases.Follow("anything", out string end));
        Assert.Equal("qwen3.7-plus", end);
    }

    [Fact]
    public void Circle_IsFoundAndLeavesTheNameAlone()
    {
        ModelAliases aliases = Aliases(("a", "b"), ("b", "c"), ("c", "a"));
        Assert.False(aliases.Follow("a", out _));
        Assert.Equal("a", aliases.Resolve("a"));
        Assert.True(aliases.Follow("z", out string end));
        Assert.Equal("z", end);
    }

    private static ModelAliases Aliases(params (string Name, string Target)[] entries) =>
        new([.. entries.Select(e => KeyValuePair.Create(e.Name, e.Target))]);
}
