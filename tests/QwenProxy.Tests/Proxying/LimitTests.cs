using System.Net;
using System.Text.Json;
using QwenProxy.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Proxying;

/// <summary>Limits that upstream names in its errors: what does not fit is asked again so that it fits, or by a model with more room.</summary>
public sealed class LimitTests
{
    private const string Answer = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    public static TheoryData<string, int, int> Refusals => new()
    {
        { "Range of max_tokens should be [1, 8192]", 32000, 8192 },
        { "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 17459 input tokens (32000 > 32768 - 17459). None", 32000, 15309 },
        { "Invalid max_tokens value, the valid range of max_tokens is [1, 393216]", 500000, 393216 },
        { "Invalid max_tokens: expected a value <= 32768, but got 64000 instead.", 64000, 32768 },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task MaxTokensOutOfRange_IsAskedAgainWithWhatFits_AndRemembered(string message, int asked, int fits)
    {
        foreach (bool inStream in new[] { false, true })
        {
            await using RawUpstream upstream = new(exchange => exchange.SendAsync(MaxTokens(exchange.Body) > fits ? Refusal(message, inStream) : RawUpstream.Sse(Answer)));
            await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl, ErrorTests.OneAttempt);
            foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
            {
                foreach (bool stream in new[] { true, false })
                {
                    int before = upstream.Requests.Count;
                    using HttpResponseMessage response = await proxy.PostAsync(Request(dialect, stream, asked), Dialect.Path(dialect));
                    (string text, _) = await RunningProxy.ReadAsync(response);
                    Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                    Assert.Equal("hello", stream ? StreamText.Content(text) : Dialect.TextOf(dialect, text));
                    // The first request finds it out; requests of another size may have to ask once more where it depends on the prompt.
                    bool first = before == 0;
                    Assert.InRange(upstream.Requests.Count - before, 1, first || fits == 15309 ? 2 : 1);
                    Assert.Equal((upstream.Requests.Count - before).ToString(System.Globalization.CultureInfo.InvariantCulture), Assert.Single(response.Headers.GetValues("x-qwen-proxy-attempts")));
                }
            }

            Assert.Equal(asked, MaxTokens(upstream.Requests.First().Body));
            Assert.Equal(fits, MaxTokens(upstream.Requests.ElementAt(1).Body));
            Assert.Equal(fits, MaxTokens(upstream.Requests.ElementAt(2).Body), fits * 0.02);
            Assert.Contains(proxy.Log.Lines, line => line.Contains($"refused max_tokens={asked}", StringComparison.Ordinal));
            using JsonDocument models = JsonDocument.Parse(await proxy.Client.GetStringAsync("/admin/models"));
            JsonElement limit = Assert.Single(models.RootElement.GetProperty("limits").EnumerateArray());
            Assert.Equal(("up", "m"), (limit.GetProperty("account").GetString(), limit.GetProperty("model").GetString()));
            Assert.Equal(fits == 15309 ? (0, 32768) : (fits, 0), (limit.GetProperty("maxOutputTokens").GetInt32(), limit.GetProperty("contextLength").GetInt32()));
        }
    }

    [Fact]
    public async Task RequestThatAsksForLess_IsNotTouched()
    {
        await using RawUpstream upstream = new(exchange => exchange.SendAsync(MaxTokens(exchange.Body) > 100 ? Refusal("Range of max_tokens should be [1, 100]", false) : RawUpstream.Sse(Answer)));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        foreach (int asked in new[] { 5000, 60, 5000 })
        {
            using HttpResponseMessage response = await proxy.PostAsync(Request(Dialect.Chat, stream: true, asked));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal([5000, 100, 60, 100], upstream.Requests.Select(r => MaxTokens(r.Body)));
    }

    [Fact]
    public async Task UpstreamThatRefusesEachNumber_IsNotAskedWithoutEnd()
    {
        await using RawUpstream upstream = new(exchange => exchange.SendAsync(Refusal($"Range of max_tokens should be [1, {MaxTokens(exchange.Body) - 1}]", false)));
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        using HttpResponseMessage response = await proxy.PostAsync(Request(Dialect.Chat, stream: true, 9000));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(3, upstream.Requests.Count);
    }

    [Theory]
    [InlineData("This model's maximum context length is 32768 tokens and your request has 32000 input tokens, so max_tokens 5000 is too large.")]
    [InlineData("prompt token count of 146270 exceeds the limit of 128000")]
    [InlineData("Prompt exceeds max length")]
    [InlineData("length of prompt_tokens (57535) must be less than max_seq_len (32768).")]
    public async Task PromptTooLong_GoesToTheFallbackModel_OrIsToldInTheClientsWords(string message)
    {
        foreach (bool inStream in new[] { false, true })
        {
            await using RawUpstream upstream = new(exchange => exchange.SendAsync(exchange.BodyText.Contains("\"roomy\"", StringComparison.Ordinal) ? RawUpstream.Sse(Answer) : Refusal(message, inStream)));
            await using RunningProxy alone = await RunningProxy.StartAsync(upstream.BaseUrl);
            await using RunningProxy helped = await RunningProxy.StartAsync(upstream.BaseUrl, s => s with { Models = s.Models with { Fallbacks = s.Models.Fallbacks.Add("m", ["roomy"]) } });
            foreach (string dialect in new[] { Dialect.Chat, Dialect.Messages, Dialect.Responses })
            {
                using HttpResponseMessage served = await helped.PostAsync(Request(dialect, stream: true, 5000), Dialect.Path(dialect));
                Assert.Equal("hello", StreamText.Content((await RunningProxy.ReadAsync(served)).Text));
                Assert.Equal("roomy", Assert.Single(served.Headers.GetValues("x-qwen-proxy-model")));

                int before = upstream.Requests.Count;
                using HttpResponseMessage refused = await alone.PostAsync(Request(dialect, stream: false, 5000), Dialect.Path(dialect));
                Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
                Assert.Equal(before + 1, upstream.Requests.Count);
                string body = await refused.Content.ReadAsStringAsync();
                if (dialect == Dialect.Messages) Assert.Contains("prompt is too long: ", body, StringComparison.Ordinal);
            }
        }
    }

    private static string Refusal(string message, bool inStream)
    {
        string error = $"{{\"error\":{{\"message\":{JsonSerializer.Serialize(message)},\"type\":\"invalid_request_error\",\"code\":\"invalid_parameter_error\"}}}}";
        return inStream ? RawUpstream.Sse($"data: {error}\n\ndata: [DONE]\n\n") : RawUpstream.Json(400, error);
    }

    private static string Request(string dialect, bool stream, int maxTokens) => dialect switch
    {
        Dialect.Messages => Dialect.Body(dialect, stream).Replace("9000", maxTokens.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal),
        Dialect.Responses => Dialect.Body(dialect, stream).Replace("\"input\"", $"\"max_output_tokens\":{maxTokens},\"input\"", StringComparison.Ordinal),
        _ => Dialect.Body(dialect, stream).Replace("\"messages\"", $"\"max_tokens\":{maxTokens},\"messages\"", StringComparison.Ordinal),
    };

    private static int MaxTokens(byte[] body)
    {
        // A list of models is asked for without a body.
        if (body.Length == 0) return 0;
        using JsonDocument request = JsonDocument.Parse(body);
        return request.RootElement.TryGetProperty("max_tokens", out JsonElement tokens) ? tokens.GetInt32() : 0;
    }
}
