using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Chunks that are unusual or wrong in other ways: ends, nulls, field names, size.</summary>
internal static class ChunkScenarios
{
    private const string Group = "chunks";

    public static IEnumerable<Scenario> All =>
    [
        new("no-done", Group, "a finish reason, then a clean end without `[DONE]`") { WithoutDone = true },
        new("no-finish", Group, "a clean end without finish reason and without `[DONE]`; `done=1` sends `[DONE]`")
        {
            SpoilChunks = NoFinish,
            WithoutDone = true,
        },
        new("double-finish", Group, "the finish chunk comes twice") { SpoilChunks = (c, _) => Insert(c, FinishAt(c), c[FinishAt(c)]) },
        new("text-after-finish", Group, "one more text delta after the finish reason")
        {
            SpoilChunks = (c, _) => Insert(c, FinishAt(c) + 1, new Chunk(ChunkPlace.Body) { Content = " (late)" }),
        },
        new("empty-choices", Group, "chunks without choices at the start and in the middle")
        {
            SpoilChunks = (c, _) =>
            {
                Insert(c, c.Count / 2, new Chunk(ChunkPlace.Body)
                {
                    Raw = """{"choices":[],"object":"chat.completion.chunk","usage":null,"model":"m","id":"x"}""",
                });
                Insert(c, 0, new Chunk(ChunkPlace.Body)
                {
                    Raw = """{"choices":[],"prompt_filter_results":[],"object":"chat.completion.chunk","id":""}""",
                });
            },
        },
        new("empty-deltas", Group, "deltas with `\"content\":\"\"` in between")
        {
            SpoilChunks = (c, _) =>
            {
                for (int i = FinishAt(c) - 1; i > 0; i -= 2) Insert(c, i, new Chunk(ChunkPlace.Body) { Content = "" });
            },
        },
        new("usage-on-every-chunk", Group, "running counters on each chunk")
        {
            SpoilChunks = (c, _) =>
            {
                for (int i = 0; i < c.Count; i++)
                {
                    string counters = $$"""{"prompt_tokens":9,"completion_tokens":{{i}},"total_tokens":{{9 + i}}}""";
                    if (c[i].Place != ChunkPlace.Usage) c[i] = c[i] with { UsageJson = counters };
                }
            },
        },
        new("reasoning-field", Group, "the reasoning is called `reasoning`, as vLLM and Ollama do")
        {
            Answer = Thinks, SpoilChunks = RenameReasoning,
        },
        new("reasoning-mirrored", Group, "the reasoning stands in `reasoning_content` and again in `reasoning`")
        {
            Answer = Thinks,
            SpoilChunks = (c, _) => Each(c, chunk => chunk with { ReasoningTwice = true }),
        },
        new("role-on-every-chunk", Group, "`\"role\":\"assistant\"` on each delta")
        {
            SpoilChunks = (c, _) => Each(c, chunk => chunk with { Role = "assistant" }),
        },
        new("no-role", Group, "no opening chunk with the role, as the portal streamed")
        {
            SpoilChunks = (c, _) => c.RemoveAll(k => k.Role is not null),
        },
        new("sglang-nulls", Group, "every member of the delta is there, most of them null, and `matched_stop`") { SpoilChunks = SglangNulls },
        new("big-event", Group, "one text delta of `bytes=` (1048576) characters among small ones")
        {
            SpoilChunks = (c, context) => Insert(c, 2, new Chunk(ChunkPlace.Body)
            {
                Content = new string('x', context.Spec.Number("bytes", 1 << 20)),
            }),
        },
        new("broken-event", Group, "after `events=` (3) events one whose data is not JSON, then the rest")
        {
            SpoilChunks = (c, context) => Insert(c, Math.Min(context.Spec.Number("events", 3), c.Count), new Chunk(ChunkPlace.Body)
            {
                Raw = """{"choices":[{"delta":{"content":"brok""",
            }),
        },
        new("error-finish", Group, "after `events=` (3) events `finish_reason` `error_finish` with the error as text")
        {
            SpoilChunks = ErrorFinish,
        },
    ];

    private static SimulatedAnswer Thinks(ScenarioContext context) => AnswerBook.Thinking(context.Call);

    private static int FinishAt(List<Chunk> chunks) => chunks.FindIndex(c => c.Finish is not null);

    private static void Insert(List<Chunk> chunks, int at, Chunk chunk) => chunks.Insert(at, chunk);

    private static void Each(List<Chunk> chunks, Func<Chunk, Chunk> change)
    {
        for (int i = 0; i < chunks.Count; i++) chunks[i] = change(chunks[i]);
    }

    private static void NoFinish(List<Chunk> chunks, ScenarioContext context)
    {
        chunks.RemoveRange(FinishAt(chunks), chunks.Count - FinishAt(chunks));
        if (context.Spec.Get("done") == "1") chunks.Add(new Chunk(ChunkPlace.Body) { Raw = "[DONE]" });
    }

    private static void RenameReasoning(List<Chunk> chunks, ScenarioContext context) => Each(chunks, c => c with { ReasoningField = "reasoning" });

    private static void ErrorFinish(List<Chunk> chunks, ScenarioContext context)
    {
        int keep = Math.Min(context.Spec.Number("events", 3), chunks.Count);
        chunks.RemoveRange(keep, chunks.Count - keep);
        string message = context.Spec.Get("message") ?? "Request failed: backend connection lost";
        chunks.Add(new Chunk(ChunkPlace.Last) { Finish = "error_finish", Content = message });
    }

    private static void SglangNulls(List<Chunk> chunks, ScenarioContext context) => Each(chunks, chunk =>
    {
        if (chunk.Place == ChunkPlace.Usage || chunk.Tools.Count > 0) return chunk;
        using JsonBuilder json = new();
        json.Raw("{\"id\":"u8).Text(context.Head.Id).Raw(",\"object\":\"chat.completion.chunk\",\"created\":"u8).Number(context.Head.Created);
        json.Raw(",\"model\":"u8).Text(context.Head.Model).Raw(",\"choices\":[{\"index\":0,\"delta\":{\"role\":"u8).Text(chunk.Role);
        json.Raw(",\"content\":"u8).Text(chunk.Content).Raw(",\"reasoning_content\":"u8).Text(chunk.Reasoning);
        json.Raw(",\"tool_calls\":null},\"logprobs\":null,\"finish_reason\":"u8).Text(chunk.Finish);
        json.Raw(",\"matched_stop\":"u8).Raw(chunk.Finish is null ? "null" : "151645").Raw("}],\"usage\":null}"u8);
        return chunk with { Raw = json.ToString() };
    });
}
