using System.Text;
using QwenProxy.Core.Requests;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Requests;

public sealed class ChatRequestTests
{
    [Theory]
    [InlineData("""{"model":"m","messages":[]}""", """{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}""")]
    [InlineData("""{"model":"m","stream":true}""", """{"model":"m","stream":true,"stream_options":{"include_usage":true}}""")]
    [InlineData("""{"model":"m","stream":false}""", """{"model":"m","stream":true,"stream_options":{"include_usage":true}}""")]
    [InlineData("""{"model":"m","stream":null}""", """{"model":"m","stream":true,"stream_options":{"include_usage":true}}""")]
    [InlineData("""{"stream_options":null,"model":"m"}""", """{"stream_options":{"include_usage":true},"model":"m","stream":true}""")]
    [InlineData("""{"stream_options":{},"model":"m","stream":true}""", """{"stream_options":{"include_usage":true},"model":"m","stream":true}""")]
    [InlineData(
        """{"stream_options":{ "x":1 },"model":"m","stream":true}""",
        """{"stream_options":{"include_usage":true, "x":1 },"model":"m","stream":true}""")]
    [InlineData(
        """{"stream_options":{"include_usage":false},"model":"m","stream":true}""",
        """{"stream_options":{"include_usage":true},"model":"m","stream":true}""")]
    public void ForUpstream_AsksForAStreamAndItsUsage_AndChangesNothingElse(string body, string expected) => Assert.Equal(expected, Upstream(body, "m"));

    [Fact]
    public void ForUpstream_WhenNothingHasToChange_IsTheSameBytes()
    {
        const string body = """ { "model":"m" , "stream":true,"stream_options":{"include_usage":true},"z":[1.0,1e2,"\u4f60"] } """;
        Assert.Equal(body, Upstream(body, "m"));
    }

    [Fact]
    public void ForUpstream_ReplacesOnlyTheModelsName() =>
        Assert.Equal(
            """{"a":{"model":"inner"},"model":"q\"x","stream":true,"stream_options":{"include_usage":true}}""",
            Upstream("""{"a":{"model":"inner"},"model":"m","stream":true,"stream_options":{"include_usage":true}}""", "q\"x"));

    [Fact]
    public void ForUpstream_WithoutStream_TakesStreamOptionsOut() =>
        Assert.Equal("""{"model":"m","stream":false,"stream_options":null}""", Upstream("""{"model":"m","stream":true,"stream_options":{"x":1}}""", "m", stream: false));

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{")]
    [InlineData("""{"model":"m"}}""")]
    [InlineData("""{"model":"m",}""")]
    [InlineData("""{"messages":[]}""")]
    [InlineData("""{"model":""}""")]
    [InlineData("""{"model":7}""")]
    [InlineData("""{"model":null}""")]
    [InlineData("""{"model":"m","stream":"yes"}""")]
    [InlineData("""{"model":"m","stream":1}""")]
    public void BadBody_IsAFaultInWords(string body)
    {
        Assert.False(ChatRequest.TryParse(Encoding.UTF8.GetBytes(body), out _, out string fault));
        Assert.NotEmpty(fault);
    }

    [Fact]
    public void EscapedModel_IsReadPlain()
    {
        Assert.True(ChatRequest.TryParse("""{"model":"qwen\u002fmax\/x"}"""u8.ToArray(), out ChatRequest request, out _));
        Assert.Equal("qwen/max/x", request.Model);
    }

    [Fact]
    public void UsageAsked_IsTrueOnlyWhenTheClientSaidSo()
    {
        Assert.True(Parse("""{"model":"m","stream_options":{"include_usage":true}}""").UsageAsked);
        Assert.False(Parse("""{"model":"m","stream_options":{"include_usage":false}}""").UsageAsked);
        Assert.False(Parse("""{"model":"m"}""").UsageAsked);
    }

    private static ChatRequest Parse(string body)
    {
        Assert.True(ChatRequest.TryParse(Encoding.UTF8.GetBytes(body), out ChatRequest request, out string fault), fault);
        return request;
    }

    private static string Upstream(string body, string model, bool stream = true)
    {
        ChatRequest request = Parse(body);
        using PooledBytes output = new();
        request.ForUpstream(model, stream, includeUsage: true).WriteTo(request.Body.Span, output);
        return Encoding.UTF8.GetString(output.Span);
    }
}
