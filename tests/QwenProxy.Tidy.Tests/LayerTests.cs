using System.Text.RegularExpressions;

namespace QwenProxy.Tidy.Tests;

/// <summary>Keeps the rooms of ARCHITECTURE.md apart: which project and which folder may know which.</summary>
public sealed partial class LayerTests
{
    private static readonly Dictionary<string, string[]> ProjectMayUse = new()
    {
        ["QwenProxy.Wire"] = [],
        ["QwenProxy.Core"] = ["QwenProxy.Wire"],
        ["QwenProxy.Simulator"] = ["QwenProxy.Wire"],
        ["QwenProxy"] = ["QwenProxy.Core", "QwenProxy.Wire", "QwenProxy.Simulator"],
    };

    /// <summary>The program's layers, the highest first; each may use what is named, and nothing above it. The empty name is the program's own folder.</summary>
    private static readonly Dictionary<string, string[]> FolderMayUse = new()
    {
        [""] = ["Console", "Hosting", "Observability", "Configuration"],
        ["Console"] = ["Hosting", "Checks", "Clients", "Catalogue", "Ledger", "Observability", "Credentials", "Configuration", "Storage"],
        ["Hosting"] = ["Endpoints", "Proxying", "Catalogue", "Upstreams", "Ledger", "Observability", "Credentials", "Configuration", "Storage"],
        ["Checks"] = ["Catalogue", "Upstreams", "Credentials", "Configuration"],
        ["Endpoints"] = ["Dashboard", "Clients", "Proxying", "Catalogue", "Upstreams", "Ledger", "Observability", "Credentials", "Configuration", "Storage"],
        ["Dashboard"] = [],
        ["Clients"] = ["Credentials", "Configuration", "Storage"],
        ["Proxying"] = ["Upstreams", "Ledger", "Observability", "Credentials", "Configuration"],
        ["Catalogue"] = ["Upstreams", "Observability", "Configuration"],
        ["Upstreams"] = ["Observability", "Credentials", "Configuration"],
        ["Ledger"] = ["Observability", "Credentials", "Configuration", "Storage"],
        ["Observability"] = ["Credentials", "Configuration"],
        ["Credentials"] = ["Storage"],
        ["Configuration"] = ["Storage"],
        ["Storage"] = [],
    };

    [Fact]
    public void Projects_ReferenceOnlyWhatTheLayersAllow()
    {
        foreach ((string project, string[] allowed) in ProjectMayUse)
        {
            string file = Repository.Read($"src/{project}/{project}.csproj");
            string[] used = [.. ProjectReference().Matches(file).Select(m => Path.GetFileNameWithoutExtension(m.Groups[1].Value))];
            Assert.All(used, u => Assert.Contains(u, allowed));
        }
    }

    [Fact]
    public void Core_WaitsForNothingAndDoesNoIO()
    {
        string[] banned = ["async ", "await ", "System.IO.File", "File.Read", "File.Write", "HttpClient", "ILogger", "Microsoft.AspNetCore", "Task<", "ValueTask", "Console."];
        Assert.Empty(Offenders(InFolder("src/QwenProxy.Core/").Concat(InFolder("src/QwenProxy.Wire/")), banned));
    }

    [Fact]
    public void Dialects_DoNotKnowEachOther()
    {
        string[] dialects = [.. Directory.GetDirectories(Path.Combine(Repository.Root, "src/QwenProxy.Core/Dialects")).Select(d => Path.GetFileName(d)!)];
        Assert.NotEmpty(dialects);
        foreach (string dialect in dialects)
        {
            string[] others = [.. dialects.Where(d => d != dialect).Select(d => $"Dialects.{d}")];
            Assert.Empty(Offenders(InFolder($"src/QwenProxy.Core/Dialects/{dialect}/"), others));
        }
    }

    [Fact]
    public void Repair_SeesNoClockAndNoDialect() =>
        Assert.Empty(Offenders(InFolder("src/QwenProxy.Core/Repair/"), ["TimeProvider", "DateTimeOffset", "Core.Dialects"]));

    [Fact]
    public void ConsoleAndDashboard_DoNotSeeTheInside() =>
        Assert.Empty(Offenders(InFolder("src/QwenProxy/Console/").Concat(InFolder("src/QwenProxy/Dashboard/")), ["QwenProxy.Proxying"]));

    [Fact]
    public void FoldersOfTheProgram_UseOnlyThoseBelowThem()
    {
        List<string> offenders = [];
        foreach (string file in InFolder("src/QwenProxy/"))
        {
            string[] parts = file.Split('/');
            string folder = parts.Length > 3 ? parts[2] : "";
            Assert.True(FolderMayUse.TryGetValue(folder, out string[]? allowed), $"{file}: the folder {folder} has no place among the layers of the program; give it one in this test and in ARCHITECTURE.md.");
            offenders.AddRange(Used(file).Select(u => u.Split('.')[0]).Where(u => FolderMayUse.ContainsKey(u) && u != folder && !allowed.Contains(u)).Select(u => $"{file}: {u}"));
        }

        Assert.Empty(offenders.Distinct());
    }

    /// <summary>Beside each other, at every depth: a folder may use the one it lies in, and that one what lies in it.</summary>
    [Fact]
    public void Folders_FormNoCycle()
    {
        foreach (string project in ProjectMayUse.Keys)
        {
            foreach (IGrouping<string, (string From, string To)> siblings in SiblingUses(project).GroupBy(u => Parent(u.From)))
            {
                ILookup<string, string> uses = siblings.ToLookup(u => u.From, u => u.To);
                foreach (string folder in uses.Select(u => u.Key)) Assert.False(Reaches(uses, folder, folder, []), $"The folder {folder} uses itself by way of others.");
            }
        }
    }

    [Fact]
    public void Constructors_TakeAtMostSevenParts()
    {
        List<string> large = [];
        foreach (string file in InFolder("src/"))
        {
            large.AddRange(CSharpText.Constructors(Repository.Read(file)).Where(c => c.Parameters > 7).Select(c => $"{file}: {c.Name} takes {c.Parameters}"));
        }

        Assert.Empty(large);
    }

    private static IEnumerable<(string From, string To)> SiblingUses(string project)
    {
        foreach (string file in InFolder($"src/{project}/"))
        {
            string[] from = file.Split('/')[2..^1];
            foreach (string used in Used(file, project))
            {
                string[] to = used.Split('.');
                int common = 0;
                while (common < from.Length && common < to.Length && from[common] == to[common]) common++;
                if (common < from.Length && common < to.Length) yield return (Join(project, from[..(common + 1)]), Join(project, to[..(common + 1)]));
            }
        }
    }

    private static string Join(string project, string[] folders) => $"{project}/{string.Join('/', folders)}";

    private static string Parent(string folder) => folder[..folder.LastIndexOf('/')];

    /// <summary>The namespaces of a project that a file uses, without the project's own name: by a using or written in full.</summary>
    private static IEnumerable<string> Used(string file, string project = "QwenProxy") =>
        Regex.Matches(Repository.Read(file), $@"(?:^using (?:static )?|(?<=[\s(<])){Regex.Escape(project)}\.(\w+(?:\.\w+)*)", RegexOptions.Multiline)
            .Where(m => !m.Value.StartsWith("namespace", StringComparison.Ordinal)).Select(m => m.Groups[1].Value);

    private static bool Reaches(ILookup<string, string> uses, string from, string target, HashSet<string> seen)
    {
        foreach (string next in uses[from])
        {
            if (next == target || (seen.Add(next) && Reaches(uses, next, target, seen))) return true;
        }

        return false;
    }

    private static IEnumerable<string> InFolder(string folder) => Repository.CSharpFiles.Where(f => f.StartsWith(folder, StringComparison.Ordinal));

    private static List<string> Offenders(IEnumerable<string> files, string[] words)
    {
        List<string> found = [];
        foreach (string file in files)
        {
            int number = 0;
            foreach (string line in Repository.Read(file).Split('\n'))
            {
                number++;
                if (line.TrimStart().StartsWith("//", StringComparison.Ordinal)) continue;
                foreach (string word in words)
                {
                    if (line.Contains(word, StringComparison.Ordinal)) found.Add($"{file}:{number}: {word.Trim()}");
                }
            }
        }

        return found;
    }

    [GeneratedRegex("<ProjectReference Include=\"([^\"]+)\"")]
    private static partial Regex ProjectReference();
}
