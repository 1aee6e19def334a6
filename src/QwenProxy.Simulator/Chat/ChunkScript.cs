using QwenProxy.Simulator.Answers;

namespace QwenProxy.Simulator.Chat;

/// <summary>An answer as the chunks of a healthy DashScope stream.</summary>
internal static class ChunkScript
{
    public static List<Chunk> Of(SimulatedAnswer answer, bool includeUsage)
    {
        bool thinks = answer.Reasoning.Length > 0;
        List<Chunk> chunks =
        [
            thinks
                ? new Chunk(ChunkPlace.First) { ContentIsNull = true, Role = "assistant", Reasoning = "" }
                : new Chunk(ChunkPlace.First) { Content = "", Role = "assistant" },
        ];
        foreach (string piece in TextCutter.Cut(answer.Reasoning)) chunks.Add(new Chunk(ChunkPlace.Body) { ContentIsNull = true, Reasoning = piece });
        foreach (string piece in TextPieces(answer)) chunks.Add(new Chunk(ChunkPlace.Body) { Content = piece, ReasoningIsNull = thinks });
        for (int i = 0; i < answer.ToolCalls.Count; i++) AddCall(chunks, answer.ToolCalls[i], i);
        chunks.Add(Finish(answer, thinks));
        if (includeUsage) chunks.Add(new Chunk(ChunkPlace.Usage));
        return chunks;
    }

    private static IReadOnlyList<string> TextPieces(SimulatedAnswer answer) =>
        answer.TextPieces is { } pieces && string.Concat(pieces) == answer.Text ? pieces : TextCutter.Cut(answer.Text);

    private static void AddCall(List<Chunk> chunks, SimulatedToolCall call, int index)
    {
        chunks.Add(Body(new ToolDelta { Index = index, Id = call.Id, Name = call.Name, Arguments = "" }));
        foreach (string piece in TextCutter.Cut(call.Arguments)) chunks.Add(Body(new ToolDelta { Index = index, Id = "", Arguments = piece }));
    }

    private static Chunk Body(ToolDelta tool) => new(ChunkPlace.Body) { ContentIsNull = true, Tools = [tool] };

    private static Chunk Finish(SimulatedAnswer answer, bool thinks)
    {
        if (answer.ToolCalls.Count > 0) return new Chunk(ChunkPlace.Last) { Finish = answer.Finish };
        return new Chunk(ChunkPlace.Last) { Finish = answer.Finish, Content = "", ReasoningIsNull = thinks };
    }
}
