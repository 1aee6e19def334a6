using System.Text.Json;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

public sealed class CompactionTests
{
    private const string Asked = """{"model":"m","stream":true,"store":false,"input":[{"role":"user","content":"Sort it."},{"type":"compaction_trigger"}],"tools":[{"type":"function","name":"f"}]}""";

    [Fact]
    public void Summary_IsOneItemThatTheNextTurnReads()
    {
        string stream = ResponsesRun.Of(Asked).Stream(ResponsesRun.Text("It is ") + ResponsesRun.Text("sorted: \"a\" 完。\n") + ResponsesRun.Finish());
        JsonElement item = Assert.Single(ResponsesRun.Ending(stream).GetProperty("output").EnumerateArray());
        Assert.Equal("compaction", ResponsesRun.Type(item));
        Assert.DoesNotContain("sorted", item.GetProperty("encrypted_content").GetString()!, StringComparison.Ordinal);
        Assert.Equal(["created", "in_progress", "output_item.added", "output_item.done", "completed"], ResponsesRun.Types(stream));

        JsonElement messages = ResponsesRun.Of($$"""{"model":"m","input":[{{item.GetRawText()}},{"role":"user","content":"Go on."}]}""").Messages;
        Assert.EndsWith("\n\nIt is sorted: \"a\" 完。\n", messages[0].GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Equal("user", messages[0].GetProperty("role").GetString());
        Assert.Equal("Go on.", messages[1].GetProperty("content").GetString());
    }

    [Fact]
    public void Request_AsksForASummaryAndForNoCall()
    {
        JsonElement chat = ResponsesRun.Of(Asked).ChatJson;
        Assert.Equal("none", chat.GetProperty("tool_choice").GetString());
        Assert.Equal(1, chat.GetProperty("tools").GetArrayLength());
        JsonElement last = chat.GetProperty("messages").EnumerateArray().Last();
        Assert.Equal("user", last.GetProperty("role").GetString());
        Assert.Contains("summary", last.GetProperty("content").GetString(), StringComparison.Ordinal);
    }

    /// <summary>A trigger that is not the last item was answered long ago.</summary>
    [Fact]
    public void TriggerInTheHistory_AsksForNothing()
    {
        ResponsesRun run = ResponsesRun.Of("""{"model":"m","input":[{"type":"compaction_trigger"},{"role":"user","content":"x"}]}""");
        Assert.False(run.Request.IsCompaction);
        Assert.Equal("""[{"role":"user","content":"x"}]""", run.Messages.GetRawText());
    }

    [Fact]
    public void ThinkingAlone_IsTheSummary_AndCallsAreNone()
    {
        string upstream = ResponsesRun.Chunk("""{"reasoning_content":"all of it"}""") + ResponsesRun.Call("""{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}""") + ResponsesRun.Finish("tool_calls");
        JsonElement item = Assert.Single(ResponsesRun.Ending(ResponsesRun.Of(Asked).Stream(upstream)).GetProperty("output").EnumerateArray());
        JsonElement messages = ResponsesRun.Of($$"""{"model":"m","input":[{{item.GetRawText()}}]}""").Messages;
        Assert.EndsWith("all of it", messages[0].GetProperty("content").GetString(), StringComparison.Ordinal);
    }

    /// <summary>An empty summary in the place of a conversation would lose it.</summary>
    [Fact]
    public void NoSummary_IsAFailure()
    {
        string stream = ResponsesRun.Of(Asked).Stream(ResponsesRun.Finish());
        Assert.Equal("response.failed", ResponsesRun.Type(ResponsesRun.ReadEvents(stream)[^1]));
        Assert.Equal("failed", JsonDocument.Parse(ResponsesRun.Of(Asked).Whole(ResponsesRun.Finish())).RootElement.GetProperty("status").GetString());
    }

    [Fact]
    public void LongSummary_KeepsTheConnectionAlive()
    {
        string stream = ResponsesRun.Of(Asked).Stream(string.Concat(Enumerable.Repeat(ResponsesRun.Text(new string('x', 500)), 10)) + ResponsesRun.Finish());
        Assert.Equal(2, stream.Split(": keep-alive\n\n").Length - 1);
    }
}
