using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using static QwenProxy.Core.Tests.Dialects.OpenAIResponses.ResponsesRun;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

public sealed class StoreTests
{
    [Fact]
    public void PreviousResponse_BringsTheWholeConversationAndNotItsInstructions()
    {
        ResponsesStore store = new();
        string first = Answer(store, """{"model":"m","input":"one","instructions":"old"}""", "two");
        string second = Answer(store, $$"""{"model":"m","input":"three","previous_response_id":"{{first}}"}""", "four");
        ResponsesRun third = Of($$"""{"model":"m","instructions":"new","input":"five","previous_response_id":"{{second}}"}""", store);
        string[] messages = [.. third.Messages.EnumerateArray().Select(m => $"{m.GetProperty("role")}:{m.GetProperty("content")}")];
        Assert.Equal(["system:new", "user:one", "assistant:two", "user:three", "assistant:four", "user:five"], messages);
        Assert.Equal(second, third.Request.PreviousResponseId);
    }

    [Fact]
    public void InstructionsAsItems_StandBeforeTheStoredConversation()
    {
        ResponsesStore store = new();
        string first = Answer(store, """{"model":"m","input":"one"}""", "two");
        const string Instructions = """[{"role":"developer","content":"rules"}]""";
        ResponsesRun next = Of($$"""{"model":"m","instructions":{{Instructions}},"input":"three","previous_response_id":"{{first}}"}""", store);
        Assert.Equal(["rules", "one", "two", "three"], next.Messages.EnumerateArray().Select(m => m.GetProperty("content").GetString()!));
    }

    [Fact]
    public void Conversation_SurvivesTheLossOfItsFirstAnswers()
    {
        ResponsesStore store = new();
        string first = Answer(store, """{"model":"m","input":"one"}""", "two");
        string second = Answer(store, $$"""{"model":"m","input":"three","previous_response_id":"{{first}}"}""", "four");
        Assert.True(store.Remove("", first));
        ResponsesRun third = Of($$"""{"model":"m","input":"five","previous_response_id":"{{second}}"}""", store);
        Assert.Equal(5, third.Messages.GetArrayLength());
    }

    [Fact]
    public void PreviousResponse_CarriesCallsToTheirResults()
    {
        ResponsesStore store = new();
        const string Tools = "\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]";
        ResponsesRun run = Of($$"""{"model":"m","input":"q",{{Tools}}}""", store);
        string call = Chunk("""{"reasoning_content":"hm"}""") + Call("""{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}""");
        string id = IdOf(run.Whole(call + Finish("tool_calls")));
        const string Result = """{"type":"function_call_output","call_id":"c1","output":"r"}""";
        ResponsesRun next = Of($$"""{"model":"m","previous_response_id":"{{id}}",{{Tools}},"input":[{{Result}}]}""", store);
        Assert.Equal(
            """
            [{"role":"user","content":"q"},{"role":"assistant","content":null,"reasoning_content":"hm",
            "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"r"}]
            """.Replace("\n", "", StringComparison.Ordinal),
            next.Messages.GetRawText());
    }

    [Fact]
    public void ItemReference_StandsForTheItem()
    {
        ResponsesStore store = new();
        ResponsesRun run = Of("""{"model":"m","input":"q"}""", store);
        using JsonDocument answer = JsonDocument.Parse(run.Whole(Chunk("""{"reasoning_content":"hm"}""") + Text("said") + Finish()));
        string[] ids = [.. answer.RootElement.GetProperty("output").EnumerateArray().Select(i => i.GetProperty("id").GetString()!)];
        string references = string.Join(",", ids.Select(i => $$"""{"type":"item_reference","id":"{{i}}"}"""));
        string body = $$"""{"model":"m","input":[{"role":"user","content":"q"},{{references}}]}""";
        ResponsesRun next = Of(body, store);
        Assert.Equal(
            """[{"role":"user","content":"q"},{"role":"assistant","content":"said","reasoning_content":"hm"}]""",
            next.Messages.GetRawText());
        Assert.Empty(next.Request.Dropped);
        Assert.Equal(["input:item_reference", "input:item_reference"], Of(body, new ResponsesStore()).Request.Dropped);
    }

    [Fact]
    public void StoredResponse_IsTheOneTheClientGot()
    {
        ResponsesStore store = new();
        string whole = Of("""{"model":"m","input":"q"}""", store).Whole(Text("a") + Finish());
        Assert.True(store.TryGetResponse("", IdOf(whole), out ReadOnlyMemory<byte> json));
        Assert.Equal(whole, Encoding.UTF8.GetString(json.Span));
        Assert.True(store.Remove("", IdOf(whole)));
        Assert.False(store.Remove("", IdOf(whole)));
        Assert.False(store.TryGetResponse("", IdOf(whole), out _));
        Assert.Equal(0, store.Bytes);
        Assert.Equal("""{"id":"resp_1","object":"response","deleted":true}""", Encoding.UTF8.GetString(ResponsesStore.DeletedBody("resp_1")));
        Assert.Equal(404, ResponsesStore.NotFound("resp_1").Status);
    }

    [Fact]
    public void AnotherClient_SeesNothing()
    {
        ResponsesStore store = new();
        string id = IdOf(Of("""{"model":"m","input":"q"}""", store, "alice").Whole(Text("a") + Finish()));
        Assert.False(store.TryGetResponse("bob", id, out _));
        Assert.False(store.Remove("bob", id));
        Assert.Equal("previous_response_not_found", Refused($$"""{"model":"m","input":"x","previous_response_id":"{{id}}"}""", store).Code);
        Assert.True(store.TryGetResponse("alice", id, out _));
    }

    [Fact]
    public void StoreFalseOrAFailure_KeepsNothing()
    {
        ResponsesStore store = new();
        Of("""{"model":"m","input":"q","store":false}""", store).Whole(Text("a") + Finish());
        ProxyError error = new() { Kind = FaultKind.Cut, Source = FaultSource.Upstream, Status = 502, Message = "Cut." };
        Of("""{"model":"m","input":"q"}""", store).Failed(Text("a"), error);
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public void FullByCount_TheLongestUnusedGoes()
    {
        ResponsesStore store = new(maxResponses: 2);
        string first = Answer(store, """{"model":"m","input":"1"}""", "a");
        string second = Answer(store, """{"model":"m","input":"2"}""", "b");
        Assert.True(store.TryGetResponse("", first, out _));
        string third = Answer(store, """{"model":"m","input":"3"}""", "c");
        Assert.False(store.TryGetResponse("", second, out _));
        Assert.True(store.TryGetResponse("", first, out _));
        Assert.True(store.TryGetResponse("", third, out _));
        Assert.Equal(2, store.Count);
    }

    [Fact]
    public void FullByBytes_TheLongestUnusedGoesAndAGiantPushesNobodyOut()
    {
        ResponsesStore store = new(maxBytes: 10_000);
        string text = new('x', 500);
        string first = Answer(store, """{"model":"m","input":"1"}""", text);
        for (int i = 0; i < 20; i++) Answer(store, """{"model":"m","input":"2"}""", text);
        Assert.InRange(store.Bytes, 1, 10_000);
        Assert.InRange(store.Count, 2, 19);
        Assert.False(store.TryGetResponse("", first, out _));
        int count = store.Count;
        Answer(store, """{"model":"m","input":"3"}""", new string('y', 20_000));
        Assert.Equal(count, store.Count);
    }

    private static string Answer(ResponsesStore store, string body, string text) => IdOf(Of(body, store).Whole(Text(text) + Finish()));

    private static string IdOf(string response)
    {
        using JsonDocument json = JsonDocument.Parse(response);
        return json.RootElement.GetProperty("id").GetString()!;
    }
}
