using System.Globalization;
using System.Text.RegularExpressions;
using QwenProxy.Configuration;
using QwenProxy.Tests.Configuration;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Fleet;

/// <summary>The examples in deploy say what the program understands.</summary>
public sealed partial class DeployExampleTests
{
    private static readonly string s_manifest = RepositoryFiles.Read("deploy/kubernetes/qwen-proxy.yaml");

    [Fact]
    public void ConfigurationOfTheExample_IsTaken()
    {
        string json = string.Join('\n', s_manifest.Split('\n').SkipWhile(l => !l.Contains("config.json: |", StringComparison.Ordinal)).Skip(1).TakeWhile(l => l.StartsWith("    ", StringComparison.Ordinal) || l.Length == 0));
        using ConfigFolder folder = new();
        // The folder's own variables and those that the Deployment takes from its Secret.
        string[] fromSecret = [.. SecretVariable().Matches(s_manifest).Select(m => m.Groups[1].Value)];
        Assert.Equal(["QWEN_PROXY_DATABASE", "QWEN_PROXY_SECRET_KEY", "QWEN_PROXY_ADMIN_KEY", "PLAN_KEY"], fromSecret);
        foreach (string name in fromSecret) folder.Variables[name] = Example(name);
        ConfigurationResult loaded = folder.Load(json);
        Assert.NotNull(loaded.Snapshot);
        Assert.NotNull(loaded.Snapshot.Storage.Database);
        Assert.NotNull(loaded.Snapshot.Storage.SecretKeys);
        int pause = Number(PauseLine());
        Assert.True(Number(GraceLine()) >= pause + loaded.Snapshot.Timeouts.Drain.TotalSeconds, "running streams are killed before their time");
        Assert.Contains($"containerPort: {loaded.Snapshot.Port} ", s_manifest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProbesOfTheExample_AreAnsweredAndItsMetricIsThere()
    {
        await using RawUpstream upstream = RawUpstream.Always("");
        await using RunningProxy proxy = await RunningProxy.StartAsync(upstream.BaseUrl);
        string[] paths = [.. ProbePath().Matches(s_manifest).Select(m => m.Groups[1].Value).Distinct()];
        Assert.Equal(["/healthz", "/readyz"], paths);
        foreach (string path in paths) Assert.True((await proxy.Client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken)).IsSuccessStatusCode, path);
        string metric = MetricName().Match(s_manifest).Groups[1].Value;
        Assert.Contains($"# TYPE {metric} gauge", await proxy.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>Each object has what makes it one, and they name each other rightly.</summary>
    [Fact]
    public void ObjectsOfTheExample_BelongTogether()
    {
        string[] objects = s_manifest.Split("\n---\n");
        Assert.Equal(["Secret", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"], objects.Select(o => Kind().Match(o).Groups[1].Value));
        Assert.All(objects, o => Assert.Matches("(?m)^apiVersion: (v1|apps/v1|policy/v1|autoscaling/v2)$", o));
        Assert.All(objects, o => Assert.Matches("(?m)^metadata:\n  name: qwen-proxy$", o));
        Assert.All(objects, o => Assert.DoesNotContain('\t', o));
        string[] keys = [.. SecretKey().Matches(objects[2]).Select(m => m.Groups[1].Value)];
        Assert.All(keys, k => Assert.Matches($"(?m)^  {k}: ", objects[0]));
        Assert.All(new[] { objects[2], objects[4] }, o => Assert.Contains("matchLabels: { app: qwen-proxy }", o, StringComparison.Ordinal));
        Assert.Contains("selector: { app: qwen-proxy }", objects[3], StringComparison.Ordinal);
        Assert.Equal(Mounts().Matches(objects[2]).Select(m => m.Groups[1].Value).Order(), Volumes().Matches(objects[2]).Select(m => m.Groups[1].Value).Order());
    }

    private static string Example(string name) => name switch
    {
        "QWEN_PROXY_DATABASE" => "postgres://u:p@db.example.internal/qwen_proxy",
        "QWEN_PROXY_SECRET_KEY" => Convert.ToBase64String(new byte[32]),
        _ => $"sk-example-of-{name}-with-enough-letters",
    };

    private static int Number(Regex line) => int.Parse(line.Match(s_manifest).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex("name: ([A-Z_]+), valueFrom")]
    private static partial Regex SecretVariable();

    [GeneratedRegex("secretKeyRef: { name: qwen-proxy, key: ([a-z-]+) }")]
    private static partial Regex SecretKey();

    [GeneratedRegex("httpGet: { path: ([a-z/]+), port: http }")]
    private static partial Regex ProbePath();

    [GeneratedRegex("metric: { name: ([a-z_]+) }")]
    private static partial Regex MetricName();

    [GeneratedRegex("(?m)^kind: ([A-Za-z]+)$")]
    private static partial Regex Kind();

    [GeneratedRegex("{ name: ([a-z]+), mountPath")]
    private static partial Regex Mounts();

    [GeneratedRegex("{ name: ([a-z]+), (?:configMap|emptyDir)")]
    private static partial Regex Volumes();

    [GeneratedRegex("terminationGracePeriodSeconds: ([0-9]+)")]
    private static partial Regex GraceLine();

    [GeneratedRegex("\"sleep\", \"([0-9]+)\"")]
    private static partial Regex PauseLine();
}
