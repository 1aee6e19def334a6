using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Errors;

/// <summary>What services say about a prompt or a <c>max_tokens</c> that is too large, in their own sentences, and what only sounds like it.</summary>
public sealed class LimitSentencesTests
{
    public static TheoryData<string> TooLong =>
    [
        "The decoder prompt (length 21535) is longer than the maximum model length of 16384. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        "The prompt (total length 25938) is too long to fit into the model (context length 4096). Make sure that `max_model_len` is no smaller than the number of text tokens plus multimodal tokens.",
        "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.",
        "Input prompt (36893 tokens) is too long and exceeds limit of 1000",
        "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
        "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens). Use a shorter input or enable --allow-auto-truncate.",
        "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 42768 tokens: 32668 tokens from the input messages and 10100 tokens for the completion. Please reduce the number of tokens in the input messages or the completion to fit within the limit.",
        "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input.",
        "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input",
        "Input length 6491 exceeds context length 1500",
        "Context size has been exceeded.",
        "Reached context length of 4096 tokens with this model, but this model does not currently support mid-generation context overflow.",
        "Cannot truncate prompt with n_keep (9110) >= n_ctx (8192)",
        "the input length exceeds the context length",
        "prompt too long; exceeded max context length by 1187 tokens",
        "input exceeds maximum context length",
        "length of prompt_tokens (57535) must be less than max_seq_len (32768).",
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
        "model max length exceeded, max length:8192, but your prompt tokens are 9001",
        "Prompt exceeds max length",
        "prompt token count of 146270 exceeds the limit of 128000",
        "request (9001 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "The input token count (2845475) exceeds the maximum number of tokens allowed (1048576).",
        "prompt is too long: 213462 tokens > 200000 maximum",
        "Input is too long for requested model.",
        "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length or `max_tokens` and try again",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "Please reduce the length of the messages or completion. Current length is 130001 while limit is 65536",
        "invalid params, context window exceeds limit (2013)",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
        "This endpoint's maximum context length is 16384 tokens. However, you requested about 94307 tokens (94307 of text input).",
        "'max_tokens' or 'max_completion_tokens' is too large: 8000. This model's maximum context length is 32768 tokens and your request has 32000 input tokens (8000 > 32768 - 32000).",
        "The total number of tokens in your messages and tools (140000) is larger than the model's context window (131072).",
        "输入长度超过模型上下文限制，最大 131072 tokens",
        "Prompt 超长",
    ];

    public static TheoryData<string> NotTooLong =>
    [
        "The image list is too long: at most 10 images may be sent.",
        "Input image list exceeds the maximum length of 250.",
        "The file name is too long (300 characters, at most 255).",
        "The input file exceeds the limit of 20 MB.",
        "Tool name is too long: it must be at most 64 characters.",
        "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64, but got a string with length 70 instead.",
        "The tool description exceeds 1024 tokens.",
        "Invalid 'messages': array too long. Expected an array with maximum length 2048.",
        "Invalid 'input': string too long. Expected a string with maximum length 10485760.",
        "Exceeded limit on max bytes per data-uri item : 10485760.",
        "Too many stop sequences: at most 4.",
        "messages.3.content.0.image.source.base64: image exceeds 5 MB maximum",
        "The request took too long to process.",
        "metadata.user_id: string is longer than 256 characters",
        "Your access token is too large.",
        "The thinking_budget parameter must be a positive integer and not greater than 38912",
        "图片数量超过限制，最多 10 张",
        "文件名称过长",
        "Range of temperature should be [0.0, 2.0)",
        "max_tokens must be greater than thinking.budget_tokens",
    ];

    [Theory]
    [MemberData(nameof(TooLong))]
    public void PromptThatIsTooLong_IsReadInAnyWords(string message)
    {
        foreach (ProxyError error in AllFramings(message))
        {
            Assert.Equal(FaultKind.ContextTooLong, error.Kind);
            Assert.True(error.Status is 400 or 500);
            using JsonDocument claude = JsonDocument.Parse(MessagesErrors.Write(error));
            Assert.Contains("prompt is too long", claude.RootElement.GetProperty("error").GetProperty("message").GetString(), StringComparison.OrdinalIgnoreCase);
        }
    }

    [Theory]
    [MemberData(nameof(NotTooLong))]
    public void SomethingElseThatIsTooLong_IsAFaultOfTheRequest(string message) =>
        Assert.All(AllFramings(message).Where(e => e.Status == 400), error => Assert.Equal(FaultKind.InvalidRequest, error.Kind));

    [Theory]
    [InlineData(429, "rate_limit_exceeded", "Rate limit reached for model in organization on tokens per minute (TPM): Limit 6000, Used 5000, Requested 2000 input tokens, which exceeds it.", FaultKind.RateLimited)]
    [InlineData(429, "", "Too many tokens, please wait before trying again.", FaultKind.RateLimited)]
    [InlineData(400, "1261", "any words", FaultKind.ContextTooLong)]
    [InlineData(400, "model_max_prompt_tokens_exceeded", "no", FaultKind.ContextTooLong)]
    public void CodesAndRates_AreToldApart(int status, string code, string message, FaultKind kind) =>
        Assert.Equal(kind, Read(status, $$$"""{"error":{"code":"{{{code}}}","message":"{{{message}}}"}}""").Kind);

    [Theory]
    [InlineData("Range of max_tokens should be [1, 8192]", 32000, 8192L)]
    [InlineData("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]", 32000, 8192L)]
    [InlineData("'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 17459 input tokens (32000 > 32768 - 17459). None", 32000, 15309L)]
    [InlineData("max_tokens is too large: 32000. This model's maximum context length is 32,768 tokens and your request has 17,459 input tokens", 32000, 15309L)]
    [InlineData("Invalid max_tokens value, the valid range of max_tokens is [1, 393216]", 500000, 393216L)]
    [InlineData("Invalid max_tokens: expected a value <= 32768, but got 64000 instead.", 64000, 32768L)]
    [InlineData("max_tokens is too large: 64000. This model supports at most 16384 completion tokens, whereas you provided 64000.", 64000, 16384L)]
    [InlineData("`max_tokens` must be less than or equal to `16384`, the maximum value for `max_tokens` is less than the `context_window` for this model", 32000, 16384L)]
    [InlineData("max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens for this model", 64000, 32000L)]
    [InlineData("max_tokens must be between 1 and 8192", 9000, 8192L)]
    [InlineData("max_new_tokens should be smaller than 4097", 9000, 4096L)]
    [InlineData("This model's maximum context length is 16384 tokens. However, you requested 19591 tokens (9591 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.", 10000, 6793L)]
    [InlineData("This model's maximum context length is 262144 tokens. However, you requested 128000 output tokens and your prompt contains at least 134145 input tokens, for a total of at least 262145 tokens.", 128000, 63999L)]
    [InlineData("Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 40000 tokens: 30000 tokens from the input messages and 10000 tokens for the completion.", 10000, 2768L)]
    [InlineData("input length and `max_tokens` exceed context limit: 150000 + 64000 > 200000, decrease input length or `max_tokens` and try again", 64000, 50000L)]
    [InlineData("This model's maximum context length is 8192 tokens. However, your max_tokens makes it that you requested 9000 tokens.", 4000, 3192L)]
    public void MaxTokensOutOfRange_TellsWhatFits(string message, long asked, long fit)
    {
        foreach (ProxyError error in AllFramings(message)) Assert.Equal(fit, error.OutputLimit?.Fit(asked));
    }

    [Theory]
    [InlineData("Range of input length should be [1, 129024]")]
    [InlineData("Range of temperature should be [0.0, 2.0)")]
    [InlineData("max_tokens must be greater than thinking.budget_tokens")]
    [InlineData("max_tokens must be a positive integer")]
    [InlineData("Rate limit reached on tokens per minute: limit 6000, requested max_tokens 8000")]
    [InlineData("The input (61709 tokens) is longer than the model's context length (40960 tokens).")]
    public void MessageAboutSomethingElse_NamesNoLimit(string message) =>
        Assert.All(AllFramings(message), error => Assert.Null(error.OutputLimit?.Fit(32000)));

    /// <summary>As the body of a 400, flat and nested; as a plain string; with the status 500 that some local servers use; as the first event of a 200.</summary>
    private static IEnumerable<ProxyError> AllFramings(string message)
    {
        string text = JsonSerializer.Serialize(message);
        yield return Read(400, "{\"error\":{\"message\":" + text + ",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}");
        yield return Read(400, $$"""{"object":"error","message":{{text}},"type":"BadRequestError","param":null,"code":400}""");
        yield return Read(400, "{\"error\":" + text + "}");
        yield return UpstreamErrorReader.FromStreamEvent(Encoding.UTF8.GetBytes("{\"error\":{\"message\":" + text + ",\"code\":\"invalid_parameter_error\"}}"), 0, "m");
        yield return UpstreamErrorReader.FromStreamEvent(Encoding.UTF8.GetBytes("{\"code\":\"InvalidParameter\",\"message\":" + text + "}"), 400, "m");
    }

    private static ProxyError Read(int status, string body) => UpstreamErrorReader.FromResponse(status, default, Encoding.UTF8.GetBytes(body), "m", DateTimeOffset.UnixEpoch);
}
