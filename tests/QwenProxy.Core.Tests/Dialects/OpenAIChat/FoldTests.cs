using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Dialects.OpenAIChat;

/// <summary>A whole answer is the fold of its events: every member that came in pieces is put together, whether anybody knows it or not.</summary>
public sealed class FoldTests
{
    public static TheoryData<string, string, string> Pieces => new()
    {
        { "function_call", """{"name":"f","arguments":"{\"a\""} | {"name":"f","arguments":":1}"}""", """{"name":"f","arguments":"{\"a\":1}"}""" },
        { "audio", """{"id":"au_1","transcript":"he","expires_at":5} | {"id":"au_1","transcript":"llo","data":"QUI="} | {"expires_at":7}""", """{"id":"au_1","transcript":"hello","expires_at":7,"data":"QUI="}""" },
        { "reasoning_details", """[{"index":0,"type":"t","text":"a"}] | [{"index":0,"type":"t","text":"b"},{"index":1,"type":"t","text":"c"}] | [{"index":1,"text":"d"}]""", """[{"index":0,"type":"t","text":"ab"},{"index":1,"type":"t","text":"cd"}]""" },
        { "annotations", """[{"type":"url_citation","url":"u"}] | [{"type":"url_citation","url":"v"}]""", """[{"type":"url_citation","url":"u"},{"type":"url_citation","url":"v"}]""" },
        { "vendor", """{"deep":{"note":"x","list":[1],"flag":false}} | {"deep":{"note":"y","list":[2,3],"flag":true,"count":2}} | {"deep":{"count":3}} | null""", """{"deep":{"note":"xy","list":[1,2,3],"flag":true,"count":3}}""" },
        { "vendor", """1 | 2.50""", "2.50" },
        { "vendor", """null | "a" | null | "\u00e9" """, "\"a\\u00e9\"" },
        { "vendor", """{"request_id":"r-1"} | {"request_id":"r-1"}""", """{"request_id":"r-1"}""" },
        { "tool_calls", """[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":{"x":1}}}] | [{"index":0,"id":"a","type":"function","function":{"name":"f"}}] | [{"index":1,"id":"","type":"function","function":{"name":"g","arguments":""}}]""", """[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{\"x\":1}"}},{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]""" },
    };

    [Theory]
    [MemberData(nameof(Pieces))]
    public void MemberInPieces_IsPutTogether(string member, string pieces, string whole)
    {
        JsonElement message = Fold([.. pieces.Split(" | ").Select(p => "{\"choices\":[{\"index\":0,\"delta\":{\"" + member + "\":" + p + "}}]}")]).GetProperty("message");
        Assert.Equal(whole, message.GetProperty(member).GetRawText());
    }

    [Fact]
    public void MembersOfAChoice_JoinListsAndKeepTheLastText()
    {
        JsonElement choice = Fold(
            """{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null},"token_ids":[1],"native_finish_reason":null,"ratings":{"hate":"safe"}}]}""",
            """{"choices":[{"index":0,"delta":{"role":"assistant","content":"b"},"logprobs":{"content":[{"token":"b"}]},"token_ids":[2,3],"native_finish_reason":"STOP","ratings":{"hate":"safe"}}]}""",
            """{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","native_finish_reason":"STOP","stop_reason":151645}]}""");
        Assert.Equal("""{"role":"assistant","content":"ab","refusal":null}""", choice.GetProperty("message").GetRawText());
        Assert.Equal(2, choice.GetProperty("logprobs").GetProperty("content").GetArrayLength());
        Assert.Equal("[1,2,3]", choice.GetProperty("token_ids").GetRawText());
        Assert.Equal("STOP", choice.GetProperty("native_finish_reason").GetString());
        Assert.Equal("""{"hate":"safe"}""", choice.GetProperty("ratings").GetRawText());
        Assert.Equal(151645, choice.GetProperty("stop_reason").GetInt32());
    }

    /// <summary>A whole message has the member by OpenAI's description, whether or not the deltas had it.</summary>
    [Theory]
    [InlineData("""{"content":"a"}""", "null")]
    [InlineData("""{"content":"a","refusal":null}""", "null")]
    [InlineData("""{"content":null,"refusal":"I can't."}""", "\"I can't.\"")]
    [InlineData("""{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}""", "null")]
    public void Refusal_IsAlwaysThere(string delta, string refusal) => Assert.Equal(
        refusal,
        Fold($$"""{"choices":[{"index":0,"delta":{{delta}},"finish_reason":null}]}""").GetProperty("message").GetProperty("refusal").GetRawText());

    private static JsonElement Fold(params string[] chunks)
    {
        using OpenAIChatFold fold = new();
        foreach (string chunk in chunks)
        {
            byte[] raw = Encoding.UTF8.GetBytes($"data: {chunk}\n\n");
            using ChatEvent e = new();
            ChatEventDecoder.Decode(new SseFrame { Raw = raw, Data = raw.AsMemory(6, raw.Length - 8), DataOffset = 6, HasData = true }, e);
            fold.Push(e);
        }

        using PooledBytes output = new();
        fold.WriteTo(output);
        using JsonDocument whole = JsonDocument.Parse(output.Memory);
        return whole.RootElement.GetProperty("choices")[0].Clone();
    }
}
