using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Errors;

public sealed class SecretWordsTests
{
    private static readonly SecretWords Secrets = new(["sk-canary-1234", "sk-canary-1234-longer", "abc", "", null]);

    [Theory]
    [InlineData("Incorrect API key provided: sk-canary-1234.", "Incorrect API key provided: ***.")]
    [InlineData("SK-CANARY-1234 twice sk-canary-1234", "*** twice ***")]
    [InlineData("sk-canary-1234-longer", "***")]
    [InlineData("cut inside: sk-canary-12", "cut inside: ***")]
    [InlineData("cut inside: sk-canary-1234-lon", "cut inside: ***")]
    [InlineData("the abc of keys, sk-can", "the abc of keys, ***")]
    [InlineData("masked by upstream: sk-c****34", "masked by upstream: sk-c****34")]
    [InlineData("", "")]
    public void Secret_IsHiddenAlsoWhereTheTextWasCut(string text, string shown) => Assert.Equal(shown, Secrets.Hide(text));

    [Fact]
    public void CleanText_IsTheSameString()
    {
        const string text = "Rate limit reached for qwen3.7-max";
        Assert.Same(text, Secrets.Hide(text));
    }

    [Fact]
    public void Error_HoldsASecretInNoneOfItsWords()
    {
        SecretWords secrets = Secrets.And("token-of-the-day");
        ProxyError error = new()
        {
            Kind = FaultKind.InvalidKey,
            Source = FaultSource.Upstream,
            Status = 401,
            Message = "bad token-of-the-day",
            Code = "bad_sk-canary-1234",
            Type = "TOKEN-OF-THE-DAY",
            Param = "sk-canary-1234",
            RequestId = "id-sk-canary-1234",
        };
        ProxyError hidden = secrets.Hide(error);
        Assert.Equal(error with { Message = "bad ***", Code = "bad_***", Type = "***", Param = "***", RequestId = "id-***" }, hidden);
        Assert.Same(secrets, secrets.And(null).And("token-of-the-day"));
    }
}
