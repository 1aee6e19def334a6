using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Requests;
using QwenProxy.Core.Requests.Quirks;

namespace QwenProxy.Core.Tests.Requests.Quirks;

public sealed class FieldRuleTests
{
    [Fact]
    public void MaxCompletionTokens_IsRenamedInPlace() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", "{ 'model':'m', 'max_completion_tokens' : 12e2,\n 'messages':[] , 'x':[1, 2] }")
            .Gives("{ 'model':'m', 'max_tokens' : 12e2,\n 'messages':[] , 'x':[1, 2] }", "renamed-fields");

    [Fact]
    public void MaxTokensBesideMaxCompletionTokens_BothStay() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','max_completion_tokens':5,'max_tokens':6,'messages':[]}")
            .Gives("{'model':'m','max_completion_tokens':5,'max_tokens':6,'messages':[]}");

    [Fact]
    public void NullMaxTokens_GivesWayToTheOther() =>
        QuirkRun.Of("qwen-portal", "coder-model", "{'model':'m','max_tokens':null,'max_completion_tokens':5}")
            .Gives("{'model':'m','max_tokens':5}", "renamed-fields");

    [Fact]
    public void MaxCompletionTokensElsewhere_Stays() =>
        QuirkRun.Of("vllm", "qwen3.6-27b", "{'model':'m','max_completion_tokens':5}").Gives("{'model':'m','max_completion_tokens':5}");

    [Theory]
    [InlineData("qwen3.7-max", "128000", "65536")]
    [InlineData("vision-model", "65536", "32768")]
    public void OversizedMaxTokens_IsLowered(string model, string asked, string sent) =>
        QuirkRun.Of("coding-plan", model, "{'model':'m','max_tokens': " + asked + "}")
            .Gives("{'model':'m','max_tokens': " + sent + "}", "max-tokens-limit");

    [Theory]
    [InlineData("qwen3.7-max", "65536")]
    [InlineData("some-new-model", "999999")]
    [InlineData("qwen3.7-max", "-1")]
    [InlineData("qwen3.7-max", "1e9")]
    public void FittingOrUnknownMaxTokens_Stays(string model, string asked) =>
        QuirkRun.Of("dashscope", model, "{'model':'m','max_tokens':" + asked + "}").Gives("{'model':'m','max_tokens':" + asked + "}");

    [Fact]
    public void RenamedField_IsLoweredToo() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','max_completion_tokens':200000}")
            .Gives("{'model':'m','max_tokens':65536}", "renamed-fields", "max-tokens-limit");

    [Theory]
    [InlineData("dashscope", "glm-5.1", true)]
    [InlineData("dashscope", "qwen3.7-max", false)]
    [InlineData("openrouter", "z-ai/glm-5.1", false)]
    public void Metadata_GoesOnlyForOthersModelsAtTheService(string profile, string model, bool dropped)
    {
        QuirkRun run = QuirkRun.Of(profile, model, "{'metadata':{'a':1}, 'model':'m'}");
        if (dropped) run.Gives("{'model':'m'}", "foreign-model-metadata");
        else run.Gives("{'metadata':{'a':1}, 'model':'m'}");
    }

    [Fact]
    public void DroppedFields_Go()
    {
        QuirkRule rule = QuirkRules.All.Single(r => r.Id == "unsupported-fields");
        Assert.False(rule.Applies(Named("generic"), "m"));
        UpstreamProfile strict = Named("generic") with { DroppedFields = ["store"] };
        Assert.True(rule.Applies(strict, "m"));
        Assert.True(ChatRequest.TryParse("{\"model\":\"m\",\"store\":true}"u8.ToArray(), out ChatRequest request, out _));
        List<string> applied = [];
        ChatRequest changed = QuirkRules.Apply(request, strict, "m", null, new HashSet<string>(), applied);
        Assert.Equal("{\"model\":\"m\"}"u8.ToArray(), changed.Body.ToArray());
        Assert.Equal(["unsupported-fields"], applied);
    }

    [Fact]
    public void RuleSwitchedOff_DoesNothing() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','max_completion_tokens':5}", null, "renamed-fields")
            .Gives("{'model':'m','max_completion_tokens':5}");

    [Fact]
    public void Ids_AreUniqueAndPlain()
    {
        Assert.Equal(QuirkRules.All.Count, QuirkRules.All.Select(r => r.Id).Distinct().Count());
        Assert.All(QuirkRules.All, r => Assert.Matches("^[a-z]+(-[a-z]+)*$", r.Id));
        Assert.All(QuirkRules.All, r => Assert.EndsWith(".", r.Summary));
    }

    [Fact]
    public void EveryRule_StandsInTheDocument()
    {
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "QwenProxy.slnx"))) root = root.Parent;
        string text = File.ReadAllText(Path.Combine(root!.FullName, "docs", "quirks.md"));
        Assert.All(QuirkRules.All, r => Assert.Contains($"| `{r.Id}` |", text, StringComparison.Ordinal));
    }

    private static UpstreamProfile Named(string name) => Profiles.ByName(name)!;
}
