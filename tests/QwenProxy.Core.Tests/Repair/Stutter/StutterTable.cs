using System.Globalization;
using System.Text;
using QwenProxy.Core.Tests.Repair.Corpus;

namespace QwenProxy.Core.Tests.Repair.Stutter;

/// <summary>
/// Writes the comparison table into docs/stream-repair.md, between its two markers. Not part of a normal run:
/// <c>dotnet run -c Release --project tests/QwenProxy.Core.Tests -- -class "*StutterTable" -explicit only</c>
/// </summary>
public sealed class StutterTable
{
    private const string Begin = "<!-- stutter table: begin -->";
    private const string End = "<!-- stutter table: end -->";
    private const int Clean = 6000;
    private const int AdversarialStreams = 6000;
    private const int Injected = 2500;
    private const int Hard = 1000;
    private const int Seed = StutterCorpus.FixedSeed + 7;

    private static readonly Pattern[] Patterns = [Pattern.FirstTwice, Pattern.GrowingStart, Pattern.Rewind, Pattern.Cumulative, Pattern.Late];

    private static readonly (Func<Random, string> Text, int Count)[] CleanTexts =
        [(StutterCorpus.Prose, Clean), (CorpusTexts.Code, Clean), (StutterCorpus.Adversarial, AdversarialStreams)];

    [Fact(Explicit = true)]
    public void Write()
    {
        StringBuilder table = new();
        table.Append("| rule | prose damaged | code damaged | adversarial damaged ");
        table.Append("| S1 exact | S2 exact | S3 exact | S4 exact | S5 exact | first byte held |\n");
        table.Append("|---|---|---|---|---|---|---|---|---|---|\n");
        foreach ((string title, Func<IReadOnlyList<string>, string> rule) in RivalRules.All)
            AddRival(table, title, rule, rule == RivalRules.HoldOneAndReplace ? "always" : "no");
        foreach (Knowledge row in StutterCorpus.Rows) AddOurs(table, row);
        AddArguments(table);
        AddHard(table);
        string path = Path.Combine(Root(), "docs", "stream-repair.md");
        string page = File.ReadAllText(path);
        int from = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, to = page.IndexOf(End, StringComparison.Ordinal);
        Assert.InRange(to, from, page.Length);
        File.WriteAllText(path, page[..from] + "\n" + table + page[to..]);
    }

    private static void AddRival(StringBuilder table, string title, Func<IReadOnlyList<string>, string> rule, string held)
    {
        table.Append(CultureInfo.InvariantCulture, $"| {title} ");
        foreach ((Func<Random, string> text, int count) in CleanTexts) Add(table, StutterCorpus.RivalDamaged(rule, text, count, Seed));
        foreach (Pattern pattern in Patterns) Add(table, StutterCorpus.RivalExact(rule, pattern, Injected, Seed));
        table.Append(CultureInfo.InvariantCulture, $"| {held} |\n");
    }

    private static void AddOurs(StringBuilder table, Knowledge row)
    {
        table.Append(CultureInfo.InvariantCulture, $"| **evidence rules, {row.Title}** ");
        foreach ((Func<Random, string> text, int count) in CleanTexts) Add(table, StutterCorpus.Damaged(row, text, count, Seed));
        foreach (Pattern pattern in Patterns) Add(table, StutterCorpus.Exact(row, pattern, StutterCorpus.Prose, Injected, Seed));
        table.Append("| no |\n");
    }

    private static void AddArguments(StringBuilder table)
    {
        Knowledge row = StutterCorpus.Rows[0];
        table.Append("\n| tool-call arguments, JSON alone | healthy calls touched | S1 exact | S2 exact | S3 exact | S4 exact | S5 exact |\n");
        table.Append("|---|---|---|---|---|---|---|\n| **evidence rules** ");
        Add(table, StutterCorpus.Damaged(row, CorpusTexts.Arguments, Clean, Seed, Lane.Arguments));
        foreach (Pattern pattern in Patterns) Add(table, StutterCorpus.Exact(row, pattern, CorpusTexts.Arguments, Injected, Seed, Lane.Arguments));
        table.Append("|\n");
    }

    /// <summary>The bar that counts: every kind of stutter that some rule can prove, and the texts that look like it.</summary>
    private static void AddHard(StringBuilder table)
    {
        table.Append("\n| hard streams | exact |\n|---|---|\n");
        Tally all = default;
        foreach ((string name, Func<Random, HardStream> make) in HardStreams.Kinds)
        {
            Tally tally = StutterCorpus.HardExact(make, Hard, Seed);
            all = new Tally(all.Hits + tally.Hits, all.All + tally.All);
            table.Append(CultureInfo.InvariantCulture, $"| {name} | {tally.Percent} |\n");
        }

        table.Append(CultureInfo.InvariantCulture, $"| **all {all.All:N0}** | **{all.Percent}** |\n");
        table.Append("\n| look-alikes damaged by | streams |\n|---|---|\n");
        foreach ((string title, Func<IReadOnlyList<string>, string> rule) in RivalRules.All)
            table.Append(CultureInfo.InvariantCulture, $"| {title} | {StutterCorpus.RivalDamagedLookAlikes(rule, Clean, Seed).Percent} |\n");
        foreach (Knowledge row in StutterCorpus.Rows)
            table.Append(CultureInfo.InvariantCulture, $"| **evidence rules, {row.Title}** | {StutterCorpus.LookAlikesDamaged(row, Clean, Seed).Percent} |\n");
    }

    private static void Add(StringBuilder table, Tally tally) => table.Append(CultureInfo.InvariantCulture, $"| {tally.Percent} ");

    private static string Root()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "QwenProxy.slnx"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new DirectoryNotFoundException("QwenProxy.slnx");
    }
}
