using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;

namespace QwenProxy.Core.Tests.Requests.Quirks;

/// <summary>The rules on requests that go out in Messages or Responses: what an upstream needs changed is changed in its place, the rest is the client's bytes.</summary>
public sealed class NativeRuleTests
{
    private static readonly ThinkingWish s_none = new(false, null, null), s_some = new(true, null, null);

    [Theory]
    [InlineData("{ 'model':'m', 'max_tokens' : 128000,\n 'x':[1, 2.50] }", "{ 'model':'m', 'max_tokens' : 65536,\n 'x':[1, 2.50] }", "max-tokens-limit")]
    [InlineData("{'max_tokens':65536}", "{'max_tokens':65536}", "")]
    [InlineData("{'max_tokens':9,'tools':[ ],'tool_choice':{'type':'auto'}}", "{'max_tokens':9}", "empty-tools")]
    [InlineData("{'tool_choice':{'type':'any', 'disable_parallel_tool_use':true},'max_tokens':9}", "{'tool_choice':{'type':'auto', 'disable_parallel_tool_use':true},'max_tokens':9}", "tool-choice-required")]
    [InlineData("{'tool_choice':{'type':'tool','name':'f'},'thinking':{'type':'enabled','budget_tokens':1024}}", "{'tool_choice':{'type':'auto'},'thinking':{'type':'enabled','budget_tokens':1024}}", "tool-choice-named")]
    [InlineData("{'tool_choice':{'type':'tool','name':'f'},'thinking':{'type':'disabled'}}", "{'tool_choice':{'type':'tool','name':'f'},'thinking':{'type':'disabled'}}", "")]
    [InlineData("{'tool_choice':{'type':'tool','name':'f'}}", "{'tool_choice':{'type':'tool','name':'f'},'thinking':{'type':'disabled'}}", "tool-choice-named")]
    [InlineData("{'messages':[{'role':'user','content':'a'}, {'role':'system','content':[{'type':'text','text':'b'}]}]}", "{'messages':[{'role':'user','content':'a'}, {'role':'user','content':[{'type':'text','text':'b'}]}]}", "one-system-message")]
    [InlineData("{'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'c','name':'f','input':{'a':1}},{'type':'tool_use','id':'d','name':'f','input':'{\\'b\\':2}'},{'type':'tool_use','id':'e','name':'f'}]}]}", "{'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'c','name':'f','input':{'a':1}},{'type':'tool_use','id':'d','name':'f','input':{'b':2}},{'input':{},'type':'tool_use','id':'e','name':'f'}]}]}", "tool-arguments")]
    public void MessagesAtModelStudio(string asked, string sent, string rule) =>
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", asked, null, "unanswered-tool-call").Gives(sent, rule.Length == 0 ? [] : [rule]);

    /// <summary>One bad turn would make every later request fail.</summary>
    [Theory]
    [InlineData("{'role':'assistant','content':[CALL a,CALL b]},{'role':'user','content':[RESULT b, {'type':'text','text':'go'}]}", "{'role':'assistant','content':[CALL a,CALL b]},{'role':'user','content':[NONE a,RESULT b, {'type':'text','text':'go'}]}", "unanswered-tool-call")]
    [InlineData("{'role':'assistant','content':[CALL a]},{'role':'user','content':'go'}", "{'role':'assistant','content':[CALL a]},{'role':'user','content':[NONE a,{'type':'text','text':'go'}]}", "unanswered-tool-call")]
    [InlineData("{'role':'assistant','content':[CALL a]}", "{'role':'assistant','content':[CALL a]},{'role':'user','content':[NONE a]}", "unanswered-tool-call")]
    [InlineData("{'role':'assistant','content':[CALL a]},{'role':'assistant','content':'x'}", "{'role':'assistant','content':[CALL a]},{'role':'user','content':[NONE a]},{'role':'assistant','content':'x'}", "unanswered-tool-call")]
    [InlineData("{'role':'user','content':[RESULT z]}", "{'role':'user','content':[{'type':'text','text':'Result of the tool call z:'},{'type':'text','text':'r'}]}", "orphan-tool-result")]
    [InlineData("{'role':'assistant','content':[CALL a]},{'role':'user','content':[RESULT a]},{'role':'user','content':'more'}", null, "")]
    [InlineData("{'role':'assistant','content':[CALL a]},{'role':'user','content':'first'},{'role':'user','content':[RESULT a]}", null, "")]
    public void MessagesHistory_HasAResultForEachCall(string asked, string? sent, string rule)
    {
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", Spell(asked)).Gives(Spell(sent ?? asked), rule.Length == 0 ? [] : [rule]);
        QuirkRun.Native(WireDialect.AnthropicMessages, "ollama", "qwen3.6:27b", Spell(asked)).Gives(Spell(asked));
    }

    private static string Spell(string messages)
    {
        foreach (string id in new[] { "a", "b", "z" })
        {
            messages = messages.Replace($"CALL {id}", $"{{'type':'tool_use','id':'{id}','name':'f','input':{{}}}}", StringComparison.Ordinal)
                .Replace($"RESULT {id}", $"{{'type':'tool_result','tool_use_id':'{id}','content':'r'}}", StringComparison.Ordinal)
                .Replace($"NONE {id}", $"{{'type':'tool_result','tool_use_id':'{id}','content':'The result of this call is not available.'}}", StringComparison.Ordinal);
        }

        return $"{{'messages':[{messages}]}}";
    }

    [Theory]
    [InlineData("{ 'model':'m', 'max_output_tokens' : 128000, 'x':2.50 }", "{ 'model':'m', 'max_output_tokens' : 65536, 'x':2.50 }", "max-tokens-limit")]
    [InlineData("{'max_tokens':128000}", "{'max_tokens':128000}", "")]
    [InlineData("{'tool_choice':'required'}", "{'tool_choice':'auto'}", "tool-choice-required")]
    [InlineData("{'reasoning':{'effort' : 'none', 'summary':'auto'}}", "{'reasoning':{'effort' : 'none', 'summary':'auto'},'enable_thinking':false}", "reasoning-effort")]
    [InlineData("{'reasoning':{'effort':'high'}}", "{'reasoning':{'effort':'high'}}", "")]
    [InlineData("{'input':[{'role':'developer','content':'a'},{'type':'message','role':'user','content':'b'}]}", "{'input':[{'role':'system','content':'a'},{'type':'message','role':'user','content':'b'}]}", "developer-role")]
    [InlineData("{'input':[{'type':'function_call','call_id':'c','name':'f','arguments':'{\\'a\\': 1'},{'type':'function_call','call_id':'d','name':'f'}]}", "{'input':[{'type':'function_call','call_id':'c','name':'f','arguments':'{\\'a\\': 1}'},{'type':'function_call','call_id':'d','name':'f','arguments':'{}'}]}", "tool-arguments")]
    [InlineData("{'input':'developer'}", "{'input':'developer'}", "")]
    public void ResponsesAtModelStudio(string asked, string sent, string rule) =>
        QuirkRun.Native(WireDialect.OpenAIResponses, "dashscope", "qwen3.7-max", asked).Gives(sent, rule.Length == 0 ? [] : [rule]);

    [Fact]
    public void EffortOfTheModelsThatTakeOne_IsInTheirWords() =>
        QuirkRun.Native(WireDialect.OpenAIResponses, "dashscope", "qwen3.8-flash", "{'reasoning':{'effort':'high','summary':'auto'}}")
            .Gives("{'reasoning':{'effort':'xhigh','summary':'auto'}}", "reasoning-effort");

    /// <summary>A schema stands in the tool itself, under another name in each API; tools of the service's own are left alone.</summary>
    [Theory]
    [InlineData(WireDialect.AnthropicMessages, "lm-studio", "qwen3.6-27b", "{'tools':[{'name':'f','input_schema':{}},{'type':'web_search_20250305','name':'w'}]}", "{'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}},{'type':'web_search_20250305','name':'w'}]}")]
    [InlineData(WireDialect.OpenAIResponses, "lm-studio", "qwen3.6-27b", "{'tools':[{'type':'function','name':'f','parameters':{}},{'type':'web_search'}]}", "{'tools':[{'type':'function','name':'f','parameters':{'type':'object','properties':{}}},{'type':'web_search'}]}")]
    [InlineData(WireDialect.AnthropicMessages, "dashscope", "MiniMax-M2.5", "{'tools':[{'name':'f'}]}", "{'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}]}")]
    public void EmptySchemas_AreCompleted(WireDialect dialect, string profile, string model, string asked, string sent) =>
        QuirkRun.Native(dialect, profile, model, asked).Gives(sent, "empty-schema-completed");

    [Fact]
    public void EmptySchema_IsLeftOutOfAResponsesToolForLlamaCpp() =>
        QuirkRun.Native(WireDialect.OpenAIResponses, "llama-cpp", "qwen3.6-27b", "{'tools':[{'type':'function','name':'f', 'parameters':{'type':'object','properties':{}}}]}")
            .Gives("{'tools':[{'type':'function','name':'f'}]}", "empty-schema-omitted");

    /// <summary>Messages says it in its own field, Responses in the service's.</summary>
    [Theory]
    [InlineData(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", "{'max_tokens':9}", "{'max_tokens':9,'thinking':{'type':'disabled'}}")]
    [InlineData(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", "{ 'thinking': {'type':'enabled','budget_tokens':2000}, 'max_tokens':9}", "{ 'thinking': {'type':'disabled'}, 'max_tokens':9}")]
    [InlineData(WireDialect.AnthropicMessages, "openrouter", "qwen/qwen3.7-max", "{'max_tokens':9}", "{'max_tokens':9,'thinking':{'type':'disabled'}}")]
    [InlineData(WireDialect.OpenAIResponses, "dashscope", "qwen3.7-max", "{'input':'a'}", "{'input':'a','enable_thinking':false}")]
    [InlineData(WireDialect.OpenAIResponses, "dashscope", "qwen3.8-flash", "{'reasoning':{'summary':'auto'}}", "{'reasoning':{'summary':'auto','effort':'none'}}")]
    [InlineData(WireDialect.OpenAIResponses, "llama-cpp", "qwen3.6-27b", "{'input':'a'}", "{'input':'a','chat_template_kwargs':{'enable_thinking':false}}")]
    [InlineData(WireDialect.OpenAIResponses, "ollama", "qwen3.6:27b", "{'input':'a'}", "{'input':'a','reasoning':{'effort':'none'}}")]
    [InlineData(WireDialect.OpenAIResponses, "openrouter", "qwen/qwen3.7-max", "{'input':'a'}", "{'input':'a','reasoning':{'effort':'none'}}")]
    public void NoThinking_IsSaid(WireDialect dialect, string profile, string model, string asked, string sent) =>
        QuirkRun.Native(dialect, profile, model, asked, s_none).Gives(sent, "thinking-wish");

    [Theory]
    [InlineData("dashscope", "qwen3.7-max", "{'thinking':{'type':'disabled'}}")]
    [InlineData("dashscope", "qwen3.8-max", "{'max_tokens':9}")]
    [InlineData("dashscope", "glm-5.1", "{'max_tokens':9}")]
    [InlineData("lm-studio", "qwen3.7-max", "{'max_tokens':9}")]
    [InlineData("generic", "qwen3.7-max", "{'max_tokens':9}")]
    public void NoThinking_IsNotSaidTwice_NorWhereNothingIsKnown(string profile, string model, string asked) =>
        QuirkRun.Native(WireDialect.AnthropicMessages, profile, model, asked, s_none).Gives(asked);

    [Fact]
    public void NoThinking_IsUnsaidToAModelThatRefusesToHearIt()
    {
        const string asked = "{'thinking':{'type':'disabled'}, 'max_tokens':9}";
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", asked, default(ThinkingWish)).Gives("{'max_tokens':9}", "thinking-wish");
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.8-max", asked, s_none).Gives("{'max_tokens':9}", "thinking-mandatory");
    }

    [Theory]
    [InlineData("{'max_tokens':32000}", "{'max_tokens':32000,'thinking':{'type':'enabled','budget_tokens':16000}}")]
    [InlineData("{'max_tokens':1500}", "{'max_tokens':1500,'thinking':{'type':'enabled','budget_tokens':1024}}")]
    [InlineData("{'max_tokens':1024}", "{'max_tokens':1024}")]
    [InlineData("{'max_tokens':32000,'thinking':{'type':'adaptive'}}", "{'max_tokens':32000,'thinking':{'type':'adaptive'}}")]
    public void Thinking_IsAskedForWhereTheClientSaysNothing(string asked, string sent) =>
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", asked, s_some).Gives(sent, asked == sent ? [] : ["thinking-wish"]);

    [Fact]
    public void RuleThatIsSwitchedOff_LeavesNativeRequestsAlone() =>
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", "{'max_tokens':128000}", s_none, "max-tokens-limit", "thinking-wish").Gives("{'max_tokens':128000}");

    /// <summary>What chat alone is refused for is nothing to the native APIs.</summary>
    [Fact]
    public void FieldsOfTheNativeApis_StayAsTheyAre()
    {
        const string messages = "{'model':'m','metadata':{'user_id':'u'},'system':[{'type':'text','text':'s','cache_control':{'type':'ephemeral'}}],'messages':[{'role':'user','content':[{'type':'text','text':'h\\u00e9','cache_control':{'type':'ephemeral'}}]}],'tools':[{'name':'f','input_schema':{'$schema':'x','type':'object'},'defer_loading':true}],'context_management':{'edits':[]},'thinking':{'type':'adaptive','display':'omitted'},'output_config':{'effort':'high'}}";
        QuirkRun.Native(WireDialect.AnthropicMessages, "dashscope", "qwen3.7-max", messages, s_some).Gives(messages);
        const string responses = "{'model':'m','metadata':{'a':'b'},'input':[{'type':'reasoning','summary':[]},{'type':'function_call','call_id':'c','name':'f','arguments':'{}'},{'type':'function_call_output','call_id':'c','output':'x'}],'tools':[{'type':'function','name':'f','parameters':{'type':'object'}}],'prompt_cache_key':'k'}";
        QuirkRun.Native(WireDialect.OpenAIResponses, "dashscope", "qwen3.7-max", responses).Gives(responses);
    }
}
