using System.Globalization;
using System.Text;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>A stuttering stream, the text it was made from, and what the proxy knows besides.</summary>
internal sealed record HardStream(string Truth, Lane Lane, string Sse, RepairRig Rig);

/// <summary>
/// Stutters that are hard but can be told from honest repetition: each kind carries the evidence that one rule needs (a mark, a prior, ids, a
/// counter, JSON, enough text, enough steps), and nothing else. What no rule can prove is in the table's other rows.
/// </summary>
internal static class HardStreams
{
    public static readonly (string Name, Func<Random, HardStream> Make)[] Kinds =
    [
        ("S1 with the mark", r => InText(r, Pattern.FirstTwice, new RepairRig { KeyOrderMark = r.Next(2) == 0 }, mark: true)),
        ("S1 with a prior", FirstTwiceWithPrior),
        ("S2 with a prior", r => InText(r, Pattern.GrowingStart, Prior())),
        ("S2 of three steps and more", r => Ladder(r, Any)),
        ("S3 with the mark", r => InText(r, Pattern.Rewind, new RepairRig { KeyOrderMark = true }, mark: true)),
        ("rewinds in a proven channel", Rewinds),
        ("S4 and S5", r => InText(r, r.Next(2) == 0 ? Pattern.Cumulative : Pattern.Late, new RepairRig())),
        ("cumulative, then increments", CumulativeThenIncrements),
        ("blocks under SSE ids", Blocks),
        ("token counters", Counters),
        ("steps without letters", r => Ladder(r, NoLetters)),
        ("CJK and emoji", r => Ladder(r, Wide)),
        ("JSON answers", r => InJson(r, Lane.Content)),
        ("arguments", r => InJson(r, Lane.Arguments)),
    ];

    private static RepairRig Prior() => new() { Standing = StutterStanding.Seen };

    private static Lane TextLane(Random random) => random.Next(3) == 0 ? Lane.Reasoning : Lane.Content;

    private static string Any(Random random) => random.Next(4) == 0 ? CorpusTexts.Code(random) : CorpusTexts.Prose(random);

    private static HardStream Make(Random random, string truth, Lane lane, List<Delta> deltas, RepairRig rig) =>
        new(truth, lane, CorpusStreams.AddNoise(ChunkWriter.Stream(lane, deltas), random), rig);

    private static HardStream InText(Random random, Pattern pattern, RepairRig rig, bool mark = false)
    {
        (string truth, List<Delta> deltas) = StutterCorpus.Spoiled(new Knowledge("", Mark: mark), pattern, Any, random);
        return Make(random, truth, TextLane(random), deltas, rig);
    }

    /// <summary>The first event ends inside or just behind a word, and is no shorter than six characters.</summary>
    private static HardStream FirstTwiceWithPrior(Random random)
    {
        while (true)
        {
            string truth = CorpusTexts.Prose(random);
            List<string> pieces = CorpusStreams.Cut(truth, random);
            string first = pieces[0];
            bool open = first.Length >= 6 && char.IsAsciiLetter(first[^1]) && !char.IsWhiteSpace(first[0]) && first.Distinct().Count() > 4;
            if (!open || pieces.Count < 3) continue;
            return Make(random, truth, TextLane(random), CorpusStreams.Deltas(Pattern.FirstTwice, pieces, random, mark: false), Prior());
        }
    }

    /// <summary>Growing prefixes for three steps and more; then increments, or cumulative to the end.</summary>
    private static HardStream Ladder(Random random, Func<Random, string> text)
    {
        while (true)
        {
            string truth = text(random);
            List<string> pieces = CorpusStreams.CutLikeTokens(truth, random);
            if (pieces.Count < 4) continue;
            int grown = Math.Min(pieces.Count, random.Next(4) == 0 ? pieces.Count : random.Next(4, 9));
            List<Delta> deltas = [.. Enumerable.Range(1, grown).Select(n => new Delta(string.Concat(pieces.Take(n))))];
            deltas.AddRange(pieces.Skip(grown).Select(p => new Delta(p)));
            return Make(random, truth, TextLane(random), deltas, new RepairRig());
        }
    }

    /// <summary>Cumulative; at times the stream says a beginning of at least sixteen characters again and then goes on from where it was.</summary>
    private static HardStream Rewinds(Random random)
    {
        string truth = CorpusTexts.Prose(random) + " " + CorpusTexts.Prose(random);
        List<string> pieces = CorpusStreams.CutLikeTokens(truth, random);
        List<Delta> deltas = [];
        string soFar = "";
        bool falls = random.Next(2) == 0;
        int until = falls ? random.Next(Math.Min(6, pieces.Count), pieces.Count) : pieces.Count;
        for (int i = 0; i < pieces.Count; i++)
        {
            soFar += pieces[i];
            deltas.Add(i < until ? soFar : pieces[i]);
            bool proven = i >= 4 && soFar.Length >= 48;
            if (proven && i < until && random.Next(5) == 0) deltas.Add(soFar[..BeforeLow(soFar, random.Next(24, soFar.Length))]);
        }

        return Make(random, truth, TextLane(random), deltas, new RepairRig());
    }

    private static HardStream CumulativeThenIncrements(Random random)
    {
        string truth = Any(random) + Any(random);
        List<string> pieces = CorpusStreams.CutLikeTokens(truth, random);
        int until = random.Next(Math.Min(5, pieces.Count), pieces.Count + 1);
        string soFar = "";
        List<Delta> deltas = [];
        for (int i = 0; i < pieces.Count; i++)
        {
            soFar += pieces[i];
            deltas.Add(i < until ? soFar : pieces[i]);
        }

        return Make(random, truth, TextLane(random), deltas, new RepairRig());
    }

    /// <summary>
    /// Events with ids of their own, some of which come again as a block: one, the last few, or all so far. Ids are numbers or words, from a
    /// role event to the finish; in half of the streams thinking comes first.
    /// </summary>
    private static HardStream Blocks(Random random)
    {
        Lane lane = (Lane)random.Next(3);
        string truth = lane == Lane.Arguments ? CorpusTexts.Arguments(random) : random.Next(3) == 0 ? CorpusTexts.Adversarial[random.Next(12)] : Any(random);
        List<string> pieces = CorpusStreams.Cut(truth, random);
        bool words = random.Next(2) == 0;
        List<string> events = [];
        void Say(string delta, string finish = "null") => events.Add(ChunkWriter.Chunk(delta, finish: finish, frameId: Id(events.Count, words)));
        Say("{\"content\":\"\",\"role\":\"assistant\"}");
        if (lane == Lane.Content && random.Next(2) == 0) Say(ChunkWriter.DeltaJson(Lane.Reasoning, "Let me see"));
        for (int i = 0; i < pieces.Count; i++) Say(ChunkWriter.DeltaJson(lane, pieces[i], i == 0));
        List<string> sent = [];
        int next = 0;
        while (next < events.Count)
        {
            sent.Add(events[next++]);
            if (next < 2 || random.Next(6) > 0) continue;
            int again = random.Next(4) == 0 ? next : random.Next(1, Math.Min(next, 7));
            sent.AddRange(events.GetRange(next - again, again));
        }

        Say("{\"content\":\"\"}", lane == Lane.Arguments ? "\"tool_calls\"" : "\"stop\"");
        return new HardStream(truth, lane, string.Concat(sent) + events[^1] + "data: [DONE]\n\n", new RepairRig { Mode = StutterMode.Safe });
    }

    private static string Id(int number, bool words) => words ? $"evt-{number * 7919:x}" : number.ToString(CultureInfo.InvariantCulture);

    /// <summary>S1, S2 or S4 of any text, with a running counter that stands still while text is said again.</summary>
    private static HardStream Counters(Random random)
    {
        string truth = Any(random);
        List<string> pieces = CorpusStreams.Cut(truth, random);
        List<Delta> deltas = [new(pieces[0]) { Tokens = 3 }];
        for (int i = 1; i < pieces.Count; i++)
        {
            if (i < 4 && random.Next(2) == 0) deltas.Add(new Delta(string.Concat(pieces.Take(i))) { Tokens = 3 * i });
            deltas.Add(new Delta(pieces[i]) { Tokens = 3 * (i + 1) });
        }

        return Make(random, truth, TextLane(random), deltas, new RepairRig { Mode = StutterMode.Safe });
    }

    private static HardStream InJson(Random random, Lane lane)
    {
        Pattern pattern = (Pattern)random.Next(1, 6);
        Func<Random, string> text = lane == Lane.Content && random.Next(3) == 0 ? r => $"[{CorpusTexts.Arguments(r)}, {CorpusTexts.Arguments(r)}]" : CorpusTexts.Arguments;
        while (true)
        {
            (string truth, List<Delta> deltas) = StutterCorpus.Spoiled(new Knowledge(""), pattern, text, random);
            // A beginning like [ [ stays open to the end, within the limit; and a rewind to a lone bracket is noise to JSON as well as to text.
            if (Encoding.UTF8.GetByteCount(truth) > 3000 || (pattern == Pattern.Rewind && deltas[0].Text.Length < 3)) continue;
            return Make(random, truth, lane, deltas, new RepairRig { ExpectsJson = true });
        }
    }

    private static string NoLetters(Random random)
    {
        StringBuilder text = new();
        while (text.Length < 12)
        {
            text.Append(random.Next(4) switch
            {
                0 => $"{random.Next(1, 256)}.{random.Next(256)}.{random.Next(256)}.{random.Next(256)} ",
                1 => $"{random.NextDouble().ToString("F9", CultureInfo.InvariantCulture)}",
                2 => "①②③④⑤⑥⑦⑧⑨".Substring(random.Next(3), 5),
                _ => $"+{random.Next(10, 99)} {random.Next(100, 999)} {random.Next(1000, 9999)}",
            });
        }

        return text.ToString();
    }

    private static string Wide(Random random)
    {
        string[] units = ["🎉", "🚀", "✨", "👍🏽", "今天", "天气", "很好", "你好", "，", "我们", "🇩🇪", "❤️", "结果", "。", "返回"];
        StringBuilder text = new();
        for (int i = random.Next(8, 30); i > 0; i--) text.Append(units[random.Next(units.Length)]);
        return text.ToString();
    }

    private static int BeforeLow(string text, int at) => char.IsLowSurrogate(text[at]) ? at - 1 : at;
}
