using System.ClientModel;
using System.Text;
using System.Text.Json;
using OpenAI.Chat;
using QwenProxy.Simulator;

namespace QwenProxy.Clients.Tests;

/// <summary>The official OpenAI package for .NET: chat completions.</summary>
public sealed class OpenAIChatTests
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("get_weather", "The weather in a city", BinaryData.FromString(
        """{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["celsius","fahrenheit"]}},"required":["city","unit"]}"""));

    /// <summary>Faults the proxy mends must be invisible to the SDK. Not here: stutter-s1, a short first delta twice, which no rule can prove on an unknown host.</summary>
    public static TheoryData<string> MendedScenarios =>
    [
        "healthy", "thinking", "no-role", "stutter-s2", "stutter-s4", "crlf", "no-space", "comments", "bom", "split-utf8", "gzip", "br",
        "usage-on-every-chunk", "empty-choices", "double-finish", "no-done", "native-lines", "sglang-nulls",
    ];

    [Fact]
    public async Task Chat_IsAnsweredWholeWithUsage()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ChatCompletion answer = await world.OpenAI.GetChatClient("sim-healthy").CompleteChatAsync("When does it leave? 何时？");
        Assert.Equal(world.Meant.Text, answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.True(answer.Usage.InputTokenCount > 0);
        Assert.Equal(answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount);
        Assert.NotEmpty(answer.Id);
    }

    [Theory]
    [MemberData(nameof(MendedScenarios))]
    public async Task StreamedChat_IsWhatTheModelMeant(string scenario)
    {
        string model = "sim-" + scenario;
        await using ClientWorld world = await ClientWorld.StartAsync();
        StringBuilder text = new();
        ChatFinishReason? finish = null;
        int? tokens = null;
        await foreach (StreamingChatCompletionUpdate update in world.OpenAI.GetChatClient(model).CompleteChatStreamingAsync("When does it leave?"))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) text.Append(part.Text);
            finish = update.FinishReason ?? finish;
            tokens = update.Usage?.TotalTokenCount ?? tokens;
        }

        Assert.Equal(world.Meant.Text, text.ToString());
        Assert.Equal(ChatFinishReason.Stop, finish);
        Assert.True(tokens > 0, "The SDK asks for usage, so it must come.");
    }

    [Theory]
    [InlineData("tools-1")]
    [InlineData("tools-2")]
    [InlineData("tools-1?with=leaked-hermes")]
    [InlineData("tools-1?with=leaked-xml")]
    [InlineData("tools-1?with=stutter-s8")]
    [InlineData("tools-1?with=tool-no-index")]
    [InlineData("tools-1?with=tool-finish-stop")]
    [InlineData("tools-1?with=double-encoded-args")]
    public async Task ToolLoop_CallsWithGoodArgumentsAndReadsTheResult(string scenario)
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ChatClient chat = world.OpenAI.GetChatClient("sim-" + scenario);
        List<ChatMessage> history = [new SystemChatMessage("Be brief."), new UserChatMessage("Weather?")];
        ChatCompletionOptions options = new() { Tools = { Weather } };
        ChatCompletion first = await chat.CompleteChatAsync(history, options);
        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        Assert.Equal(world.Meant.ToolCalls.Select(c => (c.Name, Compact(c.Arguments))), first.ToolCalls.Select(c => (c.FunctionName, Compact(c.FunctionArguments.ToString()))));

        history.Add(new AssistantChatMessage(first));
        foreach (ChatToolCall call in first.ToolCalls) history.Add(new ToolChatMessage(call.Id, "18 degrees"));
        ChatCompletion second = await chat.CompleteChatAsync(history, options);
        Assert.Equal(ChatFinishReason.Stop, second.FinishReason);
        Assert.Equal(world.Meant.Text, second.Content[0].Text);
    }

    [Fact]
    public async Task StreamedToolCalls_AddUpToWholeArguments()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        Dictionary<int, (string? Id, string? Name, StringBuilder Arguments)> calls = [];
        ChatFinishReason? finish = null;
        await foreach (StreamingChatCompletionUpdate update in world.OpenAI.GetChatClient("sim-tools-2")
            .CompleteChatStreamingAsync([new UserChatMessage("Weather?")], new ChatCompletionOptions { Tools = { Weather } }))
        {
            finish = update.FinishReason ?? finish;
            foreach (StreamingChatToolCallUpdate part in update.ToolCallUpdates)
            {
                if (!calls.TryGetValue(part.Index, out var call)) calls[part.Index] = call = (part.ToolCallId, part.FunctionName, new StringBuilder());
                call.Arguments.Append(part.FunctionArgumentsUpdate);
            }
        }

        Assert.Equal(ChatFinishReason.ToolCalls, finish);
        Assert.Equal(world.Meant.ToolCalls.Select(c => (c.Id, c.Name, c.Arguments)), calls.OrderBy(c => c.Key).Select(c => (c.Value.Id!, c.Value.Name!, c.Value.Arguments.ToString())));
    }

    [Fact]
    public async Task Image_ReachesUpstreamUnchanged()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ChatCompletion answer = await world.OpenAI.GetChatClient("sim-healthy").CompleteChatAsync(
            new UserChatMessage(ChatMessageContentPart.CreateTextPart("What is this?"), ChatMessageContentPart.CreateImagePart(BinaryData.FromBytes(ClientWorld.Pixel), "image/png")));
        Assert.Contains("I can see 1 image(s).", answer.Content[0].Text, StringComparison.Ordinal);
        Assert.Contains("data:image/png;base64," + Convert.ToBase64String(ClientWorld.Pixel), world.LastRequest.BodyText.Replace("\\u002B", "+", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonMode_AnswersWithJson()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ChatCompletion answer = await world.OpenAI.GetChatClient("sim-healthy").CompleteChatAsync(
            [new UserChatMessage("The boats as JSON, please.")], new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonObjectFormat() });
        using JsonDocument boats = JsonDocument.Parse(answer.Content[0].Text);
        Assert.Equal("海鸥", boats.RootElement.GetProperty("boats")[0].GetProperty("name").GetString());
    }

    [Theory]
    [InlineData("error-400-parameter", 400, "Temperature")]
    [InlineData("error-401-key-flat", 401, "Invalid API-key")]
    [InlineData("error-404-model", 404, "does not exist")]
    [InlineData("error-429-rate", 429, "exceeded your current requests")]
    [InlineData("error-503", 503, "Model is unavailable")]
    [InlineData("stream-error-dashscope", 429, "")]
    [InlineData("html-200", 502, "")]
    public async Task UpstreamError_IsTheSdksErrorWithStatusAndMessage(string scenario, int status, string message)
    {
        await using ClientWorld world = await ClientWorld.StartAsync(configure: ClientWorld.Plain);
        ChatClient chat = world.OpenAI.GetChatClient("sim-" + scenario);
        ClientResultException whole = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync("Hello"));
        Assert.Equal(status, whole.Status);
        Assert.Contains(message, whole.Message, StringComparison.Ordinal);
        ClientResultException streamed = await Assert.ThrowsAsync<ClientResultException>(async () => await chat.CompleteChatStreamingAsync("Hello").ToListAsync());
        Assert.Equal(status, streamed.Status);
    }

    [Fact]
    public async Task CutStream_IsNeverTakenForAWholeAnswer()
    {
        await using ClientWorld world = await ClientWorld.StartAsync(configure: ClientWorld.Plain);
        ChatClient chat = world.OpenAI.GetChatClient("sim-cut?events=4&how=fin");
        Exception failure = await Assert.ThrowsAnyAsync<Exception>(async () => await chat.CompleteChatStreamingAsync("Hello").ToListAsync());
        Assert.True(failure is ClientResultException or IOException or HttpRequestException or JsonException or InvalidOperationException, failure.ToString());
    }

    [Fact]
    public async Task CutStream_IsResumedUnseen()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        StringBuilder text = new();
        await foreach (StreamingChatCompletionUpdate update in world.OpenAI.GetChatClient("sim-sequence:cut?events=6&how=rst|healthy").CompleteChatStreamingAsync("Hello"))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) text.Append(part.Text);
        }

        Assert.Equal(world.Meant.Text, text.ToString());
    }

    [Fact]
    public async Task ReplayedCapture_ReadsAsTheModelMeantIt()
    {
        // A capture of our own making: what a stuttering upstream put on the wire, byte for byte.
        const string body = """{"model":"sim-stutter-s2","stream":true,"messages":[{"role":"user","content":"Once more"}]}""";
        string file = Path.Combine(Path.GetTempPath(), $"capture-{Environment.ProcessId}.sse");
        await using (SimulatorServer source = await SimulatorServer.StartAsync(new SimulatorOptions()))
        {
            using HttpClient http = new();
            using HttpResponseMessage response = await http.PostAsync(new Uri(source.BaseUrl + "/chat/completions"), new StringContent(body));
            await File.WriteAllBytesAsync(file, await response.Content.ReadAsByteArrayAsync());
        }

        try
        {
            await using ClientWorld world = await ClientWorld.StartAsync(new SimulatorOptions { ReplayFile = file });
            ChatCompletion answer = await world.OpenAI.GetChatClient("qwen3-coder-plus").CompleteChatAsync("Anything");
            Assert.Equal(SimulatedAnswers.Meant("stutter-s2", Encoding.UTF8.GetBytes(body)).Text, answer.Content[0].Text);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task AbandonedStream_HangsUpUpstream()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        await foreach (StreamingChatCompletionUpdate update in world.OpenAI.GetChatClient("sim-stall?events=3").CompleteChatStreamingAsync("Hello"))
        {
            // The first delta is here while upstream is still open, so nothing was kept back until the end.
            if (update.ContentUpdate.Count > 0) break;
        }

        await world.LastRequest.Aborted.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static string Compact(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return JsonSerializer.Serialize(document.RootElement);
    }
}
