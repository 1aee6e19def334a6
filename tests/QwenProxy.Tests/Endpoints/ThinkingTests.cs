using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Requests;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Endpoints;

/// <summary>Who decides that a model thinks, and who sees it: from a client's request to what upstream is asked and what comes back.</summary>
public sealed class ThinkingTests
{
    private const string Thoughtful =
        """
        data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm."},"finish_reason":null}]}

        data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"A title"},"finish_reason":null}]}

        data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

        data: [DONE]


        """;

    [Theory]
    [InlineData("dashscope", "qwen3.7-max", "\"enable_thinking\":false")]
    [InlineData("qwen-portal", "coder-model", "\"enable_thinking\":false")]
    [InlineData("modelscope", "Qwen/Qwen3.5-397B-A17B", "\"enable_thinking\":false")]
    [InlineData("dashscope", "qwen3.8-flash", "\"reasoning_effort\":\"none\"")]
    [InlineData("vllm", "qwen3.6-27b", "\"chat_template_kwargs\":{\"enable_thinking\":false}")]
    [InlineData("sglang", "qwen3.6-27b", "\"chat_template_kwargs\":{\"enable_thinking\":false}")]
    [InlineData("llama-cpp", "qwen3.6-27b", "\"chat_template_kwargs\":{\"enable_thinking\":false}")]
    [InlineData("ollama", "qwen3.6:27b", "\"reasoning_effort\":\"none\"")]
    [InlineData("openrouter", "qwen/qwen3.7-max", "\"reasoning\":{\"enabled\":false}")]
    [InlineData("dashscope", "qwen3.8-max", null)]
    [InlineData("dashscope", "qwen3-coder-plus", null)]
    [InlineData("generic", "qwen3.7-max", null)]
    public async Task MessagesWithoutThinking_AsksForNoneAndShowsNone(string profile, string model, string? told)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Thoughtful));
        await using RunningProxy proxy = await RunningProxy.StartAsync(Of(upstream, profile));
        foreach (bool stream in new[] { true, false })
        {
            string answer = await AskAsync(proxy, Dialect.Body(Dialect.Messages, stream, model));
            Assert.DoesNotContain("Hm.", answer, StringComparison.Ordinal);
            Assert.DoesNotContain("thinking", answer, StringComparison.Ordinal);
            Assert.Contains("A title", answer, StringComparison.Ordinal);
            string asked = Encoding.UTF8.GetString(upstream.Requests.Last().Body);
            if (told is not null) Assert.Contains(told, asked, StringComparison.Ordinal);
            else Assert.DoesNotMatch("thinking|reasoning", asked);
        }
    }

    /// <summary>Setting, the client's own word, whether upstream is told to think (null: nothing is said), whether the client sees it.</summary>
    [Theory]
    [InlineData(ThinkingPolicy.Client, "enabled", true, true)]
    [InlineData(ThinkingPolicy.Client, "disabled", false, false)]
    [InlineData(ThinkingPolicy.Client, null, false, false)]
    [InlineData(ThinkingPolicy.On, null, true, true)]
    [InlineData(ThinkingPolicy.On, "disabled", false, false)]
    [InlineData(ThinkingPolicy.Off, "enabled", false, false)]
    [InlineData(ThinkingPolicy.Off, null, false, false)]
    public async Task Setting_StandsBehindOrBeforeTheClientsWord(ThinkingPolicy policy, string? said, bool told, bool shown)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Thoughtful));
        await using RunningProxy proxy = await RunningProxy.StartAsync(Of(upstream, "dashscope", ("*", policy)));
        string thinking = said is null ? "" : $$""","thinking":{"type":"{{said}}","budget_tokens":2048}""";
        string body = Dialect.Body(Dialect.Messages, true, "qwen3.7-max");
        string answer = await AskAsync(proxy, body[..^1] + thinking + "}");
        Assert.Equal(shown, answer.Contains("Hm.", StringComparison.Ordinal));
        using JsonDocument asked = JsonDocument.Parse(Assert.Single(upstream.Requests).Body);
        Assert.Equal(told, asked.RootElement.GetProperty("enable_thinking").GetBoolean());
    }

    /// <summary>Patterns are tried on the client's name and on the model it stands for, in the order written.</summary>
    [Theory]
    [InlineData("qwen3.7-max", true)]
    [InlineData("big", true)]
    [InlineData("up/qwen3.7-max", true)]
    [InlineData("qwen3.7-plus", false)]
    public async Task Setting_MayBeForSomeModels(string model, bool shown)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Thoughtful));
        ProxySnapshot snapshot = Of(upstream, "dashscope", ("qwen3.7-plus", ThinkingPolicy.Client), ("qwen3.7-m*", ThinkingPolicy.On), ("*", ThinkingPolicy.Off));
        snapshot = snapshot with { Models = snapshot.Models with { Aliases = [KeyValuePair.Create("big", "qwen3.7-max")] } };
        await using RunningProxy proxy = await RunningProxy.StartAsync(snapshot);
        Assert.Equal(shown, (await AskAsync(proxy, Dialect.Body(Dialect.Messages, false, model))).Contains("Hm.", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(ThinkingPolicy.Client, null)]
    [InlineData(ThinkingPolicy.On, true)]
    [InlineData(ThinkingPolicy.Off, false)]
    public async Task Setting_HoldsForOtherDialectsThatSayNothing(ThinkingPolicy policy, bool? told)
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Sse(Thoughtful));
        await using RunningProxy proxy = await RunningProxy.StartAsync(Of(upstream, "dashscope", ("*", policy)));
        foreach (string dialect in new[] { Dialect.Chat, Dialect.Responses })
        {
            await AskAsync(proxy, Dialect.Body(dialect, false, "qwen3.7-max"), Dialect.Path(dialect));
            using JsonDocument asked = JsonDocument.Parse(upstream.Requests.Last().Body);
            Assert.Equal(told, asked.RootElement.TryGetProperty("enable_thinking", out JsonElement set) ? set.GetBoolean() : null);
        }

        string own = Dialect.Body(Dialect.Chat, false, "qwen3.7-max")[..^1] + ",\"enable_thinking\":false}";
        await AskAsync(proxy, own, Dialect.Path(Dialect.Chat));
        Assert.Contains("\"enable_thinking\":false", Encoding.UTF8.GetString(upstream.Requests.Last().Body), StringComparison.Ordinal);
    }

    /// <summary>A model nobody knew to think always: the client gets its answer, and the next request is right at once.</summary>
    [Theory]
    [InlineData("dashscope", "The value of the enable_thinking parameter is restricted to True.")]
    [InlineData("openrouter", "Reasoning is mandatory for this endpoint and cannot be disabled.")]
    public async Task ModelThatRefusesTheSwitch_IsAskedAgainWithoutIt(string profile, string words)
    {
        await using RawUpstream upstream = new(async exchange =>
        {
            string asked = Encoding.UTF8.GetString(exchange.Body);
            bool refused = asked.Contains("\"enable_thinking\":false", StringComparison.Ordinal) || asked.Contains("\"enabled\":false", StringComparison.Ordinal);
            string error = $$$"""{"error":{"message":"{{{words}}}","type":"invalid_request_error","code":"invalid_parameter_error"}}""";
            await exchange.SendAsync(refused ? RawUpstream.Json(400, error) : RawUpstream.Sse(Thoughtful));
        });
        await using RunningProxy proxy = await RunningProxy.StartAsync(Of(upstream, profile));
        foreach (string attempts in new[] { "2", "1" })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, false, "qwen9-max"), "/v1/messages");
            string answer = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, answer);
            Assert.Equal(attempts, Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
            Assert.DoesNotContain("Hm.", answer, StringComparison.Ordinal);
        }
    }

    /// <summary>An error that has another reason stays what it is, and nothing is learnt from it.</summary>
    [Fact]
    public async Task RequestRefusedEitherWay_IsToldAsItWas()
    {
        await using RawUpstream upstream = RawUpstream.Always(RawUpstream.Json(400, """{"error":{"message":"reasoning_content must be a string","code":"bad"}}"""));
        await using RunningProxy proxy = await RunningProxy.StartAsync(Of(upstream, "dashscope"));
        using HttpResponseMessage response = await proxy.PostAsync(Dialect.Body(Dialect.Messages, false, "qwen3.7-max"), "/v1/messages");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("must be a string", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await proxy.PostAsync(Dialect.Body(Dialect.Messages, false, "qwen3.7-max"), "/v1/messages");
        Assert.Contains("\"enable_thinking\":false", Encoding.UTF8.GetString(upstream.Requests.ElementAt(2).Body), StringComparison.Ordinal);
    }

    private static ProxySnapshot Of(RawUpstream upstream, string profile, params (string Pattern, ThinkingPolicy Policy)[] thinking) => new()
    {
        Accounts = [RunningProxy.Account("up", upstream.BaseUrl) with { Profile = Profiles.ByName(profile)!, Native = NativeMode.Never }],
        Models = new ModelsSnapshot { Thinking = new ThinkingPolicies([.. thinking.Select(t => KeyValuePair.Create(t.Pattern, t.Policy))]) },
    };

    private static async Task<string> AskAsync(RunningProxy proxy, string body, string path = "/v1/messages")
    {
        using HttpResponseMessage response = await proxy.PostAsync(body, path);
        string answer = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, answer);
        return answer;
    }
}
