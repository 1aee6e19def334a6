using QwenProxy.Configuration;

namespace QwenProxy.Tests.Configuration;

/// <summary>A home and a working folder of a test's own, a file in it, and variables that reach no process.</summary>
public sealed class ConfigFolder : IDisposable
{
    public ConfigFolder()
    {
        Root = Directory.CreateTempSubdirectory("qwen-proxy-test-").FullName;
        Home = Directory.CreateDirectory(Path.Combine(Root, "home")).FullName;
        Work = Directory.CreateDirectory(Path.Combine(Root, "work")).FullName;
        QwenHome = Path.Combine(Home, ".qwen");
    }

    public string Root { get; }

    public string Home { get; }

    public string Work { get; }

    public string QwenHome { get; }

    public string ConfigFile => Path.Combine(Work, "qwen-proxy.json");

    public Dictionary<string, string> Variables { get; } = [];

    internal ConfigurationFlags Flags { get; set; } = new();

    internal ConfigurationSources Sources => new() { Flags = Flags, Environment = Variables, WorkingFolder = Work, HomeFolder = Home };

    public void Dispose() => Directory.Delete(Root, recursive: true);

    internal ConfigurationResult Load(string? file = null)
    {
        if (file is not null) File.WriteAllText(ConfigFile, file);
        return ConfigurationLoader.Load(Sources);
    }

    internal ProxySnapshot LoadGood(string? file = null)
    {
        ConfigurationResult result = Load(file);
        Assert.Empty(result.Faults);
        return result.Snapshot!;
    }

    /// <summary>The one fault of a file, with the file's own path taken off: <c>line:column: message</c>.</summary>
    internal string OnlyFault(string? file = null)
    {
        ConfigurationResult result = Load(file);
        Assert.Null(result.Snapshot);
        return Assert.Single(result.Faults).ToString().Replace(ConfigFile + ":", "", StringComparison.Ordinal);
    }

    public string Write(string path, string text)
    {
        string full = Path.Combine(Work, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
        return full;
    }
}
