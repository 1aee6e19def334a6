using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;
using QwenProxy.Hosting;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy models</c>: the models on offer and where each would be routed. It asks the accounts itself; no running proxy is needed.</summary>
internal sealed class ModelsCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf)
{
    public async Task<int> RunAsync(ModelsOptions options, CancellationToken stop)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        await using ProxyRuntime runtime = new(snapshot, NullLoggerFactory.Instance, TimeProvider.System, new Random());
        if (snapshot.Accounts.IsEmpty)
        {
            terminal.Error.WriteLine(runtime.Readiness.Obstacle());
            return ExitCodes.NotFound;
        }

        terminal.Error.WriteLine($"Asking {(snapshot.Accounts.Length == 1 ? "1 account" : $"{snapshot.Accounts.Length} accounts")} …");
        IReadOnlyList<OfferedModel> models = await runtime.Models.ListAsync(snapshot, stop);
        RouteTable table = runtime.Router.Table;
        if (options.Json)
        {
            JsonPrinter.Print(terminal, json => ModelListJson.Write(json, models, table));
            return ExitCodes.Done;
        }

        TablePrinter.Print(terminal, ["MODEL", "CONTEXT", "MAX OUTPUT", "ROUTE"], [.. models.Select(m => new[] { m.Id, Size(m.ContextTokens), Size(m.MaxOutputTokens), string.Join(", ", ModelListJson.Routes(m.Id, table)) })]);
        return ExitCodes.Done;
    }

    private static string Size(int tokens) => tokens == 0 ? "" : tokens.ToString(CultureInfo.InvariantCulture);
}
