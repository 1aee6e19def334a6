using System.Text;
using System.Text.Json;
using QwenProxy.Core.Requests.Quirks;

namespace QwenProxy.Core.Tests.Requests.Quirks;

public sealed class HistoryRuleTests
{
    private const string User = "{'role':'user','content':'u'}";

    [Theory]
    [InlineData("\"{}\"", null)]
    [InlineData("\"{\\\"a\\\": 1.50}\"", null)]
    [InlineData("\" {\\\"\\u00e4\\\":\\\"\\\\n\\\"} \"", null)]
    [InlineData("\"\"", "{}")]
    [InlineData("null", "{}")]
    [InlineData("7", "{}")]
    [InlineData("{\"a\": [1]}", "{\"a\": [1]}")]
    [InlineData("\"\\\"{\\\\\\\"a\\\\\\\":1}\\\"\"", "{\"a\":1}")]
    [InlineData("\"[1,2]\"", "{}")]
    [InlineData("\"not json\"", "{}")]
    [InlineData("\"{\\\"path\\\":\\\"/a/b\"", "{\"path\":\"/a/b\"}")]
    [InlineData("\"{\\\"a\\\":[1,{\\\"b\\\":2},\"", "{\"a\":[1,{\"b\":2}]}")]
    [InlineData("\"{\\\"a\\\":\\\"x\\\\\"", "{\"a\":\"x\"}")]
    [InlineData("\"{\\\"a\\\":\\\"x\\\\u00\"", "{\"a\":\"x\"}")]
    [InlineData("\"{\\\"a\\\":\"", "{}")]
    [InlineData("\"{\\\"a\\\":1]\"", "{}")]
    [InlineData("\"{\\\"a\\\":1} trailing\"", "{}")]
    public void Arguments_BecomeAnObjectInAString(string value, string? expected)
    {
        byte[]? mended = ToolArguments.Mend(Encoding.UTF8.GetBytes(value));
        Assert.Equal(expected, mended is null ? null : JsonSerializer.Deserialize<string>(mended));
        if (mended is not null) Assert.Null(ToolArguments.Mend(mended));
    }

    [Fact]
    public void BrokenArguments_AreMendedAndTheRestStays()
    {
        string Body(string one, string two) => "{'model':'m', 'messages': [" + User
            + ",\n {'role':'assistant','content':null,'tool_calls':[ {'id':'a','type':'function','function':{'name':'f' , 'arguments':" + one
            + "}},{'id':'b','function':{" + two + "'name':'g'}, 'type':'function'}]}\n,"
            + "{'role':'tool','tool_call_id':'a','content':'r'},{'role':'tool','tool_call_id':'b','content':'s'}] }";
        QuirkRun.Of("generic", "m", Body("'{\\'x\\':1'", "")).Gives(Body("'{\\'x\\':1}'", "'arguments':'{}',"), "tool-arguments");
        QuirkRun.Of("generic", "m", Body("'{\\'x\\':1}'", "'arguments':'{}',")).Gives(Body("'{\\'x\\':1}'", "'arguments':'{}',"));
    }

    [Fact]
    public void OrphanResult_IsToldAsTheUsersAfterTheOthers() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", Messages(User, Calls("a", "b"), Result("a"), Result("x"), Result("b"), User, Result("y")))
            .Gives(
                Messages(User, Calls("a", "b"), Result("a"), Result("b"), Told("x"), User, Told("y")),
                "orphan-tool-result");

    [Fact]
    public void OrphanResultWithParts_KeepsThem() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", Messages("{'role':'tool','content':[{'type':'text','text':'r'}]}"))
            .Gives(Messages("{'role':'user','content':[{'type':'text','text':'Result of a tool call:'},{'type':'text','text':'r'}]}"),
                "orphan-tool-result");

    [Fact]
    public void CallWithoutResult_GetsALine() =>
        QuirkRun.Of("coding-plan", "qwen3.7-plus", Messages(User, Calls("a", "b"), Result("b"), User))
            .Gives(Messages(User, Calls("a", "b"), Result("b"), Unavailable("a"), User), "unanswered-tool-call");

    [Fact]
    public void LastCallWithoutResult_GetsALine() =>
        QuirkRun.Of("coding-plan", "qwen3.7-plus", Messages(User, Calls("a")))
            .Gives(Messages(User, Calls("a"), Unavailable("a")), "unanswered-tool-call");

    [Fact]
    public void LateResult_MovesToItsCall() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", Messages(User, Calls("a", "b"), Result("a"), User, Result("b"), User))
            .Gives(Messages(User, Calls("a", "b"), Result("a"), Result("b"), User, User), "tool-result-order");

    [Theory]
    [InlineData("vllm")]
    [InlineData("generic")]
    public void UnevenHistory_IsLeftWhereNobodyRefusesIt(string profile)
    {
        string body = Messages(User, Calls("a"), User, Result("x"));
        QuirkRun.Of(profile, "m", body).Gives(body);
    }

    [Fact]
    public void ResultWithoutAnId_CountsAsTheAnswer()
    {
        string body = Messages(User, Calls("a"), "{'role':'tool','content':'r'}", User);
        QuirkRun.Of("dashscope", "qwen3.7-max", body).Gives(body);
    }

    [Fact]
    public void HundredThousandBadMessages_AreMendedInLinearTime()
    {
        // Shifted one by one these would take minutes; no clock is read here, a square shows as a test run that does not end.
        string[] bad = [.. Enumerable.Repeat(new[] { "{'role':'system','content':'s'}", Result("x") }, 50_000).SelectMany(m => m)];
        Assert.Equal(["one-system-message", "orphan-tool-result"], QuirkRun.Of("dashscope", "qwen3.7-max", Messages(bad)).Applied);
        string[] silent = [.. Enumerable.Repeat(Calls("a"), 50_000)];
        Assert.Equal(["unanswered-tool-call"], QuirkRun.Of("dashscope", "qwen3.7-max", Messages(silent)).Applied);
        string[] opening = [.. Enumerable.Repeat("{'role':'system','content':'s'}", 100_000)];
        Assert.Equal(["one-system-message"], QuirkRun.Of("vllm", "m", Messages(opening)).Applied);
    }

    private static string Messages(params string[] messages) => "{'model':'m','messages':[" + string.Join(",", messages) + "]}";

    private static string Calls(params string[] ids) =>
        "{'role':'assistant','content':null,'tool_calls':[" + string.Join(",", ids.Select(Call)) + "]}";

    private static string Call(string id) => "{'id':'" + id + "','type':'function','function':{'name':'f','arguments':'{}'}}";

    private static string Result(string id) => "{'role':'tool','tool_call_id':'" + id + "','content':'r'}";

    private static string Unavailable(string id) =>
        "{'role':'tool','tool_call_id':'" + id + "','content':'The result of this call is not available.'}";

    private static string Told(string id) => "{'role':'user','content':'Result of the tool call " + id + ":\\n\\nr'}";
}
