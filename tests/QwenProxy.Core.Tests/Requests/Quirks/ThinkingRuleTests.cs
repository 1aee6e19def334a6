using QwenProxy.Core.Requests;

namespace QwenProxy.Core.Tests.Requests.Quirks;

public sealed class ThinkingRuleTests
{
    [Theory]
    [InlineData("dashscope", "qwen3.7-max", false, null, null, "'enable_thinking':false")]
    [InlineData("dashscope", "qwen3.7-max", true, 4096, "high", "'enable_thinking':true,'thinking_budget':4096")]
    [InlineData("dashscope", "qwen3.7-max", null, null, "none", "'enable_thinking':false")]
    [InlineData("dashscope", "qwen3.8-max", false, null, null, "")]
    [InlineData("dashscope", "qwen3.8-max", true, null, "high", "'reasoning_effort':'xhigh'")]
    [InlineData("dashscope", "qwen3.8-max", true, 4096, "medium", "'reasoning_effort':'medium'")]
    [InlineData("dashscope", "qwen3.8-flash", true, 4096, null, "'thinking_budget':4096")]
    [InlineData("dashscope", "qwen3.8-flash", false, null, null, "'reasoning_effort':'none'")]
    [InlineData("dashscope", "qwen3-coder-plus", false, 100, "low", "")]
    [InlineData("dashscope", "kimi-k3", false, null, null, "")]
    [InlineData("vllm", "qwen3.6-27b", false, null, null, "'chat_template_kwargs':{'enable_thinking':false}")]
    [InlineData("sglang", "qwen3.6-27b", true, 4096, "high", "'chat_template_kwargs':{'enable_thinking':true}")]
    [InlineData("ollama", "qwen3.6:27b", false, null, null, "'reasoning_effort':'none'")]
    [InlineData("ollama", "qwen3.6:27b", true, 4096, "xhigh", "'reasoning_effort':'max'")]
    [InlineData("openrouter", "qwen/qwen3.7-max", true, 4096, null, "'reasoning':{'max_tokens':4096}")]
    [InlineData("openrouter", "qwen/qwen3.7-max", true, 4096, "max", "'reasoning':{'effort':'xhigh'}")]
    [InlineData("openrouter", "qwen/qwen3.7-max", false, null, null, "'reasoning':{'enabled':false}")]
    [InlineData("generic", "qwen3.7-max", true, 4096, "high", "")]
    public void Wish_BecomesTheUpstreamsFields(string profile, string model, bool? enabled, int? budget, string? effort, string fields)
    {
        QuirkRun run = QuirkRun.Of(profile, model, "{'model':'m'}", new ThinkingWish(enabled, budget, effort));
        if (fields.Length == 0) run.Gives("{'model':'m'}");
        else run.Gives("{'model':'m'," + fields + "}", "thinking-wish");
    }

    [Fact]
    public void Wish_DoesNotOverruleTheRequest() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','enable_thinking':false}", new ThinkingWish(true, 5, null))
            .Gives("{'model':'m','enable_thinking':false}");

    [Theory]
    [InlineData("dashscope", "qwen3.8-max", "minimal", "'reasoning_effort':'low'")]
    [InlineData("dashscope", "qwen3.8-max", "none", "'reasoning_effort':'low'")]
    [InlineData("dashscope", "qwen3.8-flash", "none", "'reasoning_effort':'none'")]
    [InlineData("dashscope", "qwen3.8-flash", "high", "'reasoning_effort':'xhigh'")]
    [InlineData("dashscope", "qwen3.8-flash", "weird", "'reasoning_effort':'weird'")]
    [InlineData("dashscope", "qwen3.7-max", "none", "'reasoning_effort':'none','enable_thinking':false")]
    [InlineData("dashscope", "qwen3.7-max", "minimal", "'reasoning_effort':'minimal','enable_thinking':false")]
    [InlineData("dashscope", "qwen3.7-max", "high", "'reasoning_effort':'high'")]
    [InlineData("dashscope", "qwen-plus", "high", "'reasoning_effort':'high','enable_thinking':true")]
    [InlineData("dashscope", "qwen-plus", "none", "'reasoning_effort':'none'")]
    [InlineData("dashscope", "qwen3-coder-plus", "high", "'reasoning_effort':'high'")]
    [InlineData("vllm", "qwen3.6-27b", "none", "'reasoning_effort':'none','chat_template_kwargs':{'enable_thinking':false}")]
    [InlineData("vllm", "qwen3.6-27b", "high", "'reasoning_effort':'high'")]
    [InlineData("ollama", "qwen3", "minimal", "'reasoning_effort':'low'")]
    [InlineData("openrouter", "qwen/qwen3.7-max", "minimal", "'reasoning_effort':'minimal'")]
    public void Effort_BecomesWhatTheModelUnderstands(string profile, string model, string effort, string fields)
    {
        string before = "{'model':'m','reasoning_effort':'" + effort + "'}", after = "{'model':'m'," + fields + "}";
        QuirkRun run = QuirkRun.Of(profile, model, before);
        if (before == after) run.Gives(before);
        else run.Gives(after, "reasoning-effort");
    }

    [Fact]
    public void EffortBesideABudget_DropsTheBudget() =>
        QuirkRun.Of("dashscope", "qwen3.8-max", "{'model':'m','reasoning_effort':'low','thinking_budget':9}")
            .Gives("{'model':'m','reasoning_effort':'low'}", "reasoning-effort");

    [Fact]
    public void TopLevelSwitch_MovesIntoTheTemplate()
    {
        QuirkRun.Of("vllm", "qwen3.6-27b", "{'model':'m','enable_thinking':false,'chat_template_kwargs':{'x':1}}")
            .Gives("{'model':'m','chat_template_kwargs':{'x':1,'enable_thinking':false}}", "thinking-switch");
        const string both = "{'model':'m','enable_thinking':false,'chat_template_kwargs':{'enable_thinking':true}}";
        QuirkRun.Of("vllm", "qwen3.6-27b", both).Gives(both);
        QuirkRun.Of("generic", "qwen3.6-27b", "{'model':'m','enable_thinking':false}").Gives("{'model':'m','enable_thinking':false}");
        QuirkRun.Of("ollama", "qwen3", "{'model':'m','enable_thinking':false}").Gives("{'model':'m','reasoning_effort':'none'}", "thinking-switch");
    }

    [Fact]
    public void SwitchingOffAModelThatAlwaysThinks_IsDropped() =>
        QuirkRun.Of("token-plan", "qwen3.8-max", "{'model':'m','enable_thinking':false,'n':1}").Gives("{'model':'m','n':1}", "thinking-mandatory");

    [Fact]
    public void JsonMode_SwitchesThinkingOff()
    {
        const string format = "'response_format':{'type':'json_object'}";
        QuirkRun.Of("dashscope", "qwen3.7-plus", "{'model':'m'," + format + ",'enable_thinking':true,'thinking_budget':5}")
            .Gives("{'model':'m'," + format + ",'enable_thinking':false}", "json-mode-thinking");
        QuirkRun.Of("dashscope", "qwen-plus", "{'model':'m'," + format + "}").Gives("{'model':'m'," + format + "}");
        QuirkRun.Of("dashscope", "qwen3.8-max", "{'model':'m'," + format + "}").Gives("{'model':'m'," + format + "}");
        QuirkRun.Of("dashscope", "qwen3.7-plus", "{'model':'m','response_format':{'type':'json_schema'}}")
            .Gives("{'model':'m','response_format':{'type':'json_schema'}}");
    }

    [Theory]
    [InlineData("dashscope", "qwen3.7-max", "'reasoning_content':'thought'", true)]
    [InlineData("dashscope", "qwen3.7-max", "'reasoning_content':''", false)]
    [InlineData("dashscope", "qwen3-max-2026-01-23", "'reasoning_content':'thought'", false)]
    [InlineData("sglang", "qwen3.7-max", "'reasoning_content':'thought'", false)]
    public void ReplayedThinking_IsToBeRead(string profile, string model, string field, bool asked)
    {
        string body = "{'model':'m','messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'," + field + "}]";
        QuirkRun run = QuirkRun.Of(profile, model, body + "}");
        if (asked) run.Gives(body + ",'preserve_thinking':true}", "preserve-thinking");
        else run.Gives(body + "}");
    }
}
