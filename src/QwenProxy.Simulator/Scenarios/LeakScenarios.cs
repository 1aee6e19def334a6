using System.Text;
using System.Text.Json;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>What a model's server should have taken apart and did not: tool calls and thinking as plain text.</summary>
internal static class LeakScenarios
{
    private const string Group = "leaks";

    public static IEnumerable<Scenario> All =>
    [
        Leak("leaked-hermes", "the call as `<tool_call>{json}</tool_call>` in the text", (calls, _) => string.Concat(calls.Select(Hermes))),
        Leak("leaked-xml", "the call as `<tool_call><function=…><parameter=…>…` in the text",
            (calls, _) => string.Concat(calls.Select(c => Xml(c, true)))),
        Leak("leaked-bare", "`<function=…>` without the wrapper", (calls, _) => string.Concat(calls.Select(c => Xml(c, false)))),
        Leak("leaked-unclosed", "the last closing tags are missing; `form=hermes` or `xml` (xml)", Unclosed),
        Leak("leaked-invoke", "the call as `<function_calls><invoke name=…><parameter name=…>…` in the text", (calls, _) => Invoke(calls)),
        new("leaked-in-thinking", Group, "the call stands inside the reasoning; `form=xml` or `hermes` (hermes); with `then=TEXT` a visible answer follows, and no call is meant")
        {
            Answer = Call,
            SpoilAnswer = (a, c) => a with { Reasoning = SampleTexts.Reasoning + Wrapped(a.ToolCalls, c.Spec), ToolCalls = [],
                Text = c.Spec.Get("then") ?? a.Text, FinishReason = "stop" },
        },
        new("leaked-twice", Group, "the call once in the text and once as a real one")
        {
            Answer = Call,
            SpoilAnswer = (a, _) => a with { Text = a.Text + string.Concat(a.ToolCalls.Select(Hermes)) },
        },
        new("mentioned-tags", Group, "prose and code that only speak of `<tool_call>`: must stay as it is")
        {
            Answer = _ => new SimulatedAnswer
            {
                Text = "A call is written `<tool_call>{\"name\": …}</tool_call>`, for instance:\n\n```xml\n<tool_call>\n{\"name\": \"read_file\", "
                    + "\"arguments\": {\"path\": \"a\"}}\n</tool_call>\n```\n\nThe tag <tool_call> opens it, and 3 <function=4 is no tag at all.",
            },
        },
        new("double-encoded-args", Group, "the arguments are a JSON string that holds the JSON")
        {
            Answer = Call,
            SpoilAnswer = (a, _) => a with { ToolCalls = [.. a.ToolCalls.Select(c => c with { Arguments = JsonBuilder.Quote(c.Arguments) })] },
        },
        new("truncated-tool-args", Group, "the arguments stop half-way; finish reason `reason=` (tool_calls)")
        {
            Answer = Call,
            SpoilAnswer = (a, c) => a with { ToolCalls = Halve(a.ToolCalls), FinishReason = c.Spec.Get("reason") ?? "tool_calls" },
        },
        new("empty-args", Group, "a call whose arguments are the empty string")
        {
            Answer = Call,
            SpoilAnswer = (a, _) => a with { ToolCalls = [.. a.ToolCalls.Select(c => c with { Arguments = "" })] },
        },
        new("think-tags", Group, "`<think>…</think>` in the text instead of reasoning")
        {
            Answer = c => AnswerBook.Thinking(c.Call),
            SpoilAnswer = (a, _) => a with { Reasoning = "", Text = $"<think>\n{a.Reasoning}\n</think>\n\n{a.Text}" },
        },
        new("lone-close-think", Group, "the reasoning in the text with only its closing tag")
        {
            Answer = c => AnswerBook.Thinking(c.Call),
            SpoilAnswer = (a, _) => a with { Reasoning = "", Text = $"{a.Reasoning}\n</think>\n\n{a.Text}" },
        },
        new("everything-in-reasoning", Group, "the answer stands in the reasoning and the text is empty")
        {
            SpoilAnswer = (a, _) => a with { Reasoning = a.Reasoning + a.Text, Text = "" },
        },
        new("loop", Group, "one sentence `times=` (400) times, then `length`")
        {
            Answer = c => new SimulatedAnswer
            {
                Text = string.Concat(Enumerable.Repeat("I will check the file again. ", c.Spec.Number("times", 400))), FinishReason = "length",
            },
        },
    ];

    private static SimulatedAnswer Call(ScenarioContext context) => AnswerBook.Tools(context.Call, context.Spec.Number("calls", 1), false, "");

    private static Scenario Leak(string name, string summary, Func<IReadOnlyList<SimulatedToolCall>, ScenarioSpec, string> write) =>
        new(name, Group, summary)
        {
            Answer = c => AnswerBook.Tools(c.Call, c.Spec.Number("calls", 1), false, "Let me look."),
            SpoilAnswer = (a, c) => a.ToolCalls.Count == 0 ? a
                : a with { Text = a.Text + (a.Text.Length > 0 ? "\n\n" : "") + write(a.ToolCalls, c.Spec), ToolCalls = [], FinishReason = "stop" },
        };

    private static string Wrapped(IReadOnlyList<SimulatedToolCall> calls, ScenarioSpec spec) =>
        "\n" + string.Concat(calls.Select(c => spec.Get("form") == "xml" ? Xml(c, true) : Hermes(c)));

    private static string Hermes(SimulatedToolCall call) =>
        $"<tool_call>\n{{\"name\": {JsonBuilder.Quote(call.Name)}, \"arguments\": {call.Arguments}}}\n</tool_call>\n";

    private static string Xml(SimulatedToolCall call, bool wrapped)
    {
        StringBuilder text = new(wrapped ? "<tool_call>\n" : "");
        text.Append("<function=").Append(call.Name).Append(">\n");
        foreach ((string name, string value) in Raw(call)) text.Append("<parameter=").Append(name).Append(">\n").Append(value).Append("\n</parameter>\n");

        return text.Append(wrapped ? "</function>\n</tool_call>\n" : "</function>\n").ToString();
    }

    private static string Invoke(IReadOnlyList<SimulatedToolCall> calls)
    {
        StringBuilder text = new("<function_calls>\n");
        foreach (SimulatedToolCall call in calls)
        {
            text.Append("<invoke name=\"").Append(call.Name).Append("\">\n");
            foreach ((string name, string value) in Raw(call)) text.Append("<parameter name=\"").Append(name).Append("\">").Append(value).Append("</parameter>\n");
            text.Append("</invoke>\n");
        }

        return text.Append("</function_calls>\n").ToString();
    }

    /// <summary>As the model writes arguments: a string without quotes, anything else as JSON.</summary>
    private static IEnumerable<(string Name, string Value)> Raw(SimulatedToolCall call)
    {
        using JsonDocument document = JsonDocument.Parse(call.Arguments.Length == 0 ? "{}" : call.Arguments);
        foreach (JsonProperty argument in document.RootElement.EnumerateObject())
        {
            yield return (argument.Name, argument.Value.ValueKind == JsonValueKind.String ? argument.Value.GetString()! : argument.Value.GetRawText());
        }
    }

    private static string Unclosed(IReadOnlyList<SimulatedToolCall> calls, ScenarioSpec spec)
    {
        string text = string.Concat(calls.Select(c => spec.Get("form") == "hermes" ? Hermes(c) : Xml(c, true))).TrimEnd();
        foreach (string tag in new[] { "</tool_call>", "</function>", "</parameter>" })
            if (text.EndsWith(tag, StringComparison.Ordinal)) text = text[..^tag.Length].TrimEnd();
        return text;
    }

    private static SimulatedToolCall[] Halve(IReadOnlyList<SimulatedToolCall> calls) =>
        [.. calls.Select((c, i) => i < calls.Count - 1 ? c : c with { Arguments = c.Arguments[..(c.Arguments.Length / 2)] })];
}
