namespace QwenProxy.Core.Tests.Requests.Quirks;

public sealed class MessageRuleTests
{
    private const string User = "{'role':'user','content':'u'}";

    [Fact]
    public void Developer_BecomesSystem()
    {
        string body = Messages("{ 'content':'d', 'role' : 'developer' , 'name':'x'}", User);
        QuirkRun.Of("generic", "m", body).Gives(Messages("{ 'content':'d', 'role' : 'system' , 'name':'x'}", User), "developer-role");
        QuirkRun.Of("openrouter", "m", body).Gives(body);
    }

    [Fact]
    public void OpeningSystemMessages_BecomeOne() =>
        QuirkRun.Of("vllm", "qwen3.6-27b", Messages("{'role':'system','content':'a\\u00e4','name':'n'}", "{'role':'system','content':''}", User,
            "{'role':'developer','content':'b'}"))
            .Gives(Messages("{'role':'system','content':'a\\u00e4\\n\\nb','name':'n'}", User), "developer-role", "one-system-message");

    [Fact]
    public void SystemMessageWithParts_KeepsItsParts() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", Messages(User,
            "{'role':'system','content':[{'type':'text','text':'a','cache_control':{'type':'ephemeral'}}]}", "{'role':'system','content':'b'}"))
            .Gives(
                Messages("{'role':'system','content':[{'type':'text','text':'a','cache_control':{'type':'ephemeral'}},"
                    + "{'type':'text','text':'b'}]}," + User),
                "one-system-message");

    [Fact]
    public void LaterSystemMessage_StaysInPlaceAsTheUsers() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", Messages("{'role':'system','content':'a'}", User, "{'role':'assistant','content':'b'}",
            "{'role':'system','content':'c'}", User))
            .Gives(Messages("{'role':'system','content':'a'}", User, "{'role':'assistant','content':'b'}", "{'role':'user','content':'c'}", User),
                "one-system-message");

    [Fact]
    public void OpeningOfAConversation_IsTheSameInItsNextTurn()
    {
        string[] turn = ["{'role':'system','content':'a'}", User, "{'role':'system','content':'env'}"];
        string[] next = [.. turn, "{'role':'assistant','content':'b'}", "{'role':'system','content':'note'}", User];
        string first = QuirkRun.Of("vllm", "m", Messages(turn)).Body, second = QuirkRun.Of("vllm", "m", Messages(next)).Body;
        Assert.StartsWith(first[..^2], second, StringComparison.Ordinal);
    }

    [Fact]
    public void SystemMessages_AreLeftWhereSeveralAreAccepted()
    {
        string body = Messages("{'role':'system','content':'a'}", "{'role':'system','content':'b'}");
        QuirkRun.Of("generic", "llama-3", body).Gives(body);
        QuirkRun.Of("openrouter", "qwen/qwen3.7-max", body).Gives(body);
    }

    [Fact]
    public void SystemMessagesToAQwenAnywhere_BecomeOne()
    {
        string body = Messages("{'role':'system','content':'a'}", "{'role':'system','content':'b'}");
        QuirkRun.Of("generic", "Qwen/Qwen3.6-35B-A3B", body).Gives(Messages("{'role':'system','content':'a\\n\\nb'}"), "one-system-message");
    }

    [Fact]
    public void Portal_GetsPartsFirstAndPlainUserText()
    {
        QuirkRun.Of("qwen-portal", "coder-model", Messages("{'role':'system','content':'a'}",
            "{'role':'user','content':[{'type':'text','text':'x'},{'type':'text','text':'y'}]}"))
            .Gives(Messages("{'role':'system','content':[{'type':'text','text':'a'}]}", "{'role':'user','content':'x\\n\\ny'}"),
                "portal-system-parts", "portal-user-text");
        QuirkRun.Of("qwen-portal", "coder-model", Messages(User))
            .Gives(Messages("{'role':'system','content':[{'type':'text','text':'You are a helpful assistant.'}]}," + User), "portal-system-parts");
    }

    [Fact]
    public void ImagePart_KeepsTheArray()
    {
        string body = Messages("{'role':'system','content':[{'type':'text','text':'a'}]}",
            "{'role':'user','content':[{'type':'text','text':'x'},{'type':'image_url','image_url':{'url':'data:,'}}]}");
        QuirkRun.Of("qwen-portal", "vision-model", body).Gives(body);
    }

    [Fact]
    public void PlainTextModel_GetsStrings()
    {
        string body = Messages("{'role':'user','content':[{'type':'text','text':'x'}],'name':'n'}");
        QuirkRun.Of("dashscope", "glm-5.1", body).Gives(Messages("{'role':'user','content':'x','name':'n'}"), "plain-text-content");
        QuirkRun.Of("dashscope", "qwen3.7-max", body).Gives(body);
    }

    [Fact]
    public void CacheMarks_GoWhereNoCacheIsKnown()
    {
        const string mark = ",'cache_control':{'type':'ephemeral'}";
        const string schema = "'parameters':{'type':'object','properties':{'cache_control':{'type':'string'}}}";
        string Body(string m) => "{'model':'m','messages':[{'role':'system','content':[{'type':'text','text':'the cache_control'" + m + "}]}],"
            + "'tools':[{'type':'function','function':{'name':'f'," + schema + "}" + m + "}]}";
        QuirkRun.Of("vllm", "m", Body(mark)).Gives(Body(""), "cache-control");
        QuirkRun.Of("vllm", "m", Body("")).Gives(Body(""));
        Assert.DoesNotContain("cache-control", QuirkRun.Of("dashscope", "qwen3.7-max", Body(mark)).Applied);
    }

    [Theory]
    [InlineData("generic")]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("llama-cpp")]
    [InlineData("ollama")]
    [InlineData("lm-studio")]
    [InlineData("modelscope")]
    public void TranslatedTexts_AreStringsWhereNoCacheNeedsThemApart(string profile)
    {
        const string mark = ",'cache_control':{'type':'ephemeral'}";
        const string image = "{'role':'user','content':[{'type':'text','text':'x'},{'type':'image_url','image_url':{'url':'data:,'}}]}";
        string Body(string m) => Messages(
            "{'role':'system','content':[{'type':'text','text':'a'},{'type':'text','text':'b'" + m + "}]}",
            "{'role':'user','content':[{'type':'text','text':'c'" + m + "}]}",
            image);
        string strings = Messages("{'role':'system','content':'a\\n\\nb'}", "{'role':'user','content':'c'}", image);
        QuirkRun.OfTranslated(profile, "m", Body(mark)).Gives(strings, "cache-control", "text-parts");
        QuirkRun.OfTranslated(profile, "m", Body("")).Gives(strings, "text-parts");
        // What a chat client writes stays as it is.
        QuirkRun.Of(profile, "m", Body("")).Gives(Body(""));
        QuirkRun.OfTranslated("dashscope", "qwen3.7-max", Body(mark)).Gives(Body(mark));
    }

    [Theory]
    [InlineData("vllm", "{'role':'assistant','content':'b','reasoning_content':'t'}", "{'role':'assistant','content':'b','reasoning':'t'}")]
    [InlineData("ollama", "{'role':'assistant','reasoning_content':'t','reasoning':'t','content':'b'}",
        "{'role':'assistant','reasoning':'t','content':'b'}")]
    [InlineData("ollama", "{'role':'assistant','reasoning_content':'t','reasoning':null}", "{'role':'assistant','reasoning':'t'}")]
    public void EarlierThinking_StandsInTheFieldThatIsRead(string profile, string message, string sent)
    {
        QuirkRun.Of(profile, "m", Messages(User, message, User)).Gives(Messages(User, sent, User), "reasoning-history");
        QuirkRun.Of("generic", "m", Messages(User, message, User)).Gives(Messages(User, message, User));
    }

    private static string Messages(params string[] messages) => "{'model':'m','messages':[" + string.Join(", ", messages) + "]}";
}
