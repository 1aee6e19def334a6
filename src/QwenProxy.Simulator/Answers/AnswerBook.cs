using System.Text;
using QwenProxy.Simulator.Requests;

namespace QwenProxy.Simulator.Answers;

/// <summary>What the healthy model answers to a request.</summary>
internal static class AnswerBook
{
    private const int MaxQuestionRunes = 200;

    /// <summary>
    /// The prose, closed by the question itself: of five hundred streams at once no two need be alike, and one that got another's text is found out.
    /// JSON mode, thinking and a forced tool are honoured as the request asks.
    /// </summary>
    public static SimulatedAnswer Healthy(ModelCall call)
    {
        if (call.WantsJson) return new SimulatedAnswer { Text = SampleTexts.Json };
        if (call.ToolChoice.StartsWith('{')) return new SimulatedAnswer { ToolCalls = ToolSamples.Calls(call, 1) };
        return new SimulatedAnswer { Reasoning = call.EnableThinking ? SampleTexts.Reasoning : "", Text = ProseFor(call) };
    }

    public static SimulatedAnswer Thinking(ModelCall call) => Healthy(call) with { Reasoning = SampleTexts.Reasoning };

    /// <summary>Tool calls first; once their results are in the history, the prose.</summary>
    public static SimulatedAnswer Tools(ModelCall call, int count, bool thinking, string text)
    {
        SimulatedAnswer answer = call.AnswersToolResult
            ? new SimulatedAnswer { Text = ProseFor(call) }
            : new SimulatedAnswer { Text = text, ToolCalls = ToolSamples.Calls(call, count) };
        return thinking || call.EnableThinking ? answer with { Reasoning = SampleTexts.Reasoning } : answer;
    }

    private static string ProseFor(ModelCall call)
    {
        string text = SampleTexts.Prose;
        if (call.Images > 0) text += $"\n\nI can see {call.Images} image(s).";
        string question = call.Question;
        if (question.Length == 0) return text;
        StringBuilder shown = new();
        foreach (Rune rune in question.EnumerateRunes().Take(MaxQuestionRunes)) shown.Append(rune.ToString());
        return text + "\n\nYou asked: " + shown;
    }
}
