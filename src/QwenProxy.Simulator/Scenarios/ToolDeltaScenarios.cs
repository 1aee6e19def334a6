using System.Text;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Wire;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>Tool calls whose deltas are put together wrongly. All make two calls unless <c>calls=</c> says otherwise.</summary>
internal static class ToolDeltaScenarios
{
    private const string Group = "tool deltas";

    public static IEnumerable<Scenario> All =>
    [
        New("tool-no-index", "no `index` at all", c => Change(c, (t, _) => t with { Index = null })),
        New("tool-index-shared", "all calls say index 0", c => Change(c, (t, _) => t with { Index = 0 })),
        New("tool-index-declared", "the opening delta's index is the tool's place among the declared tools plus 1, later ones are right",
            ShiftFirstIndex),
        New("tool-id-later", "the id comes with the last piece of the arguments", IdLater),
        New("tool-no-id", "no id anywhere", c => Change(c, (t, _) => t with { Id = null })),
        New("tool-no-continuation-id", "continuations have no `id` member", c => Change(c, (t, first) => first ? t : t with { Id = null })),
        New("tool-id-repeated", "every delta repeats id and name", RepeatHeads),
        New("tool-name-null", "continuations say `\"name\":null`", c => Change(c, (t, first) => first ? t : t with { NameIsNull = true })),
        New("tool-name-empty", "continuations say `\"name\":\"\"`", c => Change(c, (t, first) => first ? t : t with { Name = "" })),
        New("tool-name-first", "id and name in one delta without arguments, nothing else in it",
            c => Change(c, (t, first) => first ? t with { Arguments = null } : t)),
        New("tool-name-with-brace", "the opening delta already carries the first piece of the arguments", MergeFirst),
        New("tool-duplicate-finished", "the first call's opening delta comes again after it has ended", DuplicateFinished),
        New("tool-one-delta", "each call whole in one delta", OneDelta),
        New("tool-ollama", "each call whole in one delta, all on index 0, finish reason `stop`", Ollama),
        New("tool-finish-stop", "finish reason `stop` in spite of calls", c => Finish(c, "stop")),
        New("tool-closing-null", "a last delta with an empty `function`", Closing),
        New("tool-interleaved", "the pieces of two calls alternate", Interleave),
        New("tool-finish-each", "every delta is followed by an empty one with finish reason `stop`", FinishEach),
        New("tool-arguments-first", "id and arguments come first, the name in a delta behind them", ArgumentsFirst),
        New("tool-head-last", "the arguments come first, id and name in a delta behind them", c => ArgumentsFirst(c, withId: false)),
        New("tool-placeholder", "the opening delta says `{}`, the arguments follow",
            c => Change(c, (t, first) => first ? t with { Arguments = "{}" } : t)),
        New("tool-arguments-twice", "whole arguments are said again as a JSON string", c => AddBehind(c, t => t with { Arguments = Quoted(t.Arguments!) })),
        New("tool-surplus-brace", "a quote and a brace too many behind the arguments", c => AddBehind(c, t => t with { Arguments = "\"}" })),
        New("tool-name-pieces", "the name comes in two pieces, the id with both", NamePieces),
        New("tool-id-shared", "all calls have the first one's id", SharedId),
        New("tool-id-constant", "the first call's id is `call_1`, whatever the history holds",
            c => Change(c, (t, first) => first ? t with { Id = $"call_{t.Index + 1}" } : t)),
        New("tool-nameless", "the last call has no name", Nameless),
        New("tool-broken-arguments", "a comma too many before the last brace", BreakArguments),
    ];

    private static Scenario New(string name, string summary, Action<List<Chunk>> change) => new(name, Group, summary)
    {
        Answer = c => AnswerBook.Tools(c.Call, c.Spec.Number("calls", 2), false, ""),
        SpoilChunks = (chunks, _) => change(chunks),
    };

    private static bool IsFirst(Chunk chunk) => chunk.Tools is [{ Id.Length: > 0 }];

    private static bool IsTool(Chunk chunk) => chunk.Tools.Count > 0;

    private static void Change(List<Chunk> chunks, Func<ToolDelta, bool, ToolDelta> change)
    {
        for (int i = 0; i < chunks.Count; i++)
            if (IsTool(chunks[i])) chunks[i] = chunks[i] with { Tools = [change(chunks[i].Tools[0], IsFirst(chunks[i]))] };
    }

    private static void ShiftFirstIndex(List<Chunk> chunks) => Change(chunks, (tool, first) => first ? tool with { Index = tool.Index + 1 } : tool);

    private static void IdLater(List<Chunk> chunks)
    {
        string id = "";
        for (int i = 0; i < chunks.Count; i++)
        {
            if (!IsTool(chunks[i])) continue;
            ToolDelta tool = chunks[i].Tools[0];
            if (IsFirst(chunks[i]))
            {
                id = tool.Id!;
                chunks[i] = chunks[i] with { Tools = [tool with { Id = null }] };
                continue;
            }

            bool last = i + 1 == chunks.Count || !IsTool(chunks[i + 1]) || IsFirst(chunks[i + 1]);
            chunks[i] = chunks[i] with { Tools = [tool with { Id = last ? id : null }] };
        }
    }

    private static void RepeatHeads(List<Chunk> chunks)
    {
        ToolDelta? head = null;
        for (int i = 0; i < chunks.Count; i++)
        {
            if (!IsTool(chunks[i])) continue;
            if (IsFirst(chunks[i])) head = chunks[i].Tools[0];
            chunks[i] = chunks[i] with { Tools = [chunks[i].Tools[0] with { Id = head!.Id, Name = head.Name }] };
        }
    }

    private static void MergeFirst(List<Chunk> chunks)
    {
        for (int i = 0; i + 1 < chunks.Count; i++)
        {
            if (!IsFirst(chunks[i]) || !IsTool(chunks[i + 1])) continue;
            chunks[i] = chunks[i] with { Tools = [chunks[i].Tools[0] with { Arguments = chunks[i + 1].Tools[0].Arguments }] };
            chunks.RemoveAt(i + 1);
        }
    }

    private static void DuplicateFinished(List<Chunk> chunks)
    {
        int first = chunks.FindIndex(IsFirst), finish = chunks.FindIndex(c => c.Finish is not null);
        if (first >= 0) chunks.Insert(finish, chunks[first]);
    }

    private static void OneDelta(List<Chunk> chunks)
    {
        for (int i = 0; i < chunks.Count; i++)
        {
            if (!IsFirst(chunks[i])) continue;
            string arguments = "";
            while (i + 1 < chunks.Count && IsTool(chunks[i + 1]) && !IsFirst(chunks[i + 1]))
            {
                arguments += chunks[i + 1].Tools[0].Arguments;
                chunks.RemoveAt(i + 1);
            }

            chunks[i] = chunks[i] with { Tools = [chunks[i].Tools[0] with { Arguments = arguments }] };
        }
    }

    private static void Ollama(List<Chunk> chunks)
    {
        OneDelta(chunks);
        Change(chunks, (tool, _) => tool with { Index = 0 });
        Finish(chunks, "stop");
    }

    private static void Finish(List<Chunk> chunks, string reason)
    {
        int at = chunks.FindIndex(c => c.Finish is not null);
        chunks[at] = chunks[at] with { Finish = reason };
    }

    private static void Closing(List<Chunk> chunks)
    {
        int finish = chunks.FindIndex(c => c.Finish is not null);
        chunks.Insert(finish, new Chunk(ChunkPlace.Body) { ContentIsNull = true, Tools = [new ToolDelta { Index = 0, Id = "", Arguments = null }] });
    }

    private static void Interleave(List<Chunk> chunks)
    {
        int start = chunks.FindIndex(IsTool), end = chunks.FindLastIndex(IsTool) + 1;
        if (start < 0) return;
        List<List<Chunk>> calls = [.. chunks.GetRange(start, end - start).GroupBy(c => c.Tools[0].Index).Select(g => g.ToList())];
        chunks.RemoveRange(start, end - start);
        List<Chunk> mixed = [];
        for (int i = 0; i < calls.Max(c => c.Count); i++) mixed.AddRange(calls.Where(c => i < c.Count).Select(c => c[i]));
        chunks.InsertRange(start, mixed);
    }

    private static void FinishEach(List<Chunk> chunks)
    {
        for (int i = chunks.Count - 1; i >= 0; i--)
            if (IsTool(chunks[i])) chunks.Insert(i + 1, new Chunk(ChunkPlace.Body) { Content = "", Finish = "stop" });
    }

    private static void ArgumentsFirst(List<Chunk> chunks) => ArgumentsFirst(chunks, withId: true);

    private static void ArgumentsFirst(List<Chunk> chunks, bool withId)
    {
        OneDelta(chunks);
        for (int i = chunks.Count - 1; i >= 0; i--)
        {
            if (!IsFirst(chunks[i])) continue;
            ToolDelta whole = chunks[i].Tools[0];
            chunks[i] = chunks[i] with { Tools = [whole with { Name = null, Id = withId ? whole.Id : null }] };
            chunks.Insert(i + 1, chunks[i] with { Tools = [whole with { Arguments = null, Id = withId ? null : whole.Id }] });
        }
    }

    /// <summary>Makes each call whole in one delta and adds another behind it.</summary>
    private static void AddBehind(List<Chunk> chunks, Func<ToolDelta, ToolDelta> make)
    {
        OneDelta(chunks);
        for (int i = chunks.Count - 1; i >= 0; i--)
            if (IsFirst(chunks[i])) chunks.Insert(i + 1, chunks[i] with { Tools = [make(chunks[i].Tools[0]) with { Id = null, Name = null }] });
    }

    private static string Quoted(string json)
    {
        using PooledBytes text = new(json.Length + 16);
        JsonText.WriteString(Encoding.UTF8.GetBytes(json), text);
        return Encoding.UTF8.GetString(text.Span);
    }

    private static void NamePieces(List<Chunk> chunks)
    {
        for (int i = chunks.Count - 1; i >= 0; i--)
        {
            if (!IsFirst(chunks[i])) continue;
            ToolDelta head = chunks[i].Tools[0];
            int half = head.Name!.Length / 2;
            chunks[i] = chunks[i] with { Tools = [head with { Name = head.Name[..half], Arguments = null }] };
            chunks.Insert(i + 1, chunks[i] with { Tools = [head with { Name = head.Name[half..] }] });
        }
    }

    private static void SharedId(List<Chunk> chunks)
    {
        string? id = chunks.Find(IsFirst)?.Tools[0].Id;
        Change(chunks, (tool, first) => first ? tool with { Id = id } : tool);
    }

    private static void Nameless(List<Chunk> chunks)
    {
        int last = chunks.FindLastIndex(IsFirst);
        if (last >= 0) chunks[last] = chunks[last] with { Tools = [chunks[last].Tools[0] with { Name = null }] };
    }

    private static void BreakArguments(List<Chunk> chunks)
    {
        int last = chunks.FindLastIndex(IsTool);
        if (last >= 0) chunks[last] = chunks[last] with { Tools = [chunks[last].Tools[0] with { Arguments = chunks[last].Tools[0].Arguments![..^1] + ",}" }] };
    }
}
