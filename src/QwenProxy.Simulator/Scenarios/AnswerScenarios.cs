using QwenProxy.Simulator.Answers;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>What a healthy model may say.</summary>
internal static class AnswerScenarios
{
    private const string Group = "answers";

    public static IEnumerable<Scenario> All =>
    [
        new("healthy", Group, "prose with code, CJK and emoji, closed by the question; honours JSON mode, `enable_thinking` and a forced tool")
        {
            Answer = c => AnswerBook.Healthy(c.Call),
        },
        new("thinking", Group, "reasoning, then the prose") { Answer = c => AnswerBook.Thinking(c.Call) },
        new("tools-1", Group, "one tool call that fits the first declared tool; prose once its result is there")
        {
            Answer = c => AnswerBook.Tools(c.Call, 1, false, ""),
        },
        new("tools-2", Group, "two parallel tool calls") { Answer = c => AnswerBook.Tools(c.Call, 2, false, "") },
        new("tool-after-text", Group, "a sentence, then a tool call") { Answer = c => AnswerBook.Tools(c.Call, 1, false, "I will look it up.") },
        new("tool-after-thinking", Group, "reasoning, then a tool call") { Answer = c => AnswerBook.Tools(c.Call, 1, true, "") },
        new("json", Group, "a JSON object as the text") { Answer = _ => new SimulatedAnswer { Text = SampleTexts.Json } },
        new("long", Group, "numbered sentences, `characters=` (20000) long")
        {
            Answer = c => new SimulatedAnswer { Text = SampleTexts.Long(c.Spec.Number("characters", 20_000)) },
        },
        new("text", Group, "the text given by `say=`, percent-encoded; `reasoning=` likewise")
        {
            Answer = c => new SimulatedAnswer { Text = c.Spec.Get("say") ?? "", Reasoning = c.Spec.Get("reasoning") ?? "" },
        },
        new("empty-answer", Group, "a finish reason and not one character") { Answer = _ => new SimulatedAnswer() },
        new("length", Group, "the prose, ended by `length`") { Answer = c => AnswerBook.Healthy(c.Call) with { FinishReason = "length" } },
        new("content-filter", Group, "half a sentence, ended by `content_filter`")
        {
            Answer = _ => new SimulatedAnswer { Text = "The harbour master said that", FinishReason = "content_filter" },
        },
    ];
}
