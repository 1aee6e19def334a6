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
                    $"Qwen Proxy {root.GetProperty("version").GetString()}, up {TimeSpan.FromSeconds(root.GetProperty("uptimeSeconds").GetDouble())}, "
                    + $"{root.GetProperty("runningRequests")} requests running, ready: {root.GetProperty("ready").GetString()}");
                TablePrinter.Print(terminal, ["ACCOUNT", "KIND", "PROFILE", "HOST", "STATE", "RUNNING", "WHY"], [.. root.GetProperty("accounts").EnumerateArray().Select(Row)]);
            }

            return root.GetProperty("ready").GetString() == "yes" ? ExitCodes.Done : ExitCodes.NotFound;
        }
    }

    /// <summary>One account as a row; also of the <c>accounts</c> command.</summary>
    internal static string[] Row(JsonElement account)
    {
        string state = account.GetProperty("state").GetString()!;
        if (account.TryGetProperty("until", out JsonElement until)) state += $" until {until.GetDateTimeOffset().ToLocalTime():yyyy-MM-dd HH:mm:ss}";
        string breakers = string.Join(", ", account.GetProperty("breakers").EnumerateArray()
            .Where(b => b.GetProperty("state").GetString() != "Closed").Select(b => $"{b.GetProperty("model").GetString()}: {b.GetProperty("state").GetString()}"));
        return
        [
            account.GetProperty("name").GetString()!,
            account.GetProperty("kind").GetString()!,
            account.GetProperty("profile").GetString()!,
            account.GetProperty("host").GetString() ?? "",
            state,
            account.GetProperty("running").GetRawText(),
            account.GetProperty("why").GetString() ?? breakers,
        ];
    }
}
