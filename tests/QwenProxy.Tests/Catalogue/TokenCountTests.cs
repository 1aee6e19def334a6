using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QwenProxy.Catalogue;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Catalogue;

/// <summary>Whole requests against the published chat template and the reference tokenizer (tests/tokenizer/make.mjs).</summary>
public sealed class TokenCountTests
{
    private static readonly TokenEstimate s_estimate = new();

    public static TheoryData<string> Names => [.. Golden().Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void GoldenRequest_HasTheReferencesCount(string name)
    {
        (_, byte[] request, int expected) = Golden().Single(c => c.Name == name);
        Assert.True(MessagesTokenText.TryCount(request, s_estimate.Count, out int tokens, out _));
        Assert.Equal(expected, tokens);
    }

    [Fact]
    public async Task CountTokens_IsTheSameOverTheWire()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(500, "{}"));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach ((_, byte[] request, int expected) in Golden())
        {
            using HttpResponseMessage response = await proxy.Client.PostAsync("/v1/messages/count_tokens", new ByteArrayContent(request));
            JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>();
            Assert.Equal(expected, answer.GetProperty("input_tokens").GetInt32());
        }

        Assert.Empty(upstream.Requests);
    }

    private static IEnumerable<(string Name, byte[] Request, int Tokens)> Golden()
    {
        using JsonDocument file = JsonDocument.Parse(RepositoryFiles.Read("tests/golden/tokens/requests.json"));
        foreach (JsonElement one in file.RootElement.EnumerateArray())
        {
            byte[] request = Encoding.UTF8.GetBytes(one.GetProperty("request").GetRawText());
            yield return (one.GetProperty("name").GetString()!, request, one.GetProperty("tokens").GetInt32());
        }
    }
}
