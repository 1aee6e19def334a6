using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;

namespace QwenProxy.Core.Tests.Dialects;

public sealed class StreamRedactionTests
{
    [Theory]
    [InlineData("data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"Hi, Bob 7!\"}}],\"n\":12}", "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"xx, xxx x!\"}}],\"n\":12}")]
    [InlineData("data: {\"content\":\"a\\n\\\"b\\\" \\u00e9 é 字你 🙂\"}", "data: {\"content\":\"x\\n\\\"x\\\" \\u0078 ø 字字 🔤\"}")]
    [InlineData("data: {\"content\":\"<think>so</think> <b>\"}", "data: {\"content\":\"<think>xx</think> <x>\"}")]
    [InlineData("data: {\"name\":\"run\",\"arguments\":\"{\\\"path\\\":\\\"/x/1\\\"}\"}", "data: {\"name\":\"run\",\"arguments\":\"{\\\"xxxx\\\":\\\"/x/x\\\"}\"}")]
    [InlineData("data: {\"content\":\"cut", "data: {\"xxxxxxx\":\"xxx")]
    [InlineData("id:5\nevent:message\n:HTTP_STATUS/200\ndata: [DONE]\n\n", "id:5\nevent:message\n:HTTP_STATUS/200\ndata: [DONE]\n\n")]
    [InlineData(": a comment\r\nsecret: 1", ": x xxxxxxx\r\nxxxxxx: x")]
    public void Text_BecomesXAndTheRestStays(string stream, string expected)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(stream);
        StreamRedaction.Redact(bytes);
        Assert.Equal(expected, Encoding.UTF8.GetString(bytes));
    }

    [Fact]
    public void StreamCutAnywhere_NeverThrowsNorChangesItsLength()
    {
        byte[] whole = Encoding.UTF8.GetBytes("data: {\"content\":\"é 字 🙂 \\u00e9 <think\"}\n\nx\\u00");
        for (int length = 0; length <= whole.Length; length++)
        {
            byte[] cut = whole[..length];
            StreamRedaction.Redact(cut);
            Assert.Equal(whole[..length].Count(b => b is (byte)'\n' or (byte)'"'), cut.Count(b => b is (byte)'\n' or (byte)'"'));
            Assert.DoesNotContain("字 🙂", Encoding.UTF8.GetString(cut), StringComparison.Ordinal);
        }
    }
}
