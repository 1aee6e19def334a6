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
    public void FoldersOfCore_FormNoCycle()
    {
        Dictionary<string, HashSet<string>> uses = [];
        foreach (string file in InFolder("src/QwenProxy.Core/"))
        {
            string folder = file.Split('/')[2];
            HashSet<string> used = uses.TryGetValue(folder, out HashSet<string>? known) ? known : uses[folder] = [];
            foreach (Match match in CoreUsing().Matches(Repository.Read(file)))
            {
                if (match.Groups[1].Value != folder) used.Add(match.Groups[1].Value);
            }
        }

        foreach (string folder in uses.Keys) Assert.True(!Reaches(uses, folder, folder, []), $"The folder {folder} of Core uses itself by way of others.");
    }

    private static bool Reaches(Dictionary<string, HashSet<string>> uses, string from, string target, HashSet<string> seen)
    {
        foreach (string next in uses.GetValueOrDefault(from) ?? [])
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

    [GeneratedRegex(@"^using (?:static )?QwenProxy\.Core\.(\w+)", RegexOptions.Multiline)]
    private static partial Regex CoreUsing();
}
