using System.Text.RegularExpressions;

namespace QwenProxy.Tidy.Tests;

public sealed partial class DocsTests
{
    /// <summary>Paths in backticks that name a file or folder of this repository.</summary>
    [Fact]
    public void PathsNamedInDocs_Exist()
    {
        List<string> missing = [];
        int seen = 0;
        foreach (string doc in Docs())
        {
            foreach (Match match in RepositoryPath().Matches(Repository.Read(doc)))
            {
                seen++;
                string path = match.Groups[1].Value.TrimEnd('/', '.');
                string full = Path.Combine(Repository.Root, path);
                if (!File.Exists(full) && !Directory.Exists(full)) missing.Add($"{doc}: {path}");
            }
        }

        Assert.True(seen > 10, "Hardly any path was found in the docs: the measure is broken.");
        Assert.True(missing.Count == 0, "Paths in docs that do not exist:\n" + string.Join('\n', missing));
    }

    [Fact]
    public void LinksBetweenDocs_LeadSomewhere()
    {
        List<string> dead = [];
        foreach (string doc in Docs())
        {
            foreach (Match match in Link().Matches(Repository.Read(doc)))
            {
                string target = match.Groups[1].Value.Split('#')[0];
                if (target.Length == 0 || target.Contains("://", StringComparison.Ordinal) || target.StartsWith("mailto:", StringComparison.Ordinal)) continue;
                string full = Path.Combine(Repository.Root, Path.GetDirectoryName(doc)!, target);
                if (!File.Exists(full) && !Directory.Exists(full)) dead.Add($"{doc}: {target}");
            }
        }

        Assert.True(dead.Count == 0, "Links that lead nowhere:\n" + string.Join('\n', dead));
    }

    [Fact]
    public void EveryPackage_IsNamedWithItsReason()
    {
        string reasons = Repository.Read("docs/dependencies.md");
        string[] packages = [.. PackageVersion().Matches(Repository.Read("Directory.Packages.props")).Select(m => m.Groups[1].Value)];
        Assert.NotEmpty(packages);
        Assert.All(packages, p => Assert.Contains($"`{p}`", reasons, StringComparison.Ordinal));
    }

    private static IEnumerable<string> Docs() =>
        Directory.GetFiles(Repository.Root, "*.md").Select(f => Path.GetFileName(f)!).Concat(Repository.Files("docs", "*.md"));

    [GeneratedRegex(@"`((?:src|tests|bench|docs|schema|build|packaging|\.ci|\.github)/[A-Za-z0-9_./-]+)`")]
    private static partial Regex RepositoryPath();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("PackageVersion Include=\"([^\"]+)\"")]
    private static partial Regex PackageVersion();
}
