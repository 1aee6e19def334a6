using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Errors;

public sealed class UpstreamErrorReaderTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(400, "invalid_parameter_error", "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 9]", FaultKind.InvalidRequest)]
    [InlineData(400, "invalid_parameter_error", "<400> InternalError.Algo: Range of input length should be [1, 99]", FaultKind.ContextTooLong)]
    [InlineData(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens.", FaultKind.ContextTooLong)]
    [InlineData(400, "data_inspection_failed", "Input data may contain inappropriate content.", FaultKind.ContentFilter)]
    [InlineData(400, "DataInspectionFailed", "Output data may contain inappropriate content.", FaultKind.ContentFilter)]
    [InlineData(400, "Arrearage", "Access denied, please make sure your account is in good standing.", FaultKind.Billing)]
    [InlineData(403, "Arrearage", "Access denied.", FaultKind.Billing)]
    [InlineData(400, "invalid_request_error", "Repetitive tool calls detected in the conversation history", FaultKind.InvalidRequest)]
    [InlineData(400, "InvalidParameter", "Model not exist.", FaultKind.ModelNotFound)]
    [InlineData(401, "invalid_api_key", "Incorrect API key provided.", FaultKind.InvalidKey)]
    [InlineData(401, "invalid_api_key", "invalid access token or token expired", FaultKind.InvalidKey)]
    [InlineData(403, "invalid_api_key", "invalid api-key", FaultKind.InvalidKey)]
    [InlineData(403, "access_denied", "Access denied.", FaultKind.PermissionDenied)]
    [InlineData(403, "Model.AccessDenied", "Model access denied.", FaultKind.PermissionDenied)]
    [InlineData(403, "AccessDenied.Unpurchased", "Access to model denied.", FaultKind.Billing)]
    [InlineData(403, "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted.", FaultKind.QuotaExhausted)]
    [InlineData(403, "insufficient_quota", "quota", FaultKind.QuotaExhausted)]
    [InlineData(404, "model_not_found", "The model `x` does not exist.", FaultKind.ModelNotFound)]
    [InlineData(404, "model_not_supported", "Unsupported model `x` for OpenAI compatibility mode.", FaultKind.ModelNotFound)]
    [InlineData(400, "invalid_parameter_error", "model 'x' is not supported", FaultKind.ModelNotFound)]
    [InlineData(429, "limit_requests", "You exceeded your current requests list.", FaultKind.RateLimited)]
    [InlineData(429, "limit_burst_rate", "Request rate increased too quickly.", FaultKind.RateLimited)]
    [InlineData(429, "insufficient_quota", "You exceeded your current quota, please check your plan: see #token-limit", FaultKind.RateLimited)]
    [InlineData(429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit.", FaultKind.RateLimited)]
    [InlineData(429, "insufficient_quota", "Free allocated quota exceeded.", FaultKind.QuotaExhausted)]
    [InlineData(429, "Throttling.AllocationQuota", "hour allocated quota exceeded.", FaultKind.QuotaExhausted)]
    [InlineData(429, "insufficient_quota", "week allocated quota exceeded", FaultKind.QuotaExhausted)]
    [InlineData(429, "insufficient_quota", "month allocated quota exceeded", FaultKind.QuotaExhausted)]
    [InlineData(429, "insufficient_quota", "concurrency allocated quota exceeded", FaultKind.ConcurrencyLimited)]
    [InlineData(429, "Throttling.Concurrency", "Too many.", FaultKind.ConcurrencyLimited)]
    [InlineData(429, "PrepaidBillOverdue", "The prepaid bill is overdue.", FaultKind.Billing)]
    [InlineData(429, "BudgetLimitExceeded", "Budget reached.", FaultKind.Billing)]
    [InlineData(500, "internal_error", "An internal error has occured.", FaultKind.ServerError)]
    [InlineData(500, "RequestTimeOut", "Request timed out.", FaultKind.ServerError)]
    [InlineData(500, "ModelServingError", "Too busy.", FaultKind.Overloaded)]
    [InlineData(503, "ModelUnavailable", "Unavailable.", FaultKind.Overloaded)]
    [InlineData(529, "overloaded_error", "Overloaded", FaultKind.Overloaded)]
    [InlineData(504, "", "gateway timeout", FaultKind.ServerError)]
    [InlineData(413, "", "too big", FaultKind.RequestTooLarge)]
    [InlineData(501, "not_supported_error", "This server does not support tools.", FaultKind.InvalidRequest)]
    public void NestedAndFlatBody_ClassifiedByStatusCodeAndMessage(int status, string code, string message, FaultKind kind)
    {
        string nested = $$"""{"error":{"code":"{{code}}","message":"{{message}}","param":null,"type":"t"},"request_id":"r-1"}""";
        string flat = $$"""{"code":"{{code}}","message":"{{message}}","request_id":"r-1"}""";
        foreach (string body in new[] { nested, flat })
        {
            ProxyError error = Read(status, body);
            Assert.Equal(kind, error.Kind);
            Assert.Equal(status, error.Status);
            Assert.Equal(message, error.Message);
            Assert.Equal(code.Length == 0 ? null : code, error.Code);
            Assert.Equal("r-1", error.RequestId);
        }
    }

    [Fact]
    public void NestedBody_KeepsTypeAndParam()
    {
        ProxyError error = Read(400, """{"error":{"code":"c","message":"m","param":"messages.[0]","type":"invalid_request_error"}}""");
        Assert.Equal(("invalid_request_error", "messages.[0]", (string?)null), (error.Type, error.Param, error.RequestId));
    }

    [Fact]
    public void ErrorAsString_IsTheMessageAndTheClientGate()
    {
        ProxyError error = Read(405, """{"error":"Coding Plan is currently only available for Coding Agents"}""");
        Assert.Equal(FaultKind.ClientGate, error.Kind);
        Assert.Equal(405, error.Status);
        Assert.Equal("Coding Plan is currently only available for Coding Agents", error.Message);
        Assert.NotNull(error.Fix);
    }

    [Fact]
    public void NumericCodeOnError_IsKeptAsText()
    {
        ProxyError error = Read(404, """{"error":{"message":"The model `a` does not exist.","type":"NotFoundError","param":null,"code":404}}""");
        Assert.Equal(("404", FaultKind.ModelNotFound), (error.Code, error.Kind));
    }

    [Fact]
    public void FlatVllmBody_IsRead()
    {
        ProxyError error = Read(400, """{"object":"error","message":"bad top_p","type":"BadRequestError","param":"top_p","code":400}""");
        Assert.Equal(("bad top_p", "BadRequestError", "top_p", "400"), (error.Message, error.Type, error.Param, error.Code));
    }

    [Fact]
    public void AnthropicShapeWithMislabelledRateLimit_IsRateLimited()
    {
        ProxyError error = Read(
            200, """{"type":"error","error":{"type":"invalid_request_error","message":"{\"code\":\"Throttling\",\"message\":\"Too many requests in a minute\"}"}}""");
        Assert.Equal((FaultKind.RateLimited, 429, "invalid_request_error"), (error.Kind, error.Status, error.Type));
        Assert.Contains("Too many requests in a minute", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SseBodyOnNon2xx_IsReadAsItsJson()
    {
        ProxyError error = Read(400, "event:error\ndata:{\"code\":\"InvalidParameter\",\"message\":\"Range of top_p should be (0.0, 1.0]\",\"request_id\":\"q\"}\n\n");
        Assert.Equal((400, "InvalidParameter", "q"), (error.Status, error.Code, error.RequestId));
        Assert.Equal("Range of top_p should be (0.0, 1.0]", error.Message);
    }

    [Fact]
    public void SseMarksNestedWithoutEnd_AreReadOnce()
    {
        ProxyError error = Read(500, string.Concat(Enumerable.Repeat("data:", 400_000)));
        Assert.Equal(500, error.Status);
    }

    [Fact]
    public void LongSseBody_IsReadWhole()
    {
        string message = new('x', 20_000);
        ProxyError error = Read(400, "data: {\"error\":{\"message\":\"" + message + "\",\"code\":\"c\"}}");
        Assert.Equal(message, error.Message);
    }

    [Fact]
    public void SseBodyWithStatusLineInA200_TakesThatStatus()
    {
        ProxyError error = Read(200, "id:1\nevent:error\n:HTTP_STATUS/429\ndata:{\"request_id\":\"z\",\"code\":\"Throttling.AllocationQuota\",\"message\":\"wait\"}\n\n");
        Assert.Equal((429, FaultKind.RateLimited, "z"), (error.Status, error.Kind, error.RequestId));
    }

    [Theory]
    [InlineData(503)]
    [InlineData(403)]
    public void WebPageOnError_KeepsStatusAndShowsNoMarkup(int status)
    {
        ProxyError error = Read(status, "<html><head><title>503 Service\n Unavailable</title></head><body>x</body></html>");
        Assert.Equal(status, error.Status);
        Assert.Contains("web page (\"503 Service Unavailable\")", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("<", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<html>hi</html>")]
    [InlineData("")]
    [InlineData("  \r\n")]
    [InlineData("just words")]
    [InlineData("""{"hello":"world"}""")]
    [InlineData(": keep-alive\n\n")]
    public void SuccessStatusWithoutAnswerOrError_IsAProtocolError(string body)
    {
        ProxyError error = Read(200, body);
        Assert.Equal((502, "upstream_protocol_error", FaultKind.ProtocolError), (error.Status, error.Code, error.Kind));
    }

    [Theory]
    [InlineData("""{"error":{"message":"m","code":429}}""", 429)]
    [InlineData("""{"error":{"message":"m","code":"503"}}""", 503)]
    [InlineData("""{"error":{"message":"m","code":"invalid_api_key"}}""", 401)]
    [InlineData("""{"code":"InternalError","message":"m"}""", 500)]
    [InlineData("""{"error":{"message":"XML syntax error on line 3","code":null}}""", 502)]
    [InlineData("""{"error":{"message":"m","code":200}}""", 502)]
    [InlineData("""{"error":"text only"}""", 502)]
    public void SuccessStatusWithError_TakesStatusFromCode(string body, int status) => Assert.Equal(status, Read(200, body).Status);

    [Fact]
    public void Redirect_IsAProtocolErrorThatNamesBaseUrl()
    {
        ProxyError error = Read(302, "<html>moved</html>");
        Assert.Equal(502, error.Status);
        Assert.Contains("baseUrl", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EmptyBody_KeepsStatus()
    {
        ProxyError error = Read(404, "");
        Assert.Equal((404, FaultKind.ModelNotFound), (error.Status, error.Kind));
        Assert.Contains("404", error.Message, StringComparison.Ordinal);
        Assert.Contains("baseUrl", error.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void BrokenJsonAndInvalidUtf8_BecomeTheMessage()
    {
        Assert.StartsWith("{\"error\":", Read(500, "{\"error\":").Message, StringComparison.Ordinal);
        ProxyError error = UpstreamErrorReader.FromResponse(500, default, [(byte)'{', (byte)'"', 0xC3, (byte)'"', (byte)':', (byte)'1', (byte)'}'], null, Now);
        Assert.Equal(500, error.Status);
    }

    [Theory]
    [InlineData("2", null, 2)]
    [InlineData("1.5", null, 1.5)]
    [InlineData("Sun, 01 Mar 2026 12:00:30 GMT", null, 30)]
    [InlineData("Sun, 01 Mar 2026 11:00:00 GMT", null, 0)]
    [InlineData("9", "250", 0.25)]
    [InlineData("-4", null, 0)]
    public void RetryAfter_IsReadInEachForm(string value, string? milliseconds, double seconds)
    {
        ProxyError error = UpstreamErrorReader.FromResponse(429, new UpstreamHeaders(value, milliseconds), "{}"u8, null, Now);
        Assert.Equal(TimeSpan.FromSeconds(seconds), error.RetryAfter);
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("")]
    [InlineData(null)]
    public void UnreadableRetryAfter_IsAbsent(string? value) => Assert.Null(new UpstreamHeaders(value).Wait(Now));

    [Fact]
    public void Headers_AreFoundWithoutCase()
    {
        List<KeyValuePair<string, IEnumerable<string>>> pairs =
            [new("Retry-After", ["3"]), new("X-Request-Id", ["abc"]), new("Content-Type", ["text/html"]), new("RETRY-AFTER-MS", ["7"])];
        UpstreamHeaders headers = UpstreamHeaders.From(pairs);
        Assert.Equal(new UpstreamHeaders("3", "7", "abc", "text/html"), headers);
        Assert.Equal("abc", UpstreamErrorReader.FromResponse(500, headers, default, null, Now).RequestId);
    }

    [Theory]
    [InlineData("id:1\nevent:error\n:HTTP_STATUS/429\ndata:{\"request_id\":\"z\",\"code\":\"Throttling.AllocationQuota\",\"message\":\"m\"}\n\n", 429, FaultKind.RateLimited, "m")]
    [InlineData("data: {\"error\":{\"code\":\"KeyError\",\"message\":\"'id'\"}}\n\n", 502, FaultKind.ServerError, "'id'")]
    [InlineData("data: {\"error\":{\"message\":\"too long\",\"type\":\"BadRequestError\",\"code\":400}}\n\n", 400, FaultKind.InvalidRequest, "too long")]
    [InlineData("data: {\"error\":{\"message\":\"Compute error.\"},\"message\":\"Compute error.\"}\n\n", 502, FaultKind.ServerError, "Compute error.")]
    [InlineData("event: error\ndata: everything broke\n\n", 502, FaultKind.ServerError, "everything broke")]
    [InlineData("data: {\"code\":\"DataInspectionFailed\",\"message\":\"x\"}\n\n", 400, FaultKind.ContentFilter, "x")]
    public void StreamEvent_TakesStatusFromLineElseFromCode(string sse, int status, FaultKind kind, string message)
    {
        using SseFrameReader frames = new(65536);
        byte[] bytes = Encoding.UTF8.GetBytes(sse);
        bytes.CopyTo(frames.GetMemory());
        frames.Advance(bytes.Length);
        Assert.True(frames.TryRead(out SseFrame frame));
        using ChatEvent chatEvent = new();
        ChatEventDecoder.Decode(frame, chatEvent);
        Assert.Equal(EventKind.Error, chatEvent.Kind);
        ProxyError error = UpstreamErrorReader.FromStreamEvent(chatEvent);
        Assert.Equal((status, kind, message), (error.Status, error.Kind, error.Message));
    }

    [Fact]
    public void FailedFinish_KeepsTheTextAndReadsIt()
    {
        ProxyError plain = OwnErrors.FailedFinish("backend exploded");
        Assert.Equal(("backend exploded", "error_finish", 502), (plain.Message, plain.Code, plain.Status));
        ProxyError limited = OwnErrors.FailedFinish("Too many requests, please wait");
        Assert.Equal((FaultKind.RateLimited, 429), (limited.Kind, limited.Status));
        Assert.NotEmpty(OwnErrors.FailedFinish("").Message);
    }

    [Fact]
    public void AnyBytes_GiveAnErrorOfAtLeast400()
    {
        Random random = new(7);
        byte[][] seeds =
        [
            Encoding.UTF8.GetBytes("""{"error":{"code":"a","message":"b","param":["x"],"type":null},"request_id":7}"""),
            Encoding.UTF8.GetBytes("event:error\ndata:{\"code\":1,\"message\":\"\\ud800\"}\n\n"),
            Encoding.UTF8.GetBytes("[{\"errors\":[{\"message\":\"q\"}]}]"),
            Encoding.UTF8.GetBytes("<html><title>x</title>"),
        ];
        for (int i = 0; i < 5000; i++)
        {
            byte[] body = (byte[])seeds[i % seeds.Length].Clone();
            for (int edits = random.Next(4); edits > 0; edits--) body[random.Next(body.Length)] = (byte)random.Next(256);
            int status = i % 3 == 0 ? 200 : 400 + random.Next(200);
            ProxyError error = UpstreamErrorReader.FromResponse(status, default, body.AsSpan(0, random.Next(body.Length + 1)), "m", Now);
            Assert.InRange(error.Status, 400, 599);
            if (status >= 400) Assert.Equal(status, error.Status);
            Assert.NotEmpty(error.Message);
        }
    }

    private static ProxyError Read(int status, string body) => UpstreamErrorReader.FromResponse(status, default, Encoding.UTF8.GetBytes(body), "m", Now);
}
