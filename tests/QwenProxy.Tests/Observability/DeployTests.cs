using System.Text.Json;
using System.Text.RegularExpressions;
using QwenProxy.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace QwenProxy.Tests.Observability;

/// <summary>What is shipped for Prometheus and Grafana asks for names and labels that the program has, as it says them after a mixed load.</summary>
public sealed partial class DeployTests(MixedLoad load) : IClassFixture<MixedLoad>
{
    private const string Rules = "deploy/prometheus/qwen-proxy.rules.yml";
    private const string Board = "deploy/grafana/qwen-proxy.json";

    /// <summary>Labels that Prometheus adds itself.</summary>
    private static readonly string[] OfPrometheus = ["instance", "job", "le"];

    [Fact]
    public void EveryLabelThatIsExported_IsInTheDocument_AndTheOtherWayRound()
    {
        Dictionary<string, string[]> documented = RepositoryFiles.TableRows("docs/metrics.md").Where(r => r.Length == 6 && r[0].StartsWith('`'))
            .ToDictionary(r => r[1].Trim('`'), r => Quoted().Matches(r[4]).Select(m => m.Groups[1].Value.Replace('.', '_')).ToArray());
        Dictionary<string, HashSet<string>> families = Families();
        foreach ((string name, HashSet<string> labels) in families.Where(f => !f.Key.StartsWith("dotnet_", StringComparison.Ordinal)))
        {
            Assert.True(labels.Count > 0 || documented[name].Length == 0, $"{name} has no series after the mixed load.");
            Assert.Equal(documented[name].Order(StringComparer.Ordinal), labels.Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void EveryExpression_AsksForWhatIsExported()
    {
        (string Where, string Expression)[] expressions = [.. Alerts().Select(a => (Text(a, "alert"), Text(a, "expr"))), .. Panels().SelectMany(p => p.Expressions.Select(e => (p.Title, e)))];
        Dictionary<string, HashSet<string>> families = Families();
        Assert.True(expressions.Length > 50);
        foreach ((string where, string expression) in expressions)
        {
            string plain = Strings().Replace(expression, "\"\"");
            HashSet<string> labels = [.. OfPrometheus];
            string[] asked = [.. Metrics(plain)];
            Assert.NotEmpty(asked);
            foreach (string metric in asked.Where(m => m != "up"))
            {
                string family = Part().Replace(metric, "") is var root && families.ContainsKey(root) ? root : metric;
                Assert.True(families.ContainsKey(family), $"{where}: nothing exports {metric}");
                labels.UnionWith(families[family]);
            }

            Assert.All(Labels(plain), l => Assert.True(labels.Contains(l), $"{where}: {l} is no label of {string.Join(", ", asked)}"));
        }
    }

    [Fact]
    public void EveryAlert_HasItsRunbook()
    {
        string[] headings = [.. RepositoryFiles.Read("docs/operations.md").Split('\n').Where(l => l.StartsWith("### QwenProxy", StringComparison.Ordinal)).Select(l => l[4..].Trim())];
        YamlMappingNode[] alerts = [.. Alerts()];
        Assert.Equal(alerts.Select(a => Text(a, "alert")).Order(StringComparer.Ordinal), headings.Order(StringComparer.Ordinal));
        foreach (YamlMappingNode alert in alerts)
        {
            string name = Text(alert, "alert");
            YamlMappingNode annotations = (YamlMappingNode)alert["annotations"];
            Assert.EndsWith("/docs/operations.md#" + name.ToLowerInvariant(), Text(annotations, "runbook_url"), StringComparison.Ordinal);
            Assert.NotEmpty(Text(annotations, "summary"));
            Assert.Contains(Text((YamlMappingNode)alert["labels"], "severity"), new[] { "warning", "critical" });
        }
    }

    [Fact]
    public void Dashboard_ShowsWhatTheDocumentLists()
    {
        // All that is exported is worth a look but the runtime's many.
        string all = string.Join('\n', Panels().SelectMany(p => p.Expressions));
        Assert.All(Families().Keys.Where(f => !f.StartsWith("dotnet_", StringComparison.Ordinal)), f => Assert.Contains(f, all, StringComparison.Ordinal));
        Assert.Equal(Panels().Count(), Panels().Select(p => p.Title).Distinct().Count());
    }

    private static IEnumerable<YamlMappingNode> Alerts()
    {
        YamlStream yaml = [];
        yaml.Load(new StringReader(RepositoryFiles.Read(Rules)));
        return ((YamlSequenceNode)yaml.Documents[0].RootNode["groups"]).SelectMany(g => (YamlSequenceNode)g["rules"]).Cast<YamlMappingNode>();
    }

    private static string Text(YamlMappingNode node, string key) => ((YamlScalarNode)node[key]).Value!;

    private static IEnumerable<(string Title, string[] Expressions)> Panels()
    {
        using JsonDocument board = JsonDocument.Parse(RepositoryFiles.Read(Board));
        return [.. board.RootElement.GetProperty("panels").EnumerateArray().Where(p => p.GetProperty("type").GetString() != "row")
            .Select(p => (p.GetProperty("title").GetString()!, p.GetProperty("targets").EnumerateArray().Select(t => t.GetProperty("expr").GetString()!).ToArray()))];
    }

    /// <summary>Names that are neither a function's, nor in braces, brackets or the list of a <c>by</c>, nor a word of the language.</summary>
    private static IEnumerable<string> Metrics(string expression) => Name().Matches(Lists().Replace(Braces().Replace(Brackets().Replace(expression, ""), ""), "")).Select(m => m.Value).Where(n => n is not ("by" or "without" or "and" or "or" or "unless" or "on" or "offset")).Distinct();

    private static IEnumerable<string> Labels(string expression) =>
        Braces().Matches(expression).SelectMany(m => Matched().Matches(m.Value)).Select(m => m.Groups[1].Value).Concat(Lists().Matches(expression).SelectMany(m => Name().Matches(m.Groups[1].Value)).Select(m => m.Value));

    /// <summary>Each family by its name, with the labels that its series have.</summary>
    private Dictionary<string, HashSet<string>> Families()
    {
        Dictionary<string, HashSet<string>> families = [];
        foreach (string line in load.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("# TYPE ", StringComparison.Ordinal)) families[line.Split(' ')[2]] = [];
            if (line[0] == '#') continue;
            string name = line[..line.IndexOfAny(['{', ' '])];
            HashSet<string> labels = families.GetValueOrDefault(name) ?? families[Part().Replace(name, "")];
            labels.UnionWith(Matched().Matches(Strings().Replace(line, "\"\"")).Select(m => m.Groups[1].Value).Where(l => l != "le"));
        }

        return families;
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"""(?:[^""\\]|\\.)*""")]
    private static partial Regex Strings();

    [GeneratedRegex("_(?:bucket|sum|count)$")]
    private static partial Regex Part();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Braces();

    [GeneratedRegex(@"\[[^\]]*\]")]
    private static partial Regex Brackets();

    [GeneratedRegex(@"\b(?:by|without|on)\s*\(([^)]*)\)")]
    private static partial Regex Lists();

    [GeneratedRegex(@"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)")]
    private static partial Regex Matched();

    [GeneratedRegex(@"(?<![\w.$])[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|\w)")]
    private static partial Regex Name();
}
