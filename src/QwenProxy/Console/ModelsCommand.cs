using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
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
            terminal.Error.WriteLine(runtime.WhyNotReady());
            return ExitCodes.NotFound;
        }

        terminal.Error.WriteLine($"Asking {snapshot.Accounts.Length} account(s) …");
        IReadOnlyList<OfferedModel> models = await runtime.Models.ListAsync(snapshot, stop);
        string[] Route(OfferedModel model) =>
            [.. runtime.Router.Table.Resolve(model.Id).Models.SelectMany(m => m.Accounts.Select(a => m.Model == model.Id ? a.Name : $"{a.Name}/{m.Model}"))];
        if (options.Json)
        {
            JsonPrinter.Print(terminal, json =>
            {
                json.WriteStartArray();
                foreach (OfferedModel model in models)
                {
                    json.WriteStartObject();
                    json.WriteString("id", model.Id);
                    json.WriteNumber("contextLength", model.ContextTokens);
                    json.WriteNumber("maxOutputTokens", model.MaxOutputTokens);
                    json.WriteStartArray("routes");
                    foreach (string route in Route(model)) json.WriteStringValue(route);
                    json.WriteEndArray();
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return ExitCodes.Done;
        }

        TablePrinter.Print(terminal, ["MODEL", "CONTEXT", "MAX OUTPUT", "ROUTE"], [.. models.Select(m => new[] { m.Id, Size(m.ContextTokens), Size(m.MaxOutputTokens), string.Join(", ", Route(m)) })]);
        return ExitCodes.Done;
    }

    private static string Size(int tokens) => tokens == 0 ? "" : tokens.ToString(CultureInfo.InvariantCulture);
}
