using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace QwenProxy.Tidy.Tests;

/// <summary>What is released by machines that these tests never see: workflows, the container's recipe, the service files.</summary>
public sealed partial class ReleaseFilesTests
{
    public static TheoryData<string> Workflows => [.. Directory.GetFiles(Path.Combine(Repository.Root, ".github/workflows"), "*.yml").Select(f => Path.GetFileName(f)!)];

    [Theory]
    [MemberData(nameof(Workflows))]
    public void Actions_ArePinnedToACommit(string file)
    {
        string[] used = [.. Steps(file).Where(s => s.Children.ContainsKey("uses")).Select(s => Text(s, "uses"))];

        Assert.NotEmpty(used);
        Assert.All(used, u => Assert.Matches("^[A-Za-z0-9-]+/[A-Za-z0-9-]+@[0-9a-f]{40}$", u));
    }

    [Theory]
    [MemberData(nameof(Workflows))]
    public void Checkouts_KeepNoCredentials(string file)
    {
        IEnumerable<YamlMappingNode> checkouts = Steps(file).Where(s => s.Children.ContainsKey("uses") && Text(s, "uses").StartsWith("actions/checkout@", StringComparison.Ordinal));

        Assert.All(checkouts, c => Assert.Equal("false", Text((YamlMappingNode)c["with"], "persist-credentials")));
    }

    [Theory]
    [MemberData(nameof(Workflows))]
    public void Rights_AreReadOnlyUnlessAJobNeedsMore(string file)
    {
        YamlMappingNode permissions = (YamlMappingNode)Load(file)["permissions"];

        Assert.Equal("read", Text(permissions, "contents"));
        Assert.Single(permissions.Children);
    }

    [Theory]
    [MemberData(nameof(Workflows))]
    public void Scripts_ThatAreRun_Exist(string file)
    {
        string[] commands = [.. Steps(file).Where(s => s.Children.ContainsKey("run")).Select(s => Text(s, "run"))];
        string[] scripts = [.. commands.SelectMany(c => Script().Matches(c)).Select(m => m.Value).Distinct()];

        Assert.NotEmpty(scripts);
        Assert.All(scripts, s => Assert.True(File.Exists(Path.Combine(Repository.Root, s)), s));
    }

    [Fact]
    public void Ci_RunsTheSameChecksAsEverybody() => Assert.Contains(Steps("ci.yml"), s => s.Children.ContainsKey("run") && Text(s, "run") == "bash .ci/run");

    [Fact]
    public void Release_BuildsEveryPlatformOfTheScript()
    {
        string[] platforms = Regex.Match(Repository.Read("build/release.sh"), @"^all=\(([^)]*)\)", RegexOptions.Multiline).Groups[1].Value.Split(' ');
        string workflow = Repository.Read(".github/workflows/release.yml");

        Assert.Equal(6, platforms.Length);
        Assert.All(platforms, p => Assert.Matches(p == "linux-musl-x64" ? $"build/publish.sh {p} out" : $@"platform: {p},", workflow));
        Assert.Contains("build/release.sh --output release --built built " + string.Join(' ', platforms), workflow, StringComparison.Ordinal);
    }

    [Fact]
    public void Release_IsPublishedAfterItIsCheckedAndAttested()
    {
        string[] names = [.. Steps("release.yml").Where(s => s.Children.ContainsKey("name")).Select(s => Text(s, "name"))];
        string[] order = ["All checks", "Package", "Provenance", "GitHub release", "NuGet", "npm"];

        Assert.Equal(order, names.Where(order.Contains));
    }

    [Fact]
    public void Container_HasNoRightsAndNamesWhatTheProgramKnows()
    {
        string[] lines = Repository.Read("Containerfile").Replace("\\\n", " ", StringComparison.Ordinal).Split('\n', StringSplitOptions.TrimEntries);
        string[] last = [.. lines.Skip(Array.FindLastIndex(lines, l => l.StartsWith("FROM ", StringComparison.Ordinal)))];
        string Of(string instruction) => Assert.Single(last, l => l.StartsWith(instruction + " ", StringComparison.Ordinal));

        Assert.Matches("^USER [1-9][0-9]*:[1-9][0-9]*$", Of("USER"));
        Assert.Equal("ENTRYPOINT [\"qwen-proxy\"]", Of("ENTRYPOINT"));
        Assert.Contains("[\"qwen-proxy\", \"status\"]", Of("HEALTHCHECK"), StringComparison.Ordinal);
        Assert.Equal("VOLUME [\"/data\"]", Of("VOLUME"));
        string known = string.Concat(Repository.Files("src/QwenProxy/Configuration", "*.cs").Select(Repository.Read));
        string[] variables = [.. Variable().Matches(Of("ENV")).Select(m => m.Groups[1].Value)];
        Assert.Contains("QWEN_PROXY_DATA", variables);
        Assert.All(variables, v => Assert.Contains($"\"{v}\"", known, StringComparison.Ordinal));
        // What lasts is on the volume; nothing else is written.
        Assert.All(Variable().Matches(Of("ENV")).Where(m => m.Groups[2].Value.StartsWith('/')), m => Assert.StartsWith("/data/", m.Groups[2].Value, StringComparison.Ordinal));
    }

    [Fact]
    public void Service_KnowsTheProgramsExitCodesAndDrain()
    {
        string unit = Repository.Read("packaging/systemd/qwen-proxy.service");
        string codes = Repository.Read("src/QwenProxy/Console/ExitCodes.cs");

        Assert.Contains("RestartPreventExitStatus=64", unit, StringComparison.Ordinal);
        Assert.Contains("BadUsage = 64;", codes, StringComparison.Ordinal);
        // Longer than drainSeconds, which is 30.
        Assert.Contains("TimeoutStopSec=45", unit, StringComparison.Ordinal);
    }

    private static YamlMappingNode Load(string file)
    {
        YamlStream yaml = [];
        yaml.Load(new StringReader(Repository.Read(".github/workflows/" + file)));
        return (YamlMappingNode)yaml.Documents[0].RootNode;
    }

    private static IEnumerable<YamlMappingNode> Steps(string file) => ((YamlMappingNode)Load(file)["jobs"]).Children.Values
        .SelectMany(job => ((YamlSequenceNode)job["steps"]).Children).Cast<YamlMappingNode>();

    private static string Text(YamlMappingNode node, string key) => ((YamlScalarNode)node[key]).Value!;

    [GeneratedRegex(@"(?:\.ci|build|packaging|tests)/[A-Za-z0-9_./-]+")]
    private static partial Regex Script();

    [GeneratedRegex(@"([A-Z_]+)=(\S+)")]
    private static partial Regex Variable();
}
