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
                TablePrinter.Print(terminal, ["ACCOUNT", "KIND", "PROFILE", "HOST", "STATE", "RUNNING", "AT ONCE", "WHY"], [.. root.GetProperty("accounts").EnumerateArray().Select(Row)]);
                QuotaTable.Print(terminal, root.GetProperty("accounts"));
            }

            return root.GetProperty("ready").GetString() == "yes" ? ExitCodes.Done : ExitCodes.NotFound;
        }
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
