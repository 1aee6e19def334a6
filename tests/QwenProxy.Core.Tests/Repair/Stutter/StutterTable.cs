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
    private const int Seed = StutterCorpus.FixedSeed + 7;

    private static readonly Pattern[] Patterns = [Pattern.FirstTwice, Pattern.GrowingStart, Pattern.Rewind, Pattern.Cumulative, Pattern.Late];

    [Fact(Explicit = true)]
    public void Write()
    {
        StringBuilder table = new();
        table.Append("| rule | prose damaged | code damaged | adversarial damaged | S1 exact | S2 exact | S3 exact | S4 exact | S5 exact | first byte held |\n");
        table.Append("|---|---|---|---|---|---|---|---|---|---|\n");
        AddRival(table, "hold one, replace while prefix-related", RivalRules.HoldOneAndReplace, "always");
        AddRival(table, "strip the previous delta", RivalRules.StripPreviousDelta, "no");
        AddRival(table, "cumulative mode on strict growth", RivalRules.ModeOnStrictGrowth, "no");
        AddRival(table, "trim equal ends and overlaps", RivalRules.TrimOverlap, "no");
        foreach (Knowledge row in StutterCorpus.Rows) AddOurs(table, row);
        AddArguments(table);
        string path = Path.Combine(Root(), "docs", "stream-repair.md");
        string page = File.ReadAllText(path);
        int from = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, to = page.IndexOf(End, StringComparison.Ordinal);
        Assert.InRange(to, from, page.Length);
        File.WriteAllText(path, page[..from] + "\n" + table + page[to..]);
    }

    private static void AddRival(StringBuilder table, string title, Func<IReadOnlyList<string>, string> rule, string held)
    {
        table.Append(CultureInfo.InvariantCulture, $"| {title} | {StutterCorpus.RivalDamaged(rule, StutterCorpus.Prose, Clean, Seed).Percent} ");
        table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.RivalDamaged(rule, CorpusTexts.Code, Clean, Seed).Percent} ");
        table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.RivalDamaged(rule, StutterCorpus.Adversarial, AdversarialStreams, Seed).Percent} ");
        foreach (Pattern pattern in Patterns) table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.RivalExact(rule, pattern, Injected, Seed).Percent} ");
        table.Append(CultureInfo.InvariantCulture, $"| {held} |\n");
    }

    private static void AddOurs(StringBuilder table, Knowledge row)
    {
        table.Append(CultureInfo.InvariantCulture, $"| **evidence rules, {row.Title}** | {StutterCorpus.Damaged(row, StutterCorpus.Prose, Clean, Seed).Percent} ");
        table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.Damaged(row, CorpusTexts.Code, Clean, Seed).Percent} ");
        table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.Damaged(row, StutterCorpus.Adversarial, AdversarialStreams, Seed).Percent} ");
        foreach (Pattern pattern in Patterns) table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.Exact(row, pattern, StutterCorpus.Prose, Injected, Seed).Percent} ");
        table.Append("| no |\n");
    }

    private static void AddArguments(StringBuilder table)
    {
        Knowledge row = StutterCorpus.Rows[0];
        Tally touched = StutterCorpus.Damaged(row, CorpusTexts.Arguments, Clean, Seed, Lane.Arguments);
        table.Append("\n| tool-call arguments, JSON alone | S1 exact | S2 exact | S3 exact | S4 exact | S5 exact |\n|---|---|---|---|---|---|\n");
        table.Append(CultureInfo.InvariantCulture, $"| healthy calls touched: {touched.Hits} of {touched.All} ");
        foreach (Pattern pattern in Patterns)
        {
            table.Append(CultureInfo.InvariantCulture, $"| {StutterCorpus.Exact(row, pattern, CorpusTexts.Arguments, Injected, Seed, Lane.Arguments).Percent} ");
        }

        table.Append("|\n");
    }

    private static string Root()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "QwenProxy.slnx"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new DirectoryNotFoundException("QwenProxy.slnx");
    }
}
