using System.Buffers.Binary;
using System.Text.Json;
using QwenProxy.Simulator.Answers;

namespace QwenProxy.Simulator.Tests;

public sealed class HealthyTests
{
    [Fact]
    public async Task Stream_AddsUpToTheMeantAnswer()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream);
        SimulatedAnswer meant = SimulatedAnswers.Meant("healthy", Ask.Stream.Bytes());
        Assert.Equal(meant.Text, stream.Content);
        Assert.EndsWith(Ask.Question, meant.Text);
        Assert.Equal("stop", stream.Finish);
        Assert.True(stream.Done);
        Assert.NotNull(stream.Usage);
    }

    [Fact]
    public async Task Stream_HasTheServicesExactBytes()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Time = new Testing.FakeClock(), Seed = 7 });
        string body = """{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}""";
        string id = "chatcmpl-" + Uuid(7);
        string tail =
            $$"""],"object":"chat.completion.chunk","usage":null,"created":1767225600,"system_fingerprint":null,"model":"m","id":"{{id}}"}"""
                + "\n\n";
        string expected = """data: {"choices":[{"finish_reason":null,"logprobs":null,"delta":{"content":"","role":"assistant"},"index":0}""" + tail
            + """data: {"choices":[{"delta":{"content":"Hi\n"},"finish_reason":null,"index":0,"logprobs":null}""" + tail
            + """data: {"choices":[{"finish_reason":"stop","delta":{"content":""},"index":0,"logprobs":null}""" + tail
            + """data: {"choices":[],"object":"chat.completion.chunk","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2"""
            + ""","prompt_tokens_details":{"cached_tokens":0,"text_tokens":1},"completion_tokens_details":{"text_tokens":1}},"created":1767225600"""
            + $$""","system_fingerprint":null,"model":"m","id":"{{id}}"}""" + "\n\n"
            + "data: [DONE]\n\n";
        Assert.Equal(expected, await upstream.ChatAsync(body, "text?say=Hi%0A"));
    }

    [Fact]
    public async Task ThinkingStream_HasTheServicesDeltas()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream, "text?say=Yes&reasoning=hmm");
        Assert.Contains("""{"delta":{"content":null,"reasoning_content":"hmm"},"finish_reason":null""", stream.Data[1]);
        Assert.StartsWith("""{"choices":[{"finish_reason":null,"logprobs":null,"delta":{"content":null,"role":"assistant","reasoning_content":""},""",
            stream.Data[0]);
        Assert.StartsWith("""{"choices":[{"delta":{"content":"Yes","reasoning_content":null},""", stream.Data[2]);
        Assert.StartsWith("""{"choices":[{"finish_reason":"stop","delta":{"content":"","reasoning_content":null},""", stream.Data[3]);
        Assert.Equal(1, stream.Usage!.Value.GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32());
    }

    [Fact]
    public async Task ToolStream_HasTheServicesDeltas()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Tools, "tools-2");
        IReadOnlyList<SimulatedToolCall> meant = SimulatedAnswers.Meant("tools-2", Ask.Tools.Bytes()).ToolCalls;
        Assert.Equal(["read_file", "list"], meant.Select(c => c.Name));
        Assert.Equal(meant.Select(c => (c.Id, c.Name, c.Arguments)), stream.Calls.OrderBy(c => c.Key).Select(c => c.Value));
        Assert.StartsWith($$$"""{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"{{{meant[0].Id}}}","type":"function" """.TrimEnd()
            + ""","function":{"name":"read_file","arguments":""}}]},"finish_reason":null,""", stream.Data[1]);
        Assert.StartsWith(
            """{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"","type":"function","function":{"arguments":"{\"p"}}]},""",
            stream.Data[2]);
        Assert.Equal("tool_calls", stream.Finish);
        JsonElement arguments = meant[0].Arguments.Json();
        Assert.Equal(JsonValueKind.Number, arguments.GetProperty("limit").ValueKind);
        Assert.Equal(JsonValueKind.Number, arguments.GetProperty("lines")[0].ValueKind);
        Assert.Null(stream.Usage);
    }

    [Theory]
    [InlineData("healthy")]
    [InlineData("thinking")]
    [InlineData("tools-1")]
    [InlineData("tool-after-thinking")]
    [InlineData("json")]
    [InlineData("long?characters=3000")]
    public async Task NotStreaming_IsTheSameAnswerAsTheStream(string scenario)
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Scenario = scenario });
        StreamReading stream = await upstream.ReadStreamAsync(Ask.Stream);
        JsonElement whole = (await upstream.ChatAsync(Ask.Plain)).Json();
        JsonElement message = whole.GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("chat.completion", whole.GetProperty("object").GetString());
        Assert.Equal(stream.Content, message.GetProperty("content").GetString());
        Assert.Equal(stream.Reasoning, message.TryGetProperty("reasoning_content", out JsonElement r) ? r.GetString() : "");
        Assert.Equal(stream.Calls.Count > 0, message.TryGetProperty("tool_calls", out _));
        Assert.Equal(stream.Usage!.Value.GetRawText(), whole.GetProperty("usage").GetRawText());
    }

    [Fact]
    public async Task ToolResultInHistory_GetsProse()
    {
        string body = """
            {"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function",
            "function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"7"}],
            "tools":[{"type":"function","function":{"name":"f"}}]}
            """;
        await using Upstream upstream = await Upstream.StartAsync();
        JsonElement message = (await upstream.ChatAsync(body, "tools-1")).Json().GetProperty("choices")[0].GetProperty("message");
        Assert.False(message.TryGetProperty("tool_calls", out _));
        Assert.StartsWith("The ferry", message.GetProperty("content").GetString());
    }

    [Fact]
    public async Task Embeddings_AreTheSameAsNumbersAndAsBase64()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        async Task<JsonElement> Get(string format)
        {
            using HttpResponseMessage response = await upstream.PostAsync("embeddings",
                $$"""{"model":"text-embedding-v4","input":["a","海"],"dimensions":16,"encoding_format":"{{format}}"}""");
            return (await response.Content.ReadAsStringAsync(Upstream.Stop)).Json().GetProperty("data");
        }

        JsonElement numbers = await Get("float"), encoded = await Get("base64");
        float[] first = [.. numbers[1].GetProperty("embedding").EnumerateArray().Select(n => n.GetSingle())];
        byte[] bytes = Convert.FromBase64String(encoded[1].GetProperty("embedding").GetString()!);
        Assert.Equal(SimulatedAnswers.Embedding("海", 16), first);
        Assert.Equal(first, Enumerable.Range(0, 16).Select(i => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(i * 4))));
        Assert.NotEqual(SimulatedAnswers.Embedding("a", 16), first);
    }

    private static string Uuid(int seed)
    {
        byte[] bytes = new byte[16];
        new Random(seed).NextBytes(bytes);
        return new Guid(bytes).ToString();
    }
}
