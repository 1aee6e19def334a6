using System.Runtime.CompilerServices;

namespace QwenProxy.Simulator.Tests;

public sealed class DocumentTests
{
    /// <summary>Set QWEN_PROXY_WRITE_DOCS=1 to write the table instead of checking it.</summary>
    [Fact]
    public async Task Document_ListsEveryScenarioInItsOwnWords()
    {
        string file = Path.Combine(Root(), "docs", "simulator.md"), text = await File.ReadAllTextAsync(file, Upstream.Stop);
        const string Begin = "<!-- scenarios -->\n", End = "<!-- end of scenarios -->";
        int begin = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, end = text.IndexOf(End, StringComparison.Ordinal);
        Assert.True(begin >= Begin.Length && end >= begin);
        string table = Table();
        if (Environment.GetEnvironmentVariable("QWEN_PROXY_WRITE_DOCS") == "1")
            await File.WriteAllTextAsync(file, text[..begin] + table + text[end..], Upstream.Stop);
        else Assert.Equal(table, text[begin..end]);
    }

    private static string Table()
    {
        System.Text.StringBuilder table = new();
        foreach (var group in SimulatedAnswers.Scenarios.GroupBy(s => s.Group))
        {
            table.Append("\n### ").Append(char.ToUpperInvariant(group.Key[0])).Append(group.Key[1..])
                .Append("\n\n| scenario | what happens |\n|---|---|\n");
            foreach ((string name, _, string summary) in group)
                table.Append("| `").Append(name).Append("` | ").Append(summary.Replace("|", "\\|")).Append(" |\n");
        }

        return table.Append('\n').ToString();
    }

    private static string Root([CallerFilePath] string here = "")
    {
        // Deterministic builds map source paths, so the tree is looked for upwards from the test binary instead when that is so.
        string? folder = File.Exists(here) ? Path.GetDirectoryName(here) : AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "QwenProxy.slnx"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("the source tree was not found");
    }
}
