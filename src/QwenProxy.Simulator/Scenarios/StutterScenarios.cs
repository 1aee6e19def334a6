using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Chat;
using QwenProxy.Simulator.Replies;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>
/// Deltas that repeat what was already said, in every pattern that was seen. The answer is not changed, so what a client should show is what was
/// meant. Parameters of all: <c>marks=1</c> gives restating chunks the first chunk's key order (as the one real capture has it), <c>role=0</c> leaves
/// out the opening role chunk (likewise), <c>usage=1</c> adds running counters that stand still on a restating chunk.
/// </summary>
internal static class StutterScenarios
{
    private const string Group = "stutter";

    public static IEnumerable<Scenario> All =>
    [
        New("stutter-s1", "the first text delta comes twice, then clean increments", (d, s) => Repeat(d, s.Number("times", 1))),
        New("stutter-s2", "growing prefixes for `events=` (3) deltas, then increments", (d, s) => Prefixes(d, 0, s.Number("events", 3))),
        New("stutter-s3", "a prefix that grows and shrinks again, then increments", (d, _) => Rewind(d)),
        New("stutter-s4", "every text delta holds the whole text so far", (d, _) => Prefixes(d, 0, int.MaxValue)),
        New("cumulative", "the same as stutter-s4", (d, _) => Prefixes(d, 0, int.MaxValue)),
        New("stutter-s5", "incremental for `from=` (8) deltas, cumulative from there on", (d, s) => Prefixes(d, s.Number("from", 8), int.MaxValue)),
        New("stutter-s6", "cumulative for `events=` (12) deltas, then incremental", (d, s) => Prefixes(d, 0, s.Number("events", 12))),
        New("stutter-s7", "the reasoning is cumulative", (d, _) => Prefixes(d, 0, int.MaxValue), Channel.Reasoning, c => AnswerBook.Thinking(c.Call)),
        New("stutter-s8", "the arguments of tool calls are cumulative", (d, _) => Prefixes(d, 0, int.MaxValue), Channel.Arguments,
            c => AnswerBook.Tools(c.Call, c.Spec.Number("calls", 1), false, "")),
        new("stutter-ids", Group, "events with ids; after `after=` (6) events the last `block=` (3) come again, with `block=0` all so far")
        {
            Framing = s => new Framing { NativeLines = true, BlockAfter = Math.Max(0, s.Number("after", 6)), BlockEvents = s.Number("block", 3) },
        },
    ];

    private enum Channel
    {
        Text,
        Reasoning,
        Arguments,
    }

    private static Scenario New(string name, string summary, Func<List<string>, ScenarioSpec, List<(string Text, bool Restates)>> change,
        Channel channel = Channel.Text, Func<ScenarioContext, SimulatedAnswer>? answer = null) => new(name, Group, summary)
        {
            Answer = answer,
            SpoilChunks = (chunks, context) => Spoil(chunks, context.Spec, deltas => change(deltas, context.Spec), channel),
        };

    /// <summary>
    /// Finds each unbroken run of deltas of the channel (each call's arguments are a run) and puts the changed deltas in its place.
    /// </summary>
    private static void Spoil(List<Chunk> chunks, ScenarioSpec spec, Func<List<string>, List<(string Text, bool Restates)>> change, Channel channel)
    {
        bool marks = spec.Get("marks") == "1", usage = spec.Get("usage") == "1";
        for (int start = 0; start < chunks.Count; start++)
        {
            if (TextOf(chunks[start], channel) is null) continue;
            int end = start + 1;
            while (end < chunks.Count && TextOf(chunks[end], channel) is not null) end++;
            Chunk pattern = chunks[start];
            List<string> deltas = [.. chunks.GetRange(start, end - start).Select(c => TextOf(c, channel)!)];
            chunks.RemoveRange(start, end - start);
            List<(string Text, bool Restates)> changed = change(deltas);
            int said = 0;
            for (int i = 0; i < changed.Count; i++)
            {
                bool first = i == 0 || changed[i].Restates;
                if (!changed[i].Restates) said++;
                Chunk chunk = WithText(pattern, channel, changed[i].Text) with { Place = marks && first ? ChunkPlace.First : ChunkPlace.Body };
                chunks.Insert(start + i, usage ? chunk with { UsageJson = Counters(said) } : chunk);
            }

            start += changed.Count;
        }

        if (spec.Get("role") == "0") chunks.RemoveAll(c => c is { Place: ChunkPlace.First, Role: not null });
    }

    private static string Counters(int said)
    {
        using JsonBuilder json = new();
        return json.Raw("{\"prompt_tokens\":9,\"completion_tokens\":"u8).Number(said * 3).Raw(",\"total_tokens\":"u8).Number(9 + said * 3)
            .Raw("}"u8).ToString();
    }

    private static string? TextOf(Chunk chunk, Channel channel) => chunk.Place != ChunkPlace.Body ? null : channel switch
    {
        Channel.Text => chunk.Content,
        Channel.Reasoning => chunk.Reasoning,
        // The opening delta of a call carries its id and is not restated: a run begins after it.
        _ => chunk.Tools is [{ Id: "" } tool] ? tool.Arguments : null,
    };

    private static Chunk WithText(Chunk chunk, Channel channel, string text) => channel switch
    {
        Channel.Text => chunk with { Content = text },
        Channel.Reasoning => chunk with { Reasoning = text },
        _ => chunk with { Tools = [chunk.Tools[0] with { Arguments = text }] },
    };

    private static List<(string, bool)> Repeat(List<string> deltas, int times)
    {
        List<(string, bool)> changed = [.. deltas.Select(d => (d, false))];
        for (int i = 0; i < times; i++) changed.Insert(1, (deltas[0], true));
        return changed;
    }

    private static List<(string, bool)> Prefixes(List<string> deltas, int from, int count)
    {
        List<(string, bool)> changed = [];
        string soFar = "";
        for (int i = 0; i < deltas.Count; i++)
        {
            soFar += deltas[i];
            bool cumulative = i >= from && i - from < count;
            changed.Add((cumulative ? soFar : deltas[i], cumulative && i > 0));
        }

        return changed;
    }

    private static List<(string, bool)> Rewind(List<string> deltas)
    {
        if (deltas.Count < 3) return [.. deltas.Select(d => (d, false))];
        string first = deltas[0], two = first + deltas[1], three = two + deltas[2];
        return [(first, false), (two, true), (three, true), (first, true), .. deltas.Skip(3).Select(d => (d, false))];
    }
}
