using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Simulator;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary><c>/v1/models</c>: merged from the accounts' own lists, with sizes, aliases, and a fallback while upstream is down.</summary>
public sealed class ModelsTests
{
    private const string List = """{"object":"list","data":[{"id":"qwen3.7-max","object":"model","created":1700000000,"owned_by":"system","zz":1.50},{"id":"team/own-model","object":"model","created":1,"owned_by":"x","max_model_len":4096}]}""";

    [Fact]
    public async Task List_IsUpstreamsOwnWithSizesAndAliases()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, List));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with
        {
            Models = s.Models with { Aliases = [new("gpt-4o", "qwen3.7-max"), new("claude-*", "qwen3.7-max")] },
        });
        using JsonDocument json = JsonDocument.Parse(await proxy.Client.GetStringAsync("/v1/models"));
        Assert.Equal("list", json.RootElement.GetProperty("object").GetString());
        JsonElement[] models = [.. json.RootElement.GetProperty("data").EnumerateArray()];
        Assert.Equal(["qwen3.7-max", "team/own-model", "gpt-4o"], models.Select(m => m.GetProperty("id").GetString()));
        Assert.All(models, m => Assert.Equal("model", m.GetProperty("object").GetString()));
        Assert.All(models, m => Assert.True(m.TryGetProperty("created", out _) && m.TryGetProperty("owned_by", out _)));
        Assert.Equal("1.50", models[0].GetProperty("zz").GetRawText());
        Assert.True(models[0].GetProperty("context_length").GetInt32() > 100_000);
        Assert.True(models[0].GetProperty("max_output_tokens").GetInt32() > 1000);
        Assert.Equal(4096, models[1].GetProperty("context_length").GetInt32());
        Assert.Equal(models[0].GetProperty("context_length").GetInt32(), models[2].GetProperty("context_length").GetInt32());

        using JsonDocument one = JsonDocument.Parse(await proxy.Client.GetStringAsync("/v1/models/team/own-model"));
        Assert.Equal("team/own-model", one.RootElement.GetProperty("id").GetString());
        using JsonDocument escaped = JsonDocument.Parse(await proxy.Client.GetStringAsync("/v1/models/team%2Fown-model"));
        Assert.Equal("team/own-model", escaped.RootElement.GetProperty("id").GetString());
        // The list is kept: one look at upstream was enough for all of these.
        RawExchange asked = Assert.Single(upstream.Requests);
        Assert.Equal("GET /v1/models HTTP/1.1", asked.RequestLine);
        Assert.Equal("Bearer key-of-up", asked.Header("authorization"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task UnknownModel_Is404InTheClientsShape(bool anthropic)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, List));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models/nothing");
        if (anthropic) request.Headers.Add("anthropic-version", "2023-06-01");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        if (anthropic) Assert.Equal("not_found_error", json.RootElement.GetProperty("error").GetProperty("type").GetString());
        else Assert.Equal("model_not_found", json.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task AnthropicClient_GetsAnthropicsShape()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, List));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models?limit=1");
        request.Headers.Add("anthropic-version", "2023-06-01");
        using HttpResponseMessage response = await proxy.Client.SendAsync(request);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        JsonElement model = Assert.Single(json.RootElement.GetProperty("data").EnumerateArray());
        Assert.Equal("model", model.GetProperty("type").GetString());
        Assert.Equal("qwen3.7-max", model.GetProperty("id").GetString());
        Assert.True(model.TryGetProperty("display_name", out _) && model.TryGetProperty("created_at", out _));
        Assert.True(json.RootElement.GetProperty("has_more").GetBoolean());
        Assert.Equal("qwen3.7-max", json.RootElement.GetProperty("first_id").GetString());
    }

    /// <summary>Model Studio's own list names models without sizes; agents compact their history by them.</summary>
    [Fact]
    public async Task EveryModelOfTheCatalogue_IsListedWithItsOwnSizesInBothShapes()
    {
        string names = string.Join(',', ModelCatalogue.All.Select(m => $$"""{"id":"{{m.Name}}","object":"model","created":1,"owned_by":"system"}"""));
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(200, $$"""{"object":"list","data":[{{names}}]}"""));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        var expected = ModelCatalogue.All.Select(m => (m.Name, m.ContextTokens, m.MaxOutputTokens)).ToArray();
        Assert.All(expected, m => Assert.True(m.ContextTokens >= 128_000 && m.MaxOutputTokens >= 8192, m.Name));
        Assert.Contains(expected, m => m.ContextTokens != expected[0].ContextTokens);
        Assert.Equal(expected, await SizesAsync("/v1/models", null, "context_length", "max_output_tokens"));
        Assert.Equal(expected, await SizesAsync("/v1/models?limit=1000", "2023-06-01", "max_input_tokens", "max_tokens"));

        async Task<IEnumerable<(string, int, int)>> SizesAsync(string path, string? version, string context, string output)
        {
            using HttpRequestMessage request = new(HttpMethod.Get, path);
            if (version is not null) request.Headers.Add("anthropic-version", version);
            using HttpResponseMessage response = await proxy.Client.SendAsync(request);
            using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
            return [.. json.RootElement.GetProperty("data").EnumerateArray().Select(m =>
                (m.GetProperty("id").GetString()!, m.GetProperty(context).GetInt32(), m.GetProperty(output).GetInt32()))];
        }
    }

    [Theory]
    [InlineData("down")]
    [InlineData("HTTP/1.1 500 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")]
    [InlineData("HTTP/1.1 200 X\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")]
    [InlineData("HTTP/1.1 200 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")]
    [InlineData("HTTP/1.1 200 X\r\nContent-Length: 22\r\nConnection: close\r\n\r\n{\"data\":[{\"id\":\"a\"},5,")]
    [InlineData("HTTP/1.1 200 X\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"data\":[{\"a\"")]
    public async Task UpstreamWithoutAList_IsStoodInForByTheCatalogue(string reply)
    {
        await using RawUpstream upstream = RawUpstream.Always(reply);
        await using RunningProxy proxy = await RunningProxy.StartAsync(reply == "down" ? new Uri("http://127.0.0.1:9/v1") : upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.Client.GetAsync("/v1/models");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.NotEmpty(json.RootElement.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task ConfiguredModels_DecideWhatIsOnOfferAndWhereItGoes()
    {
        await using SimulatorServer first = await SimulatorServer.StartAsync(new SimulatorOptions());
        await using SimulatorServer second = await SimulatorServer.StartAsync(new SimulatorOptions());
        AccountSnapshot local = RunningProxy.Account("local", second.BaseUrl, 5) with { Models = ["qwen3.6-27b"] };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot
        {
            Accounts = [RunningProxy.Account("cloud", first.BaseUrl), local],
            Models = new ModelsSnapshot { Aliases = [new("claude-*", "qwen3.6-27b")] },
        });
        string list = await proxy.Client.GetStringAsync("/v1/models");
        Assert.Contains("\"qwen3.6-27b\"", list, StringComparison.Ordinal);
        foreach ((string asked, string account, string served) in new[] { ("qwen3.6-27b", "local", "qwen3.6-27b"), ("claude-opus-4", "local", "qwen3.6-27b"), ("other", "cloud", "other"), ("cloud/some", "cloud", "some") })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Chat, stream: true, model: asked));
            await response.Content.ReadAsStringAsync();
            Assert.Equal(account, Assert.Single(response.Headers.GetValues("x-qwen-proxy-account")));
            Assert.Equal(asked != served, response.Headers.Contains("x-qwen-proxy-model"));
            RecordedRequest seen = (account == "local" ? second : first).Requests[^1];
            Assert.Contains($"\"model\":\"{served}\"", seen.BodyText, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ModelThatNoAccountServes_Is404()
    {
        await using SimulatorServer upstream = await SimulatorServer.StartAsync(new SimulatorOptions());
        AccountSnapshot local = RunningProxy.Account("local", upstream.BaseUrl) with { Models = ImmutableArray.Create("only-this") };
        await using RunningProxy proxy = await RunningProxy.StartAsync(new ProxySnapshot { Accounts = [local] });
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(dialect, stream: true, model: "that"), Dialect.Path(dialect));
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }

        Assert.Empty(upstream.Requests);
    }
}
