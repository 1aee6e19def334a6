using System.Text.Json;
using QwenProxy.Simulator.Answers;

namespace QwenProxy.Simulator.Tests;

public sealed class NativeDialectTests
{
    private const string Message = """
        {"model":"qwen3.7-max","max_tokens":100,"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],
        "tools":[{"name":"look","input_schema":{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}}]}
        """;

    [Theory]
    [InlineData("/apps/anthropic/v1/messages")]
    [InlineData("/v1/messages?beta=true")]
    public async Task MessagesStream_HasTheEventsInOrder(string path)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync(path, Message, "tool-after-thinking");
        (List<string> names, List<JsonElement> data) = await ReadAsync(response);
        Assert.Equal(["message_start", "content_block_start", "ping", "content_block_delta"], names.Take(4));
        Assert.Equal(["content_block_stop", "message_delta", "message_stop"], names.TakeLast(3));
        Assert.All(data.Zip(names), pair => Assert.Equal(pair.Second, pair.First.GetProperty("type").GetString()));
        string arguments = string.Concat(data.Where(d => d.TryGetProperty("delta", out JsonElement x) && x.TryGetProperty("partial_json", out _))
            .Select(d => d.GetProperty("delta").GetProperty("partial_json").GetString()));
        Assert.Equal(SimulatedAnswers.Meant("tool-after-thinking", Message.Bytes()).ToolCalls[0].Arguments, arguments);
        Assert.Equal("tool_use", data[^2].GetProperty("delta").GetProperty("stop_reason").GetString());
    }

    [Theory]
    [InlineData("messages", "content_block_delta", "delta", "text")]
    [InlineData("responses", "response.output_text.delta", "delta", null)]
    public async Task EventsScenario_AddsUpToItsTextInEachDialect(string path, string deltaEvent, string member, string? inner)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync(path, """{"model":"m","stream":true,"input":"hi","messages":[]}""", "events?count=300&bytes=40");
        (List<string> names, List<JsonElement> data) = await ReadAsync(response);
        IEnumerable<JsonElement> deltas = data.Where((_, i) => names[i] == deltaEvent).Select(d => inner is null ? d.GetProperty(member) : d.GetProperty(member).GetProperty(inner));
        Assert.Equal(SimulatedAnswers.EventsText(300, 40), string.Concat(deltas.Select(d => d.GetString())));
        Assert.Equal(path == "messages" ? "message_stop" : "response.completed", names[^1]);
    }

    [Fact]
    public async Task MessagesWhole_HasTheSameBlocks()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("messages", Message.Replace("\"stream\":true,", ""), "tool-after-text");
        JsonElement whole = (await response.Content.ReadAsStringAsync(Upstream.Stop)).Json();
        Assert.Equal(["text", "tool_use"], whole.GetProperty("content").EnumerateArray().Select(b => b.GetProperty("type").GetString()));
        Assert.Equal(JsonValueKind.Object, whole.GetProperty("content")[1].GetProperty("input").ValueKind);
    }

    [Fact]
    public async Task CountTokens_IsANumber()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("messages/count_tokens", Message);
        Assert.True((await response.Content.ReadAsStringAsync(Upstream.Stop)).Json().GetProperty("input_tokens").GetInt32() > 10);
    }

    [Fact]
    public async Task ResponsesStream_NumbersItsEventsAndEndsWithTheWhole()
    {
        string body = """{"model":"m","stream":true,"input":"hi","tools":[{"type":"function","name":"f","parameters":{}}]}""";
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("responses", body, "thinking");
        (List<string> names, List<JsonElement> data) = await ReadAsync(response);
        Assert.Equal(Enumerable.Range(0, data.Count), data.Select(d => d.GetProperty("sequence_number").GetInt32()));
        Assert.Equal("response.created", names[0]);
        Assert.Equal("response.completed", names[^1]);
        JsonElement output = data[^1].GetProperty("response").GetProperty("output");
        Assert.Equal(["reasoning", "message"], output.EnumerateArray().Select(i => i.GetProperty("type").GetString()));
        string text = string.Concat(data.Where((_, i) => names[i] == "response.output_text.delta").Select(d => d.GetProperty("delta").GetString()));
        SimulatedAnswer meant = SimulatedAnswers.Meant("thinking", body.Bytes());
        Assert.Equal(meant.Text, text);
        Assert.Equal(text, output[1].GetProperty("content")[0].GetProperty("text").GetString());
    }

    [Fact]
    public async Task ResponsesWhole_HoldsTheCall()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("responses", """{"model":"m","input":[{"role":"user","content":"x"}]}""",
            "tools-1");
        JsonElement item = (await response.Content.ReadAsStringAsync(Upstream.Stop)).Json().GetProperty("output")[0];
        Assert.Equal(("function_call", "get_weather"), (item.GetProperty("type").GetString(), item.GetProperty("name").GetString()));
    }

    [Fact]
    public async Task LegacyCompletions_StreamAndWholeAgree()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage streamed = await upstream.PostAsync("completions", """{"model":"m","prompt":"hi","stream":true}""");
        using HttpResponseMessage whole = await upstream.PostAsync("completions", """{"model":"m","prompt":"hi"}""");
        string text = (await whole.Content.ReadAsStringAsync(Upstream.Stop)).Json().GetProperty("choices")[0].GetProperty("text").GetString()!;
        string[] lines = (await streamed.Content.ReadAsStringAsync(Upstream.Stop)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", lines[^1]);
        Assert.Equal(text, string.Concat(lines[..^1].Select(l => l["data: ".Length..].Json().GetProperty("choices")[0].GetProperty("text")
            .GetString())));
        Assert.EndsWith("You asked: hi", text);
    }

    private static async Task<(List<string> Names, List<JsonElement> Data)> ReadAsync(HttpResponseMessage response)
    {
        string[] frames = (await response.Content.ReadAsStringAsync(Upstream.Stop)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        return ([.. frames.Select(f => f.Split('\n')[0]["event: ".Length..])], [.. frames.Select(f => f.Split('\n')[1]["data: ".Length..].Json())]);
    }
}
