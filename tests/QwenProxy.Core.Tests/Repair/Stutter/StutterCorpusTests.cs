using System.Globalization;
using QwenProxy.Core.Tests.Repair.Corpus;

namespace QwenProxy.Core.Tests.Repair.Stutter;

/// <summary>
/// The bars, on a corpus small enough for every run. Clean text has no tolerance. The rates are the table's less one point, since a few hundred
/// streams scatter; the published figures come from <see cref="StutterTable"/>.
/// </summary>
public sealed class StutterCorpusTests
{
    private const int Streams = 200;
    private const double Bar = 0.98;

    public static TheoryData<int, string> CleanCases()
    {
        TheoryData<int, string> cases = [];
        for (int row = 0; row < StutterCorpus.Rows.Length; row++)
        {
            foreach (string kind in new[] { "prose", "code", "adversarial" }) cases.Add(row, kind);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(CleanCases))]
    public void CleanStreams_AreByteIdentical(int row, string kind)
    {
        Func<Random, string> text = kind switch { "prose" => StutterCorpus.Prose, "code" => CorpusTexts.Code, _ => StutterCorpus.Adversarial };
        foreach (int seed in StutterCorpus.Seeds())
        {
            Assert.Equal(0, StutterCorpus.Damaged(StutterCorpus.Rows[row], text, Streams, seed + row).Hits);
        }
    }

    [Fact]
    public void CleanThinkingAndArguments_AreByteIdentical()
    {
        foreach (int seed in StutterCorpus.Seeds())
        {
            Assert.Equal(0, StutterCorpus.Damaged(StutterCorpus.Rows[1], StutterCorpus.Prose, Streams, seed, Lane.Reasoning).Hits);
            Assert.Equal(0, StutterCorpus.Damaged(StutterCorpus.Rows[0], CorpusTexts.Arguments, 2 * Streams, seed, Lane.Arguments).Hits);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void LookAlikes_AreByteIdentical(int row)
    {
        foreach (int seed in StutterCorpus.Seeds())
        {
            List<string> damaged = [];
            StutterCorpus.LookAlikesDamaged(StutterCorpus.Rows[row], 3 * Streams, seed, row % 2 == 0 ? Lane.Content : Lane.Reasoning, damaged.Add);
            Assert.Empty(damaged);
        }
    }

    [Fact]
    public void LookAlikes_HurtRulesThatLookAtTextAlone()
    {
        // The bar above is not blind: each of the other rules fails it.
        foreach ((_, Func<IReadOnlyList<string>, string> rule) in RivalRules.All)
            Assert.InRange(StutterCorpus.RivalDamagedLookAlikes(rule, Streams, StutterCorpus.FixedSeed).Hits, 1, Streams);
    }

    public static TheoryData<string> HardKinds => [.. HardStreams.Kinds.Select(k => k.Name)];

    [Theory]
    [MemberData(nameof(HardKinds))]
    public void HardStreams_ReadAsTheModelSaid(string kind)
    {
        Func<Random, HardStream> make = HardStreams.Kinds.Single(k => k.Name == kind).Make;
        foreach (int seed in StutterCorpus.Seeds())
        {
            Tally tally = StutterCorpus.HardExact(make, Streams, seed);
            Assert.True(tally.Rate >= Bar, string.Create(CultureInfo.InvariantCulture, $"{tally.Percent} exact, seed {seed}"));
        }
    }

    [Theory]
    [InlineData((int)Pattern.FirstTwice, 2)]
    [InlineData((int)Pattern.GrowingStart, 1)]
    [InlineData((int)Pattern.GrowingStart, 2)]
    [InlineData((int)Pattern.Rewind, 2)]
    [InlineData((int)Pattern.Cumulative, 0)]
    [InlineData((int)Pattern.Late, 0)]
    public void SpoiledStreams_ReadAsTheModelSaid(int pattern, int row) =>
        AssertBar((Pattern)pattern, row, StutterCorpus.Prose, pattern % 2 == 0 ? Lane.Content : Lane.Reasoning);

    [Theory]
    [InlineData((int)Pattern.FirstTwice)]
    [InlineData((int)Pattern.GrowingStart)]
    [InlineData((int)Pattern.Cumulative)]
    [InlineData((int)Pattern.Late)]
    public void SpoiledArguments_AreRepairedByJson(int pattern) => AssertBar((Pattern)pattern, 0, CorpusTexts.Arguments, Lane.Arguments);

    [Theory]
    [InlineData("1833")]
    [InlineData("2012")]
    [InlineData("6666666666")]
    [InlineData("abababab")]
    [InlineData("哈哈哈哈哈")]
    [InlineData("password")]
    [InlineData("committee")]
    [InlineData("ha ha ha")]
    [InlineData("----")]
    [InlineData("****")]
    [InlineData("            x")]
    [InlineData("1|1|1")]
    [InlineData("import os\nimport os\n")]
    [InlineData("| a |\n| a |\n")]
    public void AdversarialText_SurvivesEveryWayOfCutting(string text)
    {
        // All ways of a short text; of a longer one every pair of cuts.
        List<string> runes = [.. text.EnumerateRunes().Select(r => r.ToString())];
        foreach (List<string> pieces in runes.Count <= 9 ? AllCuts(runes) : PairsOfCuts(runes))
        {
            string stream = ChunkWriter.Stream(Lane.Content, [.. pieces.Select(p => new Delta(p))]);
            foreach (Knowledge row in StutterCorpus.Rows) Assert.Equal(stream, StutterCorpus.Rig(row).Run(stream));

            // A serialiser that gives every event the order of a first one: the mark says nothing then.
            string allMarked = ChunkWriter.Stream(Lane.Content, [.. pieces.Select(p => new Delta(p) { Marked = true })]);
            Assert.Equal(allMarked, StutterCorpus.Rig(StutterCorpus.Rows[3]).Run(allMarked));
        }
    }

    private static void AssertBar(Pattern pattern, int row, Func<Random, string> text, Lane lane)
    {
        foreach (int seed in StutterCorpus.Seeds())
        {
            Tally tally = StutterCorpus.Exact(StutterCorpus.Rows[row], pattern, text, Streams, seed, lane);
            Assert.True(tally.Rate >= Bar, string.Create(CultureInfo.InvariantCulture, $"{tally.Percent} exact, seed {seed}"));
        }
    }

    private static IEnumerable<List<string>> AllCuts(List<string> runes)
    {
        for (int cuts = 0; cuts < 1 << (runes.Count - 1); cuts++)
        {
            List<string> pieces = [runes[0]];
            for (int i = 1; i < runes.Count; i++)
            {
                if ((cuts >> (i - 1) & 1) == 1) pieces.Add(runes[i]);
                else pieces[^1] += runes[i];
            }

            yield return pieces;
        }
    }

    private static IEnumerable<List<string>> PairsOfCuts(List<string> runes)
    {
        for (int a = 1; a < runes.Count; a++)
        {
            for (int b = a + 1; b < runes.Count; b++)
            {
                yield return [string.Concat(runes.Take(a)), string.Concat(runes.Skip(a).Take(b - a)), string.Concat(runes.Skip(b))];
            }
        }
    }
}
