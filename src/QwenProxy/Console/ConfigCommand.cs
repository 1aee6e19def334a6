using System.Text.Json;
using QwenProxy.Configuration;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy config</c>: the configuration in force, or every fault in it, or its schema.</summary>
internal sealed class ConfigCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf)
{
    /// <summary>The name under which the schema is kept inside the program.</summary>
    public const string SchemaResource = "qwen-proxy.schema.json";

    public async Task<int> RunAsync(ConfigOptions options, CancellationToken stop)
    {
        if (options.Schema)
        {
            await terminal.Out.WriteAsync((await ReadSchemaAsync(stop)).AsMemory(), stop);
            return ExitCodes.Done;
        }

        ConfigurationResult result = ConfigurationLoader.Load(sourcesOf(options.Flags));
        if (options.Json) JsonPrinter.Print(terminal, writer => Write(writer, result));
        TellFaults(terminal, result);
        if (result.Snapshot is null) return ExitCodes.BadUsage;
        if (!options.Json) TablePrinter.Print(terminal, ["VALUE", "IS", "FROM"], [.. result.Values.Select(v => new[] { v.Path, v.Value, v.Origin })]);
        return ExitCodes.Done;
    }

    /// <summary>Every fault on a line of its own, for any command that needs a configuration.</summary>
    public static void TellFaults(Terminal terminal, ConfigurationResult result)
    {
        foreach (ConfigFault fault in result.Faults) terminal.Error.WriteLine(fault);
    }

    public static async Task<string> ReadSchemaAsync(CancellationToken stop)
    {
        using Stream stream = typeof(ConfigCommand).Assembly.GetManifestResourceStream(SchemaResource)!;
        using StreamReader reader = new(stream);
        return await reader.ReadToEndAsync(stop);
    }

    private static void Write(Utf8JsonWriter writer, ConfigurationResult result)
    {
        writer.WriteStartObject();
        writer.WriteString("configFile", result.ConfigFile);
        writer.WriteStartArray("faults");
        foreach (ConfigFault fault in result.Faults)
        {
            writer.WriteStartObject();
            writer.WriteString("origin", fault.Origin);
            writer.WriteString("message", fault.Message);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("values");
        foreach (EffectiveValue value in result.Values)
        {
            writer.WriteStartObject();
            writer.WriteString("path", value.Path);
            writer.WriteString("value", value.Value);
            writer.WriteString("origin", value.Origin);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
