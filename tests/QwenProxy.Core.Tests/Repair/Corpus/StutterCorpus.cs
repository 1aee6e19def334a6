using System.Globalization;
using System.Text;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>What is known about an upstream besides the text: one row of the table.</summary>
internal sealed record Knowledge(string Title, StutterStanding Standing = StutterStanding.None, bool Mark = false);

/// <summary>How many of how many.</summary>
internal readonly record struct Tally(int Hits, int All)
{
    public double Rate => All == 0 ? 1 : (double)Hits / All;

    public string Percent => Hits == 0 ? "0" : Hits == All ? "100 %" : (100 * Rate).ToString("F2", CultureInfo.InvariantCulture) + " %";

    public Tally Add(bool hit) => new(Hits + (hit ? 1 : 0), All + 1);
}

/// <summary>Runs the corpus: a kind of text × a pattern × a lane × cuts × noise, from one seed.</summary>
internal static class StutterCorpus
{
    public const int FixedSeed = 20260401;

    public static readonly Knowledge[] Rows =
    [
        new("text alone"),
        new("with a prior", StutterStanding.Seen),
        new("with the mark", Mark: true),
        new("with mark and prior", StutterStanding.Seen, Mark: true),
    ];

    /// <summary>The fixed seed, and one more from the environment, so that a build may try texts nobody has seen.</summary>
    public static IEnumerable<int> Seeds()
    {
        yield return FixedSeed;
        string? extra = Environment.GetEnvironmentVariable("QWEN_CORPUS_SEED");
        if (!string.IsNullOrEmpty(extra)) yield return (int)TextSeed(extra);
    }

    public static string Prose(Random random) => CorpusTexts.Prose(random);

    public static string Adversarial(Random random)
    {
        string text = CorpusTexts.Adversarial[random.Next(CorpusTexts.Adversarial.Length)];
        return random.Next(3) == 0 ? text + CorpusTexts.Prose(random) : text;
    }

    /// <summary>Streams damaged in a clean corpus: any byte that the client gets otherwise than it came.</summary>
    public static Tally Damaged(Knowledge row, Func<Random, string> text, int count, int seed, Lane lane = Lane.Content)
    {
        Random random = new(seed);
        Tally damaged = default;
        for (int i = 0; i < count; i++)
        {
            List<Delta> deltas = CorpusStreams.Deltas(Pattern.Clean, CorpusStreams.Cut(text(random), random), random, row.Mark);
            string stream = CorpusStreams.AddNoise(ChunkWriter.Stream(lane, deltas), random);
            damaged = damaged.Add(Rig(row).Run(stream) != stream);
        }

        return damaged;
    }

    /// <summary>Spoiled streams whose client reads exactly the text they were made from.</summary>
    public static Tally Exact(Knowledge row, Pattern pattern, Func<Random, string> text, int count, int seed, Lane lane = Lane.Content)
    {
        Random random = new(seed);
        Tally exact = default;
        for (int i = 0; i < count; i++)
        {
            (string truth, List<Delta> deltas) = Spoiled(row, pattern, text, random);
            string stream = CorpusStreams.AddNoise(ChunkWriter.Stream(lane, deltas), random);
            exact = exact.Add(ChunkWriter.Read(Rig(row).Run(stream), lane) == truth);
        }

        return exact;
    }

    /// <summary>The same for look-alikes, cut where they hurt.</summary>
    public static Tally LookAlikesDamaged(Knowledge row, int count, int seed, Lane lane = Lane.Content, Action<string>? report = null)
    {
        Random random = new(seed);
        Tally damaged = default;
        for (int i = 0; i < count; i++)
        {
            List<Delta> deltas = CorpusStreams.Deltas(Pattern.Clean, LookAlikes.Cut(LookAlikes.Text(random), random), random, row.Mark);
            string stream = CorpusStreams.AddNoise(ChunkWriter.Stream(lane, deltas), random);
            bool changed = Rig(row).Run(stream) != stream;
            if (changed) report?.Invoke(string.Join(" · ", deltas.Select(d => ChunkWriter.Quote(d.Text))));
            damaged = damaged.Add(changed);
        }

        return damaged;
    }

    /// <summary>Hard stutters of one kind whose client reads exactly the text they were made from.</summary>
    public static Tally HardExact(Func<Random, HardStream> make, int count, int seed)
    {
        Random random = new(seed);
        Tally exact = default;
        for (int i = 0; i < count; i++)
        {
            HardStream hard = make(random);
            string read = ChunkWriter.Read(hard.Rig.Run(hard.Sse), hard.Lane);
            exact = exact.Add(read == hard.Truth);
        }

        return exact;
    }

    public static Tally RivalDamaged(Func<IReadOnlyList<string>, string> rule, Func<Random, string> text, int count, int seed)
    {
        Random random = new(seed);
        Tally damaged = default;
        for (int i = 0; i < count; i++)
        {
            string truth = text(random);
            damaged = damaged.Add(rule(CorpusStreams.Cut(truth, random)) != truth);
        }

        return damaged;
    }

    public static Tally RivalDamagedLookAlikes(Func<IReadOnlyList<string>, string> rule, int count, int seed)
    {
        Random random = new(seed);
        Tally damaged = default;
        for (int i = 0; i < count; i++)
        {
            string truth = LookAlikes.Text(random);
            damaged = damaged.Add(rule(LookAlikes.Cut(truth, random)) != truth);
        }

        return damaged;
    }

    public static Tally RivalExact(Func<IReadOnlyList<string>, string> rule, Pattern pattern, int count, int seed)
    {
        Random random = new(seed);
        Tally exact = default;
        for (int i = 0; i < count; i++)
        {
            (string truth, List<Delta> deltas) = Spoiled(Rows[0], pattern, Prose, random);
            exact = exact.Add(rule([.. deltas.Select(d => d.Text)]) == truth);
        }

        return exact;
    }

    public static RepairRig Rig(Knowledge row) => new() { Standing = row.Standing, KeyOrderMark = row.Mark };

    /// <summary>A text long enough that its pattern is to be seen: at least six deltas.</summary>
    public static (string Truth, List<Delta> Deltas) Spoiled(Knowledge row, Pattern pattern, Func<Random, string> text, Random random)
    {
        while (true)
        {
            string truth = text(random);
            List<string> pieces = CorpusStreams.CutLikeTokens(truth, random);
            if (pieces.Count < 6 || (pattern == Pattern.Late && Encoding.UTF8.GetByteCount(truth) < 100)) continue;
            return (truth, CorpusStreams.Deltas(pattern, pieces, random, row.Mark));
        }
    }

    /// <summary>A seed from a text, such as a commit's name.</summary>
    private static uint TextSeed(string text)
    {
        uint seed = 2166136261;
        foreach (char c in text) seed = (seed ^ c) * 16777619;
        return seed;
    }
}
