namespace QwenProxy.Core.Tests.Requests.Quirks;

public sealed class ToolRuleTests
{
    private const string Tool = "{'type':'function','function':{'name':'f','parameters':{'type':'object','properties':{'a':{'type':'string'}}}}}";

    [Fact]
    public void EmptyTools_GoWithTheirChoice() =>
        QuirkRun.Of("dashscope", "qwen3.7-max",
            "{'model':'m','tools':[ ],'tool_choice':{'type':'function','function':{'name':'f'}},'parallel_tool_calls':true,'n':1}")
            .Gives("{'model':'m','n':1}", "empty-tools");

    [Fact]
    public void ToolsAtQwen_AllowParallelCalls() =>
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','tools':[" + Tool + "]}")
            .Gives("{'model':'m','tools':[" + Tool + "],'parallel_tool_calls':true}", "parallel-tool-calls");

    [Theory]
    [InlineData("dashscope", "qwen3.7-max", ",'parallel_tool_calls':false")]
    [InlineData("dashscope", "kimi-k2.6", "")]
    [InlineData("vllm", "qwen3.6-27b", "")]
    [InlineData("generic", "qwen3.7-max", "")]
    public void ParallelCalls_AreLeftWhereTheClientSpokeOrTheDefaultIsUnknown(string profile, string model, string said)
    {
        string body = "{'model':'m','tools':[" + Tool + "]" + said + "}";
        QuirkRun.Of(profile, model, body).Gives(body);
    }

    [Fact]
    public void ToolWithoutArguments_LosesItsSchemaForLlamaCpp() =>
        QuirkRun.Of("llama-cpp", "qwen",
            "{'model':'m','tools':[" + Tool + ", {'type':'function','function':{'name':'g',"
                + "'parameters':{'type':'object','properties':{},'additionalProperties':false},'strict':true}}]}")
            .Gives("{'model':'m','tools':[" + Tool + ", {'type':'function','function':{'name':'g','strict':true}}]}", "empty-schema-omitted");

    [Fact]
    public void OpenSchema_StaysForLlamaCpp()
    {
        const string body = "{'model':'m','tools':[{'type':'function','function':{'name':'g',"
            + "'parameters':{'type':'object','properties':{},'additionalProperties':true}}}]}";
        QuirkRun.Of("llama-cpp", "qwen", body).Gives(body);
    }

    [Theory]
    [InlineData("lm-studio", "qwen", "{'name':'g','parameters':{}}", true)]
    [InlineData("lm-studio", "qwen", "{'name':'g'}", false)]
    [InlineData("generic", "MiniMax-M2.5", "{'name':'g'}", true)]
    [InlineData("generic", "MiniMax-M2.5", "{'name':'g','parameters':null}", true)]
    [InlineData("generic", "qwen3.7-max", "{'name':'g','parameters':{}}", false)]
    public void EmptySchema_IsCompletedWhereItIsRefused(string profile, string model, string function, bool completed)
    {
        string whole = "{'name':'g','parameters':{'type':'object','properties':{}}}";
        QuirkRun run = QuirkRun.Of(profile, model, "{'model':'m','tools':[{'type':'function','function':" + function + "}]}");
        if (completed) run.Gives("{'model':'m','tools':[{'type':'function','function':" + whole + "}]}", "empty-schema-completed");
        else run.Gives("{'model':'m','tools':[{'type':'function','function':" + function + "}]}");
    }

    [Theory]
    [InlineData("qwen3.7-max", "")]
    [InlineData("qwen3-coder-plus", "")]
    public void RequiredChoice_BecomesAuto(string model, string more) =>
        QuirkRun.Of("dashscope", model, "{'model':'m','tool_choice':'required'" + more + "}")
            .Gives("{'model':'m','tool_choice':'auto'" + more + "}", "tool-choice-required");

    [Fact]
    public void NamedChoice_SwitchesThinkingOff()
    {
        const string choice = "'tool_choice':{'type':'function','function':{'name':'f'}}";
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m'," + choice + "}")
            .Gives("{'model':'m'," + choice + ",'enable_thinking':false}", "tool-choice-named");
        QuirkRun.Of("dashscope", "qwen3.8-flash", "{'model':'m'," + choice + "}")
            .Gives("{'model':'m'," + choice + ",'reasoning_effort':'none'}", "tool-choice-named");
        QuirkRun.Of("dashscope", "qwen3-coder-plus", "{'model':'m'," + choice + "}").Gives("{'model':'m'," + choice + "}");
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','enable_thinking':false," + choice + "}")
            .Gives("{'model':'m','enable_thinking':false," + choice + "}");
        QuirkRun.Of("vllm", "qwen3.6-27b", "{'model':'m'," + choice + "}").Gives("{'model':'m'," + choice + "}");
    }

    [Fact]
    public void NamedChoiceWhereThinkingMustStay_BecomesAuto()
    {
        const string choice = "'tool_choice':{'type':'function','function':{'name':'f'}}";
        QuirkRun.Of("dashscope", "qwen3.8-max", "{'model':'m'," + choice + "}").Gives("{'model':'m','tool_choice':'auto'}", "tool-choice-named");
        QuirkRun.Of("dashscope", "qwen3.7-max", "{'model':'m','enable_thinking':true," + choice + "}")
            .Gives("{'model':'m','enable_thinking':true,'tool_choice':'auto'}", "tool-choice-named");
    }
}
