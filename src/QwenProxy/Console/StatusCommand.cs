using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy status</c>: how the running proxy and its accounts are doing.</summary>
internal sealed class StatusCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf)
{
    public async Task<int> RunAsync(StatusOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        (JsonDocument? status, string problem) = await AdminClient.StatusAsync(snapshot, stop);
        if (status is null)
        {
            terminal.Error.WriteLine(problem);
            return ExitCodes.NotFound;
        }

        using (status)
        {
            JsonElement root = status.RootElement;
            if (options.Json)
            {
                JsonPrinter.Print(terminal, root.WriteTo);
            }
            else
            {
                terminal.Error.WriteLine(
                    $"Qwen Proxy {root.GetProperty("version").GetString()!.Split('+')[0]} at {AdminClient.OriginOf(snapshot)}, up {TimeSpan.FromSeconds(root.GetProperty("uptimeSeconds").GetDouble())}, "
                    + $"{root.GetProperty("runningRequests")} requests running, ready: {root.GetProperty("ready").GetString()}");
                TellConfiguration(terminal, root, snapshot);
                if (root.GetProperty("degraded").GetString() is { } degraded) terminal.Error.WriteLine($"Degraded: {degraded}; requests are served as ever.");
                TablePrinter.Print(terminal, ["ACCOUNT", "KIND", "PROFILE", "HOST", "STATE", "RUNNING", "AT ONCE", "WHY"], [.. root.GetProperty("accounts").EnumerateArray().Select(Row)]);
                QuotaTable.Print(terminal, root.GetProperty("accounts"));
                if (root.TryGetProperty("replicas", out JsonElement replicas)) PrintReplicas(replicas, root.GetProperty("configuration").GetString());
            }

            return root.GetProperty("ready").GetString() == "yes" ? ExitCodes.Done : ExitCodes.NotFound;
        }
    }

    private void PrintReplicas(JsonElement replicas, string? configuration)
    {
        terminal.Out.WriteLine();
        TablePrinter.Print(terminal, ["REPLICA", "ADDRESS", "VERSION", "RUNNING", "STATE", "SERVES"], [.. replicas.EnumerateArray().Select(Row)]);

        string[] Row(JsonElement replica) =>
        [
            replica.GetProperty("name").GetString() + (replica.GetProperty("self").GetBoolean() ? " *" : ""),
            replica.GetProperty("address").GetString()!,
            replica.GetProperty("version").GetString()!.Split('+')[0],
            replica.GetProperty("runningRequests").GetRawText(),
            StateOf(replica, configuration),
            string.Join(", ", replica.GetProperty("accounts").EnumerateArray().Select(a => a.GetString())),
        ];
    }

    private static string StateOf(JsonElement replica, string? configuration)
    {
        string state = replica.GetProperty("draining").GetBoolean() ? "draining" : replica.GetProperty("ready").GetString() == "yes" ? "ready" : replica.GetProperty("ready").GetString()!;
        return replica.GetProperty("configuration").GetString() == configuration ? state : $"{state}, on another configuration";
    }

    /// <summary>Says so where the proxy that was asked runs on another configuration than this command sees, or refused an edit of its own.</summary>
    internal static void TellConfiguration(Terminal terminal, JsonElement status, ProxySnapshot here)
    {
        foreach (JsonElement fault in status.GetProperty("refusedConfiguration").EnumerateArray()) terminal.Error.WriteLine($"The last edit of its configuration is not in force: {fault.GetString()}");
        if (status.GetProperty("configuration").GetString() == here.Fingerprint) return;
        string there = status.GetProperty("configurationFile").GetString() ?? "no file";
        terminal.Error.WriteLine($"It runs on another configuration ({there}) than the one here ({here.ConfigFile ?? "no file"}); give this command the same --config and environment to compare.");
    }

    /// <summary>How many requests may run at once; empty for any number.</summary>
    private static string AtOnce(JsonElement account) =>
        account.TryGetProperty("atOnce", out JsonElement limit) ? limit.GetRawText() + (account.GetProperty("atOnceLearned").GetBoolean() ? " (learned)" : "") : "";

    /// <summary>One account as a row; also of the <c>accounts</c> command.</summary>
    internal static string[] Row(JsonElement account)
    {
        return
        [
            account.GetProperty("name").GetString()!,
            account.GetProperty("kind").GetString()!,
            account.GetProperty("profile").GetString()!,
            account.GetProperty("host").GetString() ?? "",
            account.GetProperty("says").GetString()!,
            account.GetProperty("running").GetRawText(),
            AtOnce(account),
            account.GetProperty("why").GetString() ?? "",
        ];
    }
}
