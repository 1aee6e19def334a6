using System.Text;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

/// <summary>What <c>count_tokens</c> counts. That the text is the reference template's is shown by the golden counts in QwenProxy.Tests.</summary>
public sealed class MessagesTokenTextTests
{
    [Fact]
    public void Text_IsTheTemplatesOfEverythingInTheRequest()
    {
        string text = Render("""
            {"system":[{"type":"text","text":"Sys\u0021"},{"type":"text","text":"Two"}],
             "messages":[{"role":"user","content":"Hi"},
              {"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"s"},{"type":"text","text":"So"},
                {"type":"tool_use","id":"c","name":"Read","input":{ "p" : "a, b: \"c\\" , "q":[1,2] }}]},
              {"role":"user","content":[{"type":"text","text":"And"},{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"Out"}]},
                {"type":"document","title":"T","source":{"type":"text","data":"Doc"}}]}]}
            """);
        const string Expected = """
            <|im_start|>system
            Sys!

            Two<|im_end|>
            <|im_start|>user
            Hi<|im_end|>
            <|im_start|>assistant
            <think>
            Hm
            </think>

            So
            <tool_call>
            {"name": "Read", "arguments": {"p": "a, b: \"c\\", "q": [1, 2]}}
            </tool_call><|im_end|>
            <|im_start|>user
            <tool_response>
            Out
            </tool_response><|im_end|>
            <|im_start|>user
            And

            T

            Doc<|im_end|>
            <|im_start|>assistant

            """;
        Assert.Equal(Expected, text);
    }

    [Fact]
    public void Tools_AreThoseThatGoUpstream()
    {
        const string Tools = """
            [{"name":"Read","description":"Reads.","input_schema":{"type":"object"}},{"name":"Bare","input_schema":{"type":"object"}},
             {"name":"later","input_schema":{"a":1},"defer_loading":true},{"type":"web_search_20250305","name":"web"}]
            """;
        string text = Render($$"""{"system":"Sys","tools":{{Tools}},"messages":[]}""");
        Assert.StartsWith("<|im_start|>system\nSys\n\n# Tools\n\n", text, StringComparison.Ordinal);
        const string Read = """{"type": "function", "function": {"name": "Read", "description": "Reads.", "parameters": {"type": "object"}}}""";
        const string Bare = """{"type": "function", "function": {"name": "Bare", "parameters": {"type": "object"}}}""";
        Assert.Contains($"<tools>\n{Read}\n{Bare}\n</tools>", text, StringComparison.Ordinal);
        Assert.DoesNotContain("later", text, StringComparison.Ordinal);
        Assert.DoesNotContain("web", text, StringComparison.Ordinal);
    }

    /// <summary>Thinking that was not shown comes back inside its signature, goes upstream, and counts.</summary>
    [Fact]
    public void CarriedThinking_Counts()
    {
        string signature = ThinkingSignature.Carrying("Quiet\nwords"u8);
        string text = Render($$"""{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"{{signature}}"}]}]}""");
        Assert.StartsWith("<|im_start|>assistant\n<think>\nQuiet\nwords\n</think>\n\n<|im_end|>", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Images_AreAnAllowance()
    {
        const string Image = """{"type":"image","source":{"type":"base64","data":"AAAA"}}""";
        const string Body = $$"""{"messages":[{"role":"user","content":[{{Image}},{"type":"tool_result","tool_use_id":"c","content":[{{Image}}]}]}]}""";
        Assert.DoesNotContain("AAAA", Render(Body), StringComparison.Ordinal);
        Assert.True(MessagesTokenText.TryCount(Encoding.UTF8.GetBytes(Body), _ => 7, out int tokens, out _));
        Assert.Equal(7 + (2 * 1200), tokens);
        Assert.Equal("{\"input_tokens\":42}", Encoding.UTF8.GetString(MessagesTokenText.WriteCount(42)));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"messages":5,"tools":"x","system":7}""")]
    [InlineData("""{"messages":[1,{"role":5,"content":[2,{"type":"tool_use"},{"type":"tool_result"},{"type":"thinking"}]}],"tools":[3,{"input_schema":{}}]}""")]
    public void OddBody_IsCountedAsFarAsItGoes(string body) => Assert.EndsWith("<|im_start|>assistant\n", Render(body), StringComparison.Ordinal);

    [Fact]
    public void BrokenBody_IsAFault()
    {
        Assert.False(MessagesTokenText.TryCount("{"u8.ToArray(), t => t.Length, out _, out ProxyError? fault));
        Assert.Equal(400, fault.Status);
    }

    private static string Render(string body)
    {
        string text = "";
        bool counted = MessagesTokenText.TryCount(Encoding.UTF8.GetBytes(body), Keep, out _, out ProxyError? fault);
        Assert.True(counted, fault?.Message);
        return text;

        int Keep(ReadOnlySpan<byte> utf8)
        {
            text = Encoding.UTF8.GetString(utf8);
            return 0;
        }
    }
}
