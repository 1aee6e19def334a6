using System.Text;
using System.Text.Json;
using Anthropic.Exceptions;
using Anthropic.Models.Messages;
using Anthropic.Models.Models;

namespace QwenProxy.Clients.Tests;

/// <summary>The official Anthropic package for .NET against <c>/v1/messages</c>.</summary>
public sealed class AnthropicTests
{
    private static readonly Tool Weather = new()
    {
        Name = "get_weather",
        Description = "The weather in a city",
        InputSchema = new InputSchema
        {
            Properties = new Dictionary<string, JsonElement>
            {
                ["city"] = JsonSerializer.SerializeToElement(new { type = "string" }),
                ["unit"] = JsonSerializer.SerializeToElement(new Dictionary<string, string[]> { ["enum"] = ["celsius", "fahrenheit"] }),
            },
            Required = ["city", "unit"],
        },
    };

    [Fact]
    public async Task Message_IsAnsweredWholeWithUsage()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        Message answer = await world.Anthropic.Messages.Create(Ask("sim-healthy", User("When does it leave?")) with { System = "Be brief." });
        Assert.Equal(world.Meant.Text, TextOf(answer));
        Assert.Equal(StopReason.EndTurn, answer.StopReason!.Value());
        Assert.True(answer.Usage.InputTokens > 0 && answer.Usage.OutputTokens > 0);
    }

    [Fact]
    public async Task Reasoning_IsAThinkingBlockWithASignature()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        Message answer = await world.Anthropic.Messages.Create(
            Ask("sim-thinking", User("Think")) with { MaxTokens = 4096, Thinking = new ThinkingConfigEnabled { BudgetTokens = 2048 } });
        Assert.True(answer.Content[0].TryPickThinking(out ThinkingBlock? thinking));
        Assert.Equal(world.Meant.Reasoning, thinking.Thinking);
        Assert.NotEmpty(thinking.Signature);
        Assert.Equal(world.Meant.Text, TextOf(answer));
    }

    [Theory]
    [InlineData("healthy")]
    [InlineData("thinking")]
    [InlineData("stutter-s4")]
    [InlineData("crlf")]
    [InlineData("think-tags")]
    public async Task StreamedMessage_IsWhatTheModelMeant(string scenario)
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        StringBuilder text = new();
        StopReason? stop = null;
        bool ended = false;
        await foreach (RawMessageStreamEvent e in world.Anthropic.Messages.CreateStreaming(Ask("sim-" + scenario, User("When does it leave?"))))
        {
            Assert.False(ended, "Nothing comes after message_stop.");
            if (e.TryPickContentBlockDelta(out RawContentBlockDeltaEvent? delta) && delta.Delta.TryPickText(out TextDelta? piece)) text.Append(piece.Text);
            if (e.TryPickDelta(out RawMessageDeltaEvent? end)) stop = end.Delta.StopReason!.Value();
            ended = e.TryPickStop(out _);
        }

        Assert.True(ended);
        Assert.Equal(StopReason.EndTurn, stop);
        Assert.Equal(world.Meant.Text, text.ToString());
    }

    [Theory]
    [InlineData("tools-1")]
    [InlineData("tools-2")]
    [InlineData("tools-1?with=leaked-hermes")]
    [InlineData("tools-1?with=leaked-xml")]
    [InlineData("tools-1?with=stutter-s8")]
    public async Task ToolLoop_CallsWithGoodInputAndReadsTheResult(string scenario)
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        MessageCreateParams ask = Ask("sim-" + scenario, User("Weather?")) with { Tools = [Weather] };
        Message first = await world.Anthropic.Messages.Create(ask);
        Assert.Equal(StopReason.ToolUse, first.StopReason!.Value());
        List<ToolUseBlock> calls = [.. first.Content.Select(c => c.Value).OfType<ToolUseBlock>()];
        Assert.Equal(world.Meant.ToolCalls.Select(c => Compact(c.Arguments)), calls.Select(c => JsonSerializer.Serialize(c.Input)));

        Message second = await world.Anthropic.Messages.Create(ask with
        {
            Messages =
            [
                User("Weather?"),
                new AssistantMessageParam { Content = JsonSerializer.SerializeToElement(first.Content.Select(c => c.Json)) is var blocks ? new MessageContentParam(blocks) : null! },
                new UserMessageParam { Content = new MessageContentParam(calls.Select(c => (ContentBlockParam)new ToolResultBlockParam(c.ID) { Content = "18 degrees" }).ToList()) },
            ],
        });
        Assert.Equal(StopReason.EndTurn, second.StopReason!.Value());
        Assert.Equal(world.Meant.Text, TextOf(second));
    }

    [Fact]
    public async Task Image_ReachesUpstream()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        MessageParam question = new UserMessageParam
        {
            Content = new MessageContentParam(new List<ContentBlockParam>
            {
                new ImageBlockParam(new Base64ImageSource { Data = Convert.ToBase64String(ClientWorld.Pixel), MediaType = MediaType.ImagePng }),
                new TextBlockParam("What is this?"),
            }),
        };
        Message answer = await world.Anthropic.Messages.Create(Ask("sim-healthy", question));
        Assert.Contains("I can see 1 image(s).", TextOf(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tokens_AreCountedWithoutAnUpstream()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        MessageTokensCount little = await Count("Hello");
        MessageTokensCount much = await Count(string.Concat(Enumerable.Repeat("The ferry leaves at seven. ", 100)));
        Assert.InRange(little.InputTokens, 1, 50);
        Assert.InRange(much.InputTokens, 500, 900);
        Assert.Empty(world.Upstream.Requests);

        Task<MessageTokensCount> Count(string text) =>
            world.Anthropic.Messages.CountTokens(new MessageCountTokensParams { Model = "qwen3.7-plus", Messages = [User(text)] });
    }

    [Fact]
    public async Task Models_AreListedInAnthropicsShape()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ModelListPage page = await world.Anthropic.Models.List(new ModelListParams { Limit = 1000 });
        Assert.NotEmpty(page.Items);
        ModelInfo one = await world.Anthropic.Models.Retrieve(page.Items[0].ID);
        Assert.Equal(page.Items[0].ID, one.ID);
        Assert.NotEmpty(one.DisplayName);
    }

    [Theory]
    [InlineData("error-400-parameter", typeof(AnthropicBadRequestException))]
    [InlineData("error-401-key", typeof(AnthropicUnauthorizedException))]
    [InlineData("error-429-rate", typeof(AnthropicRateLimitException))]
    [InlineData("error-503", typeof(Anthropic5xxException))]
    public async Task UpstreamError_IsTheSdksErrorWithARequestId(string scenario, System.Type kind)
    {
        await using ClientWorld world = await ClientWorld.StartAsync(configure: ClientWorld.Plain);
        Exception failure = await Assert.ThrowsAnyAsync<Exception>(() => world.Anthropic.Messages.Create(Ask("sim-" + scenario, User("Hello"))));
        AnthropicApiException error = Assert.IsAssignableFrom<AnthropicApiException>(failure);
        Assert.True(kind.IsInstanceOfType(error), error.GetType().Name);
        Assert.NotEmpty(error.RequestID!);
        using JsonDocument body = JsonDocument.Parse(error.ResponseBody);
        Assert.Equal("error", body.RootElement.GetProperty("type").GetString());
        Assert.NotEmpty(body.RootElement.GetProperty("error").GetProperty("message").GetString()!);
        Assert.NotEmpty(body.RootElement.GetProperty("request_id").GetString()!);
    }

    [Fact]
    public async Task CutStream_IsAnErrorAndNeverAStop()
    {
        await using ClientWorld world = await ClientWorld.StartAsync(configure: ClientWorld.Plain);
        List<RawMessageStreamEvent> seen = [];
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (RawMessageStreamEvent e in world.Anthropic.Messages.CreateStreaming(Ask("sim-cut?events=4&how=fin", User("Hello")))) seen.Add(e);
        });
        Assert.NotEmpty(seen);
        Assert.DoesNotContain(seen, e => e.TryPickStop(out _));
    }

    [Theory]
    [InlineData("/v1/models")]
    [InlineData("/v1/messages/count_tokens")]
    [InlineData("/v1/messages")]
    public async Task RequestId_IsInTheHeaderTheSdksRead(string path)
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        using HttpRequestMessage request = new(path == "/v1/models" ? HttpMethod.Get : HttpMethod.Post, path);
        request.Headers.Add("anthropic-version", "2023-06-01");
        if (request.Method == HttpMethod.Post) request.Content = new StringContent("""{"model":"sim-healthy","max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}""");
        using HttpResponseMessage response = await world.Proxy.Client.SendAsync(request);
        Assert.True(response.IsSuccessStatusCode);
        Assert.Equal(response.Headers.GetValues("x-request-id"), response.Headers.GetValues("request-id"));
    }

    private static MessageCreateParams Ask(string model, MessageParam message) => new() { Model = model, MaxTokens = 1000, Messages = [message] };

    private static MessageParam User(string text) => new UserMessageParam { Content = text };

    private static string TextOf(Message message) => string.Concat(message.Content.Select(c => c.Value).OfType<TextBlock>().Select(t => t.Text));

    private static string Compact(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return JsonSerializer.Serialize(document.RootElement);
    }
}
