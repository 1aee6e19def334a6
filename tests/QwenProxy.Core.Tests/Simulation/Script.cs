using System.Text;
using QwenProxy.Core.Resume;
using Stream = QwenProxy.Core.Tests.Resume.Stream;

namespace QwenProxy.Core.Tests.Simulation;

/// <summary>What a model says: some thinking, text with repeats in it, one call.</summary>
internal sealed record Script(string Thinking, string Text, string Arguments)
{
    public static Script Usual { get; } = new(
        "First the timetable, then the weather.",
        "The ferry leaves at seven. Seven sharp, says the board, and the gulls agree: ha ha ha ha. 渡轮七点出发，哈哈哈哈。 The ferry leaves at seven, and the quay is empty by eight.",
        """{"quay":"east","hours":[7,7,19],"note":"ha ha"}""");

    public static Script Other { get; } = new(
        "First the weather, and then the timetable.",
        "The ferry leaves at eight, if it leaves at all; the harbour master has not decided yet, and neither has the sea. Ask again when the tide has turned.",
        """{"quay":"west","hours":[8],"note":""}""");

    /// <summary>The whole answer as chunks, cut at places of chance.</summary>
    public string[] Answer(Random random, string id, int usageEvery)
    {
        List<string> chunks = [Stream.Role()];
        chunks.AddRange(Pieces(random, Thinking, 5).Select(Stream.Think));
        chunks.AddRange(Pieces(random, Text, 9).Select(Stream.Say));
        AddCall(chunks, random, id);
        return WithUsage(chunks, usageEvery);
    }

    /// <summary>Who is given the beginning of an answer goes on with that answer, whatever its own would have been.</summary>
    public Script Continuing(SentAnswer sent) => Begins(sent) ? this : Usual.Begins(sent) ? Usual : Other;

    /// <summary>The answer from where <paramref name="sent"/> ends: an upstream that was given the beginning. Some repeat it first.</summary>
    public string[] Continuation(Random random, SentAnswer sent, string id, int usageEvery)
    {
        int length = sent.Choices.First().Content.Length;
        bool repeats = length >= 64 && random.Next(3) == 0;
        List<string> chunks = [Stream.Role()];
        chunks.AddRange(Pieces(random, repeats ? Text : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(Text).AsSpan(length)), 9).Select(Stream.Say));
        AddCall(chunks, random, id);
        return WithUsage(chunks, usageEvery);
    }

    private bool Begins(SentAnswer sent) => Encoding.UTF8.GetBytes(Text).AsSpan().StartsWith(sent.Choices.First().Content);

    private void AddCall(List<string> chunks, Random random, string id)
    {
        List<string> pieces = Pieces(random, Arguments, 12);
        chunks.Add(Stream.Call(0, id, "book", pieces[0]));
        chunks.AddRange(pieces.Skip(1).Select(p => Stream.Arguments(0, p)));
        chunks.Add(Stream.End("tool_calls"));
    }

    /// <summary>0 puts the usage on the last chunk only, 1 running counters on each.</summary>
    private static string[] WithUsage(List<string> chunks, int usageEvery)
    {
        for (int i = 0; i < chunks.Count; i++)
        {
            if (usageEvery == 0 && i < chunks.Count - 1) continue;
            string usage = $$"""{"prompt_tokens":10,"completion_tokens":{{i + 1}},"total_tokens":{{i + 11}}}""";
            chunks[i] = chunks[i].Replace("\"usage\":null", "\"usage\":" + usage, StringComparison.Ordinal);
        }

        return [.. chunks];
    }

    private static List<string> Pieces(Random random, string text, int longest)
    {
        List<string> pieces = [];
        StringBuilder piece = new();
        int want = 1 + random.Next(longest);
        foreach (Rune rune in text.EnumerateRunes())
        {
            piece.Append(rune.ToString());
            if (piece.Length < want) continue;
            pieces.Add(piece.ToString());
            piece.Clear();
            want = 1 + random.Next(longest);
        }

        if (piece.Length > 0) pieces.Add(piece.ToString());
        return pieces;
    }
}
