using System.ClientModel;
using System.Text;
using System.Text.Json;
using OpenAI.Responses;

namespace QwenProxy.Clients.Tests;

/// <summary>The official OpenAI package for .NET: Responses, which the proxy translates.</summary>
public sealed class OpenAIResponsesTests
{
    private static readonly ResponseTool Weather = ResponseTool.CreateFunctionTool("get_weather", BinaryData.FromString(
        """{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["celsius","fahrenheit"]}},"required":["city","unit"]}"""), false, "The weather in a city");

    [Fact]
    public async Task Response_IsAnsweredWholeWithUsage()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ResponseResult answer = await world.OpenAI.GetResponsesClient().CreateResponseAsync("sim-healthy", "When does it leave?");
        Assert.Equal(world.Meant.Text, answer.GetOutputText());
        Assert.Equal(ResponseStatus.Completed, answer.Status);
        Assert.True(answer.Usage.InputTokenCount > 0 && answer.Usage.OutputTokenCount > 0);
    }

    [Theory]
    [InlineData("healthy")]
    [InlineData("thinking")]
    [InlineData("stutter-s4")]
    [InlineData("crlf")]
    public async Task StreamedResponse_IsWhatTheModelMeantAndCompletes(string scenario)
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        StringBuilder text = new();
        int next = 0;
        ResponseResult? completed = null;
        await foreach (StreamingResponseUpdate update in await Stream(world, "sim-" + scenario))
        {
            Assert.Equal(next++, update.SequenceNumber);
            if (update is StreamingResponseOutputTextDeltaUpdate delta) text.Append(delta.Delta);
            if (update is StreamingResponseCompletedUpdate end) completed = end.Response;
        }

        Assert.NotNull(completed);
        Assert.Equal(world.Meant.Text, text.ToString());
        Assert.Equal(world.Meant.Text, completed.GetOutputText());
    }

    [Fact]
    public async Task ToolLoop_ByPreviousResponseId_RemembersTheCall()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ResponsesClient client = world.OpenAI.GetResponsesClient();
        CreateResponseOptions ask = new("sim-tools-1", [ResponseItem.CreateUserMessageItem("Weather?")]) { Tools = { Weather }, Instructions = "Be brief." };
        ResponseResult first = await client.CreateResponseAsync(ask);
        FunctionCallResponseItem call = Assert.Single(first.OutputItems.OfType<FunctionCallResponseItem>());
        Assert.Equal(world.Meant.ToolCalls[0].Arguments, call.FunctionArguments.ToString());

        CreateResponseOptions next = new("sim-tools-1", [ResponseItem.CreateFunctionCallOutputItem(call.CallId, "18 degrees")]) { Tools = { Weather }, PreviousResponseId = first.Id };
        ResponseResult second = await client.CreateResponseAsync(next);
        Assert.Equal(world.Meant.Text, second.GetOutputText());
        Assert.EndsWith("You asked: Weather?", second.GetOutputText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonSchema_AnswersWithJson()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        CreateResponseOptions ask = new("sim-healthy", [ResponseItem.CreateUserMessageItem("The boats")])
        {
            TextOptions = new ResponseTextOptions
            {
                TextFormat = ResponseTextFormat.CreateJsonSchemaFormat("boats", BinaryData.FromString("""{"type":"object","properties":{"late":{"type":"boolean"}}}"""), null, false),
            },
        };
        ResponseResult answer = await world.OpenAI.GetResponsesClient().CreateResponseAsync(ask);
        using JsonDocument boats = JsonDocument.Parse(answer.GetOutputText());
        Assert.False(boats.RootElement.GetProperty("late").GetBoolean());
    }

    [Fact]
    public async Task Image_ReachesUpstream()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ResponseItem question = ResponseItem.CreateUserMessageItem(
            [ResponseContentPart.CreateInputTextPart("What is this?"), ResponseContentPart.CreateInputImagePart(BinaryData.FromBytes(ClientWorld.Pixel, "image/png"))]);
        ResponseResult answer = await world.OpenAI.GetResponsesClient().CreateResponseAsync("sim-healthy", [question]);
        Assert.Contains("I can see 1 image(s).", answer.GetOutputText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task StoredResponse_IsReadAndDeleted()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ResponsesClient client = world.OpenAI.GetResponsesClient();
        ResponseResult first = await client.CreateResponseAsync("sim-healthy", "Keep this");
        ResponseResult read = await client.GetResponseAsync(first.Id);
        Assert.Equal(first.GetOutputText(), read.GetOutputText());
        await client.DeleteResponseAsync(first.Id);
        ClientResultException gone = await Assert.ThrowsAsync<ClientResultException>(() => client.GetResponseAsync(first.Id));
        Assert.Equal(404, gone.Status);
    }

    [Theory]
    [InlineData("error-400-parameter", 400)]
    [InlineData("error-429-rate", 429)]
    [InlineData("error-503", 503)]
    public async Task UpstreamError_IsTheSdksError(string scenario, int status)
    {
        await using ClientWorld world = await ClientWorld.StartAsync(configure: ClientWorld.Plain);
        ClientResultException failure = await Assert.ThrowsAsync<ClientResultException>(
            () => world.OpenAI.GetResponsesClient().CreateResponseAsync("sim-" + scenario, "Hello"));
        Assert.Equal(status, failure.Status);
    }

    [Fact]
    public async Task CutStream_FailsWithoutCompleting()
    {
        await using ClientWorld world = await ClientWorld.StartAsync(configure: ClientWorld.Plain);
        List<StreamingResponseUpdate> seen = [];
        try
        {
            await foreach (StreamingResponseUpdate update in await Stream(world, "sim-cut?events=4&how=fin")) seen.Add(update);
        }
        catch (Exception broken) when (broken is IOException or HttpRequestException or ClientResultException)
        {
            // The connection is closed after the failure, which a client may report as such.
        }

        Assert.DoesNotContain(seen, u => u is StreamingResponseCompletedUpdate);
        Assert.Contains(seen, u => u is StreamingResponseFailedUpdate or StreamingResponseErrorUpdate);
    }

    private static async Task<IAsyncEnumerable<StreamingResponseUpdate>> Stream(ClientWorld world, string model) =>
        await world.OpenAI.GetResponsesClient().CreateResponseStreamingAsync(model, "When does it leave?");
}
