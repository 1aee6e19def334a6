namespace QwenProxy.Configuration;

/// <summary>
/// Finds and reads the configuration file: <c>--config</c>, QWEN_PROXY_CONFIG, <c>./qwen-proxy.json</c>, then the user's own folder.
/// A file that was asked for by name must be there; the two usual places may be empty.
/// </summary>
internal sealed class ConfigFileFinder(LoadContext context)
{
    private const int LargestBytes = 4 * 1024 * 1024;

    /// <summary>The root object of the file; null when there is no file or, with faults, when it cannot be used.</summary>
    public ConfigNode? Read()
    {
        ConfigurationSources sources = context.Sources;
        if (sources.Flags.ConfigFile is { } flag) return ReadNamed("--config", flag);
        if (sources.Variable("QWEN_PROXY_CONFIG") is { } variable) return ReadNamed("QWEN_PROXY_CONFIG", variable);
        foreach (string usual in UsualPlaces(sources))
        {
            if (File.Exists(usual)) return ReadFile(usual, usual);
            context.Watch(usual);
        }

        return null;
    }

    private static IEnumerable<string> UsualPlaces(ConfigurationSources sources)
    {
        yield return Path.Combine(sources.WorkingFolder, "qwen-proxy.json");
        string config = sources.Variable("XDG_CONFIG_HOME") is { } xdg && Path.IsPathRooted(xdg) ? xdg : Path.Combine(sources.HomeFolder, ".config");
        yield return Path.Combine(config, "qwen-proxy", "config.json");
    }

    private ConfigNode? ReadNamed(string origin, string path)
    {
        string file = context.Sources.FullPath(path, context.Sources.WorkingFolder);
        if (File.Exists(file)) return ReadFile(file, origin);
        context.Watch(file);
        context.Fault(origin, Directory.Exists(file) ? $"{file} is a folder; it must be a file" : $"the file {file} does not exist");
        return null;
    }

    private ConfigNode? ReadFile(string file, string origin)
    {
        try
        {
            context.File = file;
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using MemoryStream bytes = new();
            stream.CopyTo(bytes);
            ReadOnlySpan<byte> content = bytes.GetBuffer().AsSpan(0, (int)bytes.Length);
            context.Watch(file, content);
            if (content.Length <= LargestBytes) return ConfigFileParser.Parse(file, content, context);
            context.Fault(origin, $"the file {file} is larger than {LargestBytes} bytes; this is no configuration");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            context.Watch(file);
            context.Fault(origin, $"the file {file} cannot be read: {e.Message}");
        }

        return null;
    }
}
