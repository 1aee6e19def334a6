using System.Text;
using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

public sealed class NativeMessagesTests
{
    [Theory]
    [InlineData("\"x-anthropic-billing-header: v=1;\\nBe kind.\"", "\"Be kind.\"")]
    [InlineData("\"x-anthropic-billing-header: v=1;\"", "\"\"")]
    [InlineData("\"Be kind. x-anthropic-billing-header: v\"", "\"Be kind. x-anthropic-billing-header: v\"")]
    [InlineData("[ {\"text\":\"x-anthropic-billing-header: v=1;\",\"type\":\"text\"} , {\"type\":\"text\",\"text\":\"B\"} ]", "[ {\"type\":\"text\",\"text\":\"B\"} ]")]
    [InlineData("[{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: v=1;\"}]", "[]")]
    [InlineData("[{\"type\":\"text\",\"text\":\"A\"},{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: v\"}]", "[{\"type\":\"text\",\"text\":\"A\"},{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: v\"}]")]
    [InlineData("null", "null")]
    public void BillingText_IsCutOutOfTheRequest(string system, string wanted)
    {
        Assert.Equal(Body(wanted, "other"), Sent(Body(system, "m"), "other", removeBillingBlock: true));
        Assert.Equal(Body(system, "m"), Sent(Body(system, "m"), "m", removeBillingBlock: false));
    }

    private static string Body(string system, string model) =>
        $$"""{"max_tokens":9,"stream":true,"system":{{system}},"messages":[{"role":"user","content":"hi"}],"model":"{{model}}"}""";

    private static string Sent(string body, string model, bool removeBillingBlock)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        Assert.True(MessagesRequestParser.TryTranslate(bytes, new MessagesOptions(), out MessagesRequest? request, out _));
        NativeRequest native = NativeMessages.Of(bytes, request, removeBillingBlock)!;
        using PooledBytes sent = new();
        native.ForUpstream(model).WriteTo(native.Body.Span, sent);
        return Encoding.UTF8.GetString(sent.Span);
    }
}
