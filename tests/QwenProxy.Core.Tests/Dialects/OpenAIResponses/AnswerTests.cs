using System.Buffers;
using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Dialects.OpenAIResponses;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Testing;
using QwenProxy.Wire;
using static QwenProxy.Core.Tests.Dialects.OpenAIResponses.ResponsesRun;

namespace QwenProxy.Core.Tests.Dialects.OpenAIResponses;

public sealed class AnswerTests
{
    private const string Request =
        """{"model":"m","input":"x","stream":true,"tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"}]}""";

    [Fact]
    public void Failure_BeforeAnyEvent_IsStillAWellFormedStream()
    {
        string stream = Of(Request).Failed("", Error(FaultKind.Cut, "upstream_protocol_error"));
        Assert.Equal(["created", "in_progress", "failed"], Types(stream));
        JsonElement response = Ending(stream);
        Assert.Equal("failed", response.GetProperty("status").GetString());
        Assert.Equal("""{"code":"upstream_protocol_error","message":"It broke. Do this."}""", response.GetProperty("error").GetRawText());
        Assert.Equal(0, response.GetProperty("output").GetArrayLength());
    }

    [Fact]
    public void Failure_InTheMiddle_EndsNoItemAndNothingFollows()
    {
        string call = Call("""{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":1}"}}""");
        string stream = Of(Request).Failed(Text("Hello") + call, Error(FaultKind.IdleTimeout, "upstream_timeout"));
        string[] types = Types(stream);
        Assert.Equal("failed", types[^1]);
        Assert.Single(types, t => t is "failed" or "completed" or "incomplete");
        Assert.DoesNotContain("function_call_arguments.done", types);
        JsonElement output = Ending(stream).GetProperty("output");
        Assert.Equal(["completed", "incomplete"], output.EnumerateArray().Select(i => i.GetProperty("status").GetString()!));
    }

    [Theory]
    [InlineData(FaultKind.ContextTooLong, "invalid_parameter_error", "context_length_exceeded")]
    [InlineData(FaultKind.RateLimited, "insufficient_quota", "rate_limit_exceeded")]
    [InlineData(FaultKind.QuotaExhausted, "Throttling.AllocationQuota", "insufficient_quota")]
    [InlineData(FaultKind.ContentFilter, "data_inspection_failed", "data_inspection_failed")]
    [InlineData(FaultKind.ServerError, null, "server_error")]
    public void FailureCode_SaysWhatTheClientShouldDo(FaultKind kind, string? code, string expected)
    {
        JsonElement error = Ending(Of(Request).Failed("", Error(kind, code))).GetProperty("error");
        Assert.Equal(expected, error.GetProperty("code").GetString());
    }

    [Fact]
    public void RateLimit_TellsTheTimeToWaitInWords()
    {
        ProxyError error = Error(FaultKind.RateLimited, "limit_requests") with { RetryAfter = TimeSpan.FromSeconds(2.5) };
        string message = Ending(Of(Request).Failed("", error)).GetProperty("error").GetProperty("message").GetString()!;
        Assert.EndsWith("Please try again in 3s.", message);
    }

    [Fact]
    public void ErrorBody_HasOpenAIsShape()
    {
        ProxyError error = Error(FaultKind.InvalidRequest, "bad") with { Status = 400, Param = "input", RequestId = "r-1" };
        Assert.Equal(
            """{"error":{"message":"It broke. Do this.","type":"invalid_request_error","param":"input","code":"bad"},"request_id":"r-1"}""",
            Encoding.UTF8.GetString(ResponsesErrors.Write(error)));
    }

    [Fact]
    public void Ending_WaitsForTheUsageBehindTheFinishReason()
    {
        string usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
        string stream = Of(Request).Stream(Text("a") + Finish() + usage);
        Assert.Equal("completed", Types(stream)[^1]);
        Assert.Equal(
            """{"input_tokens":3,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2"""
            + ""","output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}""",
            Ending(stream).GetProperty("usage").GetRawText());
        Assert.DoesNotContain("[DONE]", stream);
    }

    [Fact]
    public void Usage_ThatNeverCame_IsZeroes()
    {
        // Clients with a schema for the last event refuse one without counts, and take the whole answer for a failure.
        JsonElement usage = Ending(Of(Request).Stream(Text("a") + Finish())).GetProperty("usage");
        Assert.Equal(0, usage.GetProperty("total_tokens").GetInt32());
    }

    [Fact]
    public void EditedText_IsSaidInItsNewWords()
    {
        string upstream = Text("one") + Text("two") + Text("three") + Finish();
        void Edit(ChatEvent e)
        {
            for (int i = 0; i < e.Parts.Length; i++)
            {
                string text = Encoding.UTF8.GetString(e.Text(e.Parts[i]));
                if (text == "one") e.SetText(i, "1\n\"é\""u8);
                if (text == "two") e.Remove(i);
                if (text == "three") e.Add(PartPlace.After, PartKind.Content, 0, "4"u8);
            }
        }

        string stream = Of(Request).Stream(upstream, edit: Edit);
        Assert.Equal(["1\n\"é\"", "three", "4"], Deltas(stream));
        Assert.Contains("1\\n\\\"é\\\"three4", Of(Request).Whole(upstream, Edit));
    }

    [Fact]
    public void CallOfAStagesMaking_IsACallLikeAnyOther()
    {
        void Edit(ChatEvent e)
        {
            if (e.Parts.Length > 0 && e.Parts[0].Kind == PartKind.Content) e.Remove(0);
            else if (e.Parts.Length > 0 && e.Parts[0].Kind == PartKind.Finish)
            {
                e.Add(PartPlace.Before, PartKind.ToolCall, 0, "{\"a\":1}"u8, 0, "call_s", "f");
                e.SetText(0, "tool_calls"u8);
            }
        }

        JsonElement call = Ending(Of(Request).Stream(Text("<tool_call>") + Finish(), edit: Edit)).GetProperty("output")[0];
        Assert.Equal("call_s f {\"a\":1}", $"{call.GetProperty("call_id")} {call.GetProperty("name")} {call.GetProperty("arguments")}");
    }

    [Theory]
    [InlineData("""{"index":0,"function":{"name":"f","arguments":"{}"}}""", "", "call_2 f {}")]
    [InlineData(
        """{"index":0,"id":"c","function":{"arguments":"{\"a\""}}""",
        """{"index":0,"id":"","function":{"name":"f","arguments":":1}"}}""",
        "c f {\"a\":1}")]
    [InlineData("""{"index":0,"id":"c","function":{"name":"f","arguments":{"a":"é"}}}""", "", "c f {\"a\":\"é\"}")]
    [InlineData("""{"id":"c","function":{"name":"f","arguments":"{"}}""", """{"function":{"arguments":"}"}}""", "c f {}")]
    [InlineData("""{"index":0,"id":"c","function":{"name":"f","arguments":null}}""", """{"index":0,"id":"other","function":{"name":""}}""", "c f {}")]
    public void OddCalls_AreCompleted(string first, string second, string expected)
    {
        string upstream = Call(first) + (second.Length > 0 ? Call(second) : "");
        string stream = Of(Request).Stream(upstream + Finish("tool_calls"));
        JsonElement call = Ending(stream).GetProperty("output")[0];
        Assert.Equal(expected, $"{call.GetProperty("call_id")} {call.GetProperty("name")} {call.GetProperty("arguments")}");
        Assert.Equal(call.GetProperty("arguments").GetString(), string.Concat(Deltas(stream)));
    }

    [Theory]
    [InlineData("length", "incomplete")]
    [InlineData("tool_calls", "completed")]
    public void CallThatNeverGetsAName_IsLeftOut(string finish, string status)
    {
        JsonElement response = Ending(Of(Request).Stream(Call("""{"index":0,"id":"c","function":{"arguments":"{\"a\""}}""") + Finish(finish)));
        Assert.Equal(status, response.GetProperty("status").GetString());
        Assert.DoesNotContain("_call", response.GetProperty("output").GetRawText());
    }

    [Fact]
    public void CallsWithoutIndexOrId_AreToldApartByTheirNames()
    {
        string first = Call("""{"function":{"name":"f","arguments":"{\"a\":1}"}}""");
        string upstream = first + first.Replace("1", "2", StringComparison.Ordinal);
        JsonElement output = Ending(Of(Request).Stream(upstream + Finish("tool_calls"))).GetProperty("output");
        Assert.Equal(["{\"a\":1}", "{\"a\":2}"], output.EnumerateArray().Select(i => i.GetProperty("arguments").GetString()!));
    }

    [Theory]
    [InlineData("{\\\"input\\\":\\\"a\\\\nb\\\"}", "a\nb")]
    [InlineData("*** Begin", "*** Begin")]
    [InlineData("{\\\"patch\\\":\\\"x\\\"}", "{\"patch\":\"x\"}")]
    [InlineData("", "")]
    public void CustomToolInput_IsTheArgumentOrAllThatWasWritten(string arguments, string expected)
    {
        string call = Call("""{"index":0,"id":"c1","function":{"name":"c","arguments":"X"}}""").Replace("X", arguments, StringComparison.Ordinal);
        JsonElement item = Ending(Of(Request).Stream(call + Finish("tool_calls"))).GetProperty("output")[0];
        Assert.Equal("custom_tool_call", Type(item));
        Assert.Equal(expected, item.GetProperty("input").GetString());
    }

    [Fact]
    public void TextBesideAnUnfinishedCall_LosesNeither()
    {
        static string Arguments(string json) =>
            Call("{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":" + JsonSerializer.Serialize(json) + "}}");

        JsonElement output = Ending(Of(Request).Stream(Arguments("{\"a\"") + Text("aside") + Arguments(":1}") + Finish())).GetProperty("output");
        Assert.Equal("{\"a\":1}", output[0].GetProperty("arguments").GetString());
        Assert.Equal("aside", output[1].GetProperty("content")[0].GetProperty("text").GetString());
    }

    [Fact]
    public void OtherChoicesAndTheTerminalMarker_SayNothing()
    {
        string other = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n";
        string stream = Of(Request).Stream(": hello\n\n" + other + Text("mine") + Finish() + "data: [DONE]\n\n");
        Assert.DoesNotContain("other", stream);
        Assert.Equal("completed", Types(stream)[^1]);
    }

    [Fact]
    public void AnotherModelThatTakesOver_IsNamedInTheEnd()
    {
        string second = (Text("b") + Finish()).Replace("qwen3.7-plus", "qwen3.7-max", StringComparison.Ordinal);
        string stream = Of(Request).Stream(Text("a") + second);
        List<JsonElement> events = ReadEvents(stream);
        Assert.Equal("qwen3.7-plus", events[0].GetProperty("response").GetProperty("model").GetString());
        Assert.Equal("qwen3.7-max", events[^1].GetProperty("response").GetProperty("model").GetString());
    }

    [Fact]
    public void SealedReasoning_ComesBackAsTheSameReasoning()
    {
        const string Body = """{"model":"m","input":"x","include":["reasoning.encrypted_content"]}""";
        string thinking = Chunk("""{"reasoning_content":"看 \"a\"\n"}""");
        JsonElement output = Ending(Of(Body).Stream(thinking + Text("t") + Finish())).GetProperty("output");
        string reasoning = output[0].GetRawText().Replace("summary_text", "lost", StringComparison.Ordinal);
        ResponsesRun next = Of($$"""{"model":"m","input":[{{reasoning}},{{output[1].GetRawText()}},{"role":"user","content":"go on"}]}""");
        Assert.Equal("看 \"a\"\n", next.Messages[0].GetProperty("reasoning_content").GetString());
    }

    [Fact]
    public void KeepAlive_IsACommentOnStreamsOnly()
    {
        ResponsesAnswerOptions options = new() { Request = Of(Request).Request, NewId = () => "1", Clock = new FakeClock() };
        using ResponsesStreamAnswer stream = new(new ArrayBufferWriter<byte>(), options);
        using ResponsesWholeAnswer whole = new(new ArrayBufferWriter<byte>(), options);
        Assert.Equal(": keep-alive\n\n", Encoding.UTF8.GetString(stream.KeepAlive.Span));
        Assert.True(whole.KeepAlive.IsEmpty);
        Assert.Throws<InvalidOperationException>(() => whole.WriteError(Error(FaultKind.Cut, null)));
    }

    [Fact]
    public void TextDelta_AllocatesNothing()
    {
        ResponsesAnswerOptions options = new() { Request = Of(Request).Request, NewId = () => "1", Clock = new FakeClock() };
        using PooledBytes output = new(1 << 20);
        using ResponsesStreamAnswer answer = new(output, options);
        using ChatEvent chatEvent = new();
        using SseFrameReader reader = new(1 << 20);
        byte[] bytes = Encoding.UTF8.GetBytes(Text("ten tokens") + Text("ten tokens"));
        bytes.CopyTo(reader.GetMemory());
        reader.Advance(bytes.Length);
        Assert.True(reader.TryRead(out SseFrame frame));
        ChatEventDecoder.Decode(frame, chatEvent);
        // The text gathered so far has grown its buffer to 16 KiB; as many events as still fit into it cost nothing more.
        for (int i = 0; i < 1200; i++) answer.Push(chatEvent);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 200; i++) answer.Push(chatEvent);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200);
    }

    private static ProxyError Error(FaultKind kind, string? code) => new()
    {
        Kind = kind,
        Source = FaultSource.Upstream,
        Status = 502,
        Code = code,
        Message = "It broke.",
        Fix = "Do this.",
    };
}
