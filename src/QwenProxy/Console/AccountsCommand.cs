using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Hosting;

namespace QwenProxy.Console;

/// <summary>
/// <c>qwen-proxy accounts</c>: kind, state and file of each account. A running proxy is asked first, since it knows cooldowns and breakers; without
/// one the configuration and the credentials files tell what they can.
/// </summary>
internal sealed class AccountsCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf)
{
    public async Task<int> RunAsync(AccountsOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        (JsonDocument? running, _) = await AdminClient.StatusAsync(snapshot, stop);
        using JsonDocument status = running ?? await OfflineAsync(snapshot, stop);
        JsonElement accounts = status.RootElement.GetProperty("accounts");
        if (options.Json)
        {
            JsonPrinter.Print(terminal, accounts.WriteTo);
        }
        else
        {
            terminal.Error.WriteLine(running is null
                ? $"No proxy answers at {AdminClient.OriginOf(snapshot)}; this is what the configuration says."
                : $"As the proxy at {AdminClient.OriginOf(snapshot)} sees them:");
            if (running is not null) StatusCommand.TellConfiguration(terminal, status.RootElement, snapshot);
            TablePrinter.Print(terminal, ["ACCOUNT", "KIND", "PROFILE", "HOST", "STATE", "FILE", "AT ONCE", "WHY"], [.. accounts.EnumerateArray().Select(Row)]);
            QuotaTable.Print(terminal, accounts);
        }

        if (accounts.GetArrayLength() > 0) return ExitCodes.Done;
        terminal.Error.WriteLine("There is no account. Run `qwen-proxy login`, or set DASHSCOPE_API_KEY, or QWEN_API_KEY with QWEN_BASE_URL.");
        return ExitCodes.NotFound;
    }

    private static async Task<JsonDocument> OfflineAsync(ProxySnapshot snapshot, CancellationToken stop)
    {
        await using ProxyRuntime runtime = new(snapshot, NullLoggerFactory.Instance, TimeProvider.System, new Random());
        await runtime.OpenAsync(stop);
        return JsonDocument.Parse(runtime.Status.Render());
    }

    private static string[] Row(JsonElement account)
    {
        string[] row = StatusCommand.Row(account);
        // The file stands where a status shows the running requests.
        row[5] = account.TryGetProperty("credentials", out JsonElement file) ? file.GetString() ?? "" : "";
        return row;
    }
}
