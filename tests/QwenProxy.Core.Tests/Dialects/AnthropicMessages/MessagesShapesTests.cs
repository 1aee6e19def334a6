using System.Text;
using System.Text.Json;
using QwenProxy.Core.Dialects.AnthropicMessages;
using QwenProxy.Core.Errors;

namespace QwenProxy.Core.Tests.Dialects.AnthropicMessages;

/// <summary>Errors and models in Anthropic's shapes.</summary>
public sealed class MessagesShapesTests
{
    private static readonly MessagesModel[] Models = [.. Enumerable.Range(1, 5).Select(Model)];

    [Theory]
    [InlineData(400, "invalid_request_error")]
    [InlineData(401, "authentication_error")]
    [InlineData(402, "billing_error")]
    [InlineData(403, "permission_error")]
    [InlineData(404, "not_found_error")]
    [InlineData(405, "invalid_request_error")]
    [InlineData(413, "request_too_large")]
    [InlineData(429, "rate_limit_error")]
    [InlineData(500, "api_error")]
    [InlineData(502, "api_error")]
    [InlineData(503, "overloaded_error")]
    [InlineData(504, "timeout_error")]
    [InlineData(529, "overloaded_error")]
    public void ErrorType_FollowsTheStatus(int status, string type)
    {
        ProxyError error = new()
        {
            Kind = FaultKind.ServerError,
            Source = FaultSource.Upstream,
            Status = status,
            Message = "was \"so\" 坏",
            Type = "server_error",
        };
        string expected = $$$"""{"type":"error","error":{"type":"{{{type}}}","message":"was \"so\" 坏"}}""";
        Assert.Equal(expected, Encoding.UTF8.GetString(MessagesErrors.Write(error)));
    }

    [Fact]
    public void UpstreamsCodeParamAndRequestId_AreKept()
    {
        ProxyError error = new()
        {
            Kind = FaultKind.InvalidRequest,
            Source = FaultSource.Upstream,
            Status = 400,
            Message = "No.",
            Code = "bad",
            Param = "top_p",
            RequestId = "r-1",
            Fix = "Do that.",
        };
        const string Inner = """{"type":"invalid_request_error","message":"No. Do that.","code":"bad","param":"top_p"}""";
        const string Expected = """{"type":"error","error":""" + Inner + ""","request_id":"r-1"}""";
        Assert.Equal(Expected, Encoding.UTF8.GetString(MessagesErrors.Write(error)));
    }

    [Theory]
    [InlineData("Range of input length should be [1, 983616]", "prompt is too long: Range of input length should be [1, 983616]")]
    [InlineData("Prompt is too long: 9 tokens > 8 maximum", "Prompt is too long: 9 tokens > 8 maximum")]
    public void TooLongPrompt_IsSaidInTheWordsClientsActOn(string upstream, string expected)
    {
        ProxyError error = new() { Kind = FaultKind.ContextTooLong, Source = FaultSource.Upstream, Status = 400, Message = upstream };
        using JsonDocument json = JsonDocument.Parse(MessagesErrors.Write(error));
        Assert.Equal(expected, json.RootElement.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public void Model_HasItsLimitsWhereTheyAreKnown()
    {
        const string Limits = "\"max_input_tokens\":2000,\"max_tokens\":100}";
        const string Expected = """{"type":"model","id":"m2","display_name":"Model 2","created_at":"1970-01-03T00:00:00Z",""" + Limits;
        Assert.Equal(Expected, Encoding.UTF8.GetString(MessagesModels.WriteOne(Models[1])));
        Assert.DoesNotContain("max_tokens", Encoding.UTF8.GetString(MessagesModels.WriteOne(Models[0])), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, null, "m1 m2 m3 m4 m5", false)]
    [InlineData(2, null, null, "m1 m2", true)]
    [InlineData(2, "m2", null, "m3 m4", true)]
    [InlineData(2, "m4", null, "m5", false)]
    [InlineData(2, "m5", null, "", false)]
    [InlineData(2, "gone", null, "m1 m2", true)]
    [InlineData(2, null, "m4", "m2 m3", true)]
    [InlineData(9, null, "m4", "m1 m2 m3", false)]
    [InlineData(0, null, null, "m1", true)]
    [InlineData(5000, null, null, "m1 m2 m3 m4 m5", false)]
    public void ModelList_IsPaged(int? limit, string? after, string? before, string ids, bool hasMore)
    {
        using JsonDocument json = JsonDocument.Parse(MessagesModels.WriteList(Models, limit, after, before));
        string[] listed = [.. json.RootElement.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString()!)];
        Assert.Equal(ids, string.Join(' ', listed));
        Assert.Equal(hasMore, json.RootElement.GetProperty("has_more").GetBoolean());
        Assert.Equal(listed.FirstOrDefault(), json.RootElement.GetProperty("first_id").GetString());
        Assert.Equal(listed.LastOrDefault(), json.RootElement.GetProperty("last_id").GetString());
    }

    private static MessagesModel Model(int number) =>
        new($"m{number}", $"Model {number}", DateTimeOffset.UnixEpoch.AddDays(number), 1000 * number, number == 1 ? null : 100);
}
