using System.Text;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Core.Tests.Ledger;

public sealed class TokenCountsTests
{
    [Fact]
    public void UsageObject_IsReadWithItsDetails()
    {
        const string usage = """
            {"prompt_tokens":120,"completion_tokens":50,"total_tokens":170,
             "prompt_tokens_details":{"cached_tokens":100,"cache_creation_input_tokens":7,"audio_tokens":1},
             "completion_tokens_details":{"reasoning_tokens":30}}
            """;
        Assert.Equal(new TokenCounts(120, 50, 100, 7, 30), TokenCounts.Read(Encoding.UTF8.GetBytes(usage)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("{\"prompt_tokens\":1")]
    [InlineData("{\"prompt_tokens\":\"1\"}")]
    [InlineData("{\"x\":{\"prompt_tokens\":1}}")]
    public void WhatCountsNothing_IsNull(string usage) => Assert.Null(TokenCounts.Read(Encoding.UTF8.GetBytes(usage)));

    [Fact]
    public void OneSideMissing_IsZero() => Assert.Equal(new TokenCounts(5, 0), TokenCounts.Read("{\"prompt_tokens\":5,\"completion_tokens\":null}"u8));

    [Fact]
    public void Sum_AddsEveryField() => Assert.Equal(new TokenCounts(11, 22, 33, 44, 55), new TokenCounts(1, 2, 3, 4, 5) + new TokenCounts(10, 20, 30, 40, 50));
}
