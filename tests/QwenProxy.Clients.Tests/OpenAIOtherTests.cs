using System.ClientModel;
using OpenAI.Embeddings;
using OpenAI.Models;
using QwenProxy.Simulator;

namespace QwenProxy.Clients.Tests;

/// <summary>The official OpenAI package for .NET: embeddings and models.</summary>
public sealed class OpenAIOtherTests
{
    [Fact]
    public async Task Embeddings_AreForwarded()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        OpenAIEmbeddingCollection vectors = await world.OpenAI.GetEmbeddingClient("text-embedding-v4")
            .GenerateEmbeddingsAsync(["海鸥", "tern"], new EmbeddingGenerationOptions { Dimensions = 256 });
        Assert.Equal(2, vectors.Count);
        Assert.Equal(SimulatedAnswers.Embedding("海鸥", 256), vectors[0].ToFloats().ToArray());
        Assert.True(vectors.Usage.TotalTokenCount > 0);
        Assert.Equal("Bearer key-of-up", world.LastRequest.Headers["authorization"]);
    }

    [Fact]
    public async Task Models_AreListedAndFoundById()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        OpenAIModelClient client = world.OpenAI.GetOpenAIModelClient();
        OpenAIModelCollection models = await client.GetModelsAsync();
        Assert.NotEmpty(models);
        OpenAIModel one = await client.GetModelAsync(models[0].Id);
        Assert.Equal(models[0].Id, one.Id);
        Assert.NotEmpty(one.OwnedBy);
    }

    [Fact]
    public async Task UnknownModel_Is404()
    {
        await using ClientWorld world = await ClientWorld.StartAsync();
        ClientResultException unknown = await Assert.ThrowsAsync<ClientResultException>(() => world.OpenAI.GetOpenAIModelClient().GetModelAsync("no-such-model"));
        Assert.Equal(404, unknown.Status);
    }
}
