using System.Text;

namespace QwenProxy.Simulator.Answers;

/// <summary>The usage of one answer: four bytes of UTF-8 a token, rounded up.</summary>
internal readonly record struct TokenCount(int Prompt, int Reasoning, int Text)
{
    public int Completion => Reasoning + Text;

    public int Total => Prompt + Completion;

    public static TokenCount Of(int promptTokens, SimulatedAnswer answer) => new(promptTokens, Tokens(answer.Reasoning),
        Tokens(answer.Text) + answer.ToolCalls.Sum(c => Tokens(c.Name) + Tokens(c.Arguments)));

    public static int Tokens(string text) => (Encoding.UTF8.GetByteCount(text) + 3) / 4;
}
