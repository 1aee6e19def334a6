namespace QwenProxy.Configuration;

/// <summary>What the command line said, in the words as written; null where it said nothing.</summary>
internal sealed record ConfigurationFlags
{
    /// <summary><c>--config</c>.</summary>
    public string? ConfigFile { get; init; }

    /// <summary><c>--host</c>.</summary>
    public string? Host { get; init; }

    /// <summary><c>--port</c>.</summary>
    public string? Port { get; init; }

    /// <summary><c>-debug</c> / <c>--debug</c>.</summary>
    public bool Debug { get; init; }
}

/// <summary>
/// Everything that a configuration is made of, besides the files it names. Tests build one by hand; the program uses
/// <see cref="FromProcess"/>.
/// </summary>
internal sealed record ConfigurationSources
{
    public ConfigurationFlags Flags { get; init; } = new();

    /// <summary>An empty variable counts as one that is not set.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Relative paths of flags and variables start here.</summary>
    public required string WorkingFolder { get; init; }

    /// <summary>What <c>~</c> stands for.</summary>
    public required string HomeFolder { get; init; }

    /// <summary>The ids that <c>quirks</c> may name; null accepts any.</summary>
    public IReadOnlyCollection<string>? KnownQuirks { get; init; }

    /// <summary>False for a command that makes the keys without which an address for others is refused.</summary>
    public bool ChecksAddress { get; init; } = true;

    public static ConfigurationSources FromProcess(ConfigurationFlags flags)
    {
        Dictionary<string, string> variables = [];
        foreach (System.Collections.DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
            variables[(string)entry.Key] = (string?)entry.Value ?? "";
        string home = variables.GetValueOrDefault("HOME") is { Length: > 0 } named
            ? named
            : System.Environment.GetFolderPath(System.Environment.SpecialFolder.UserProfile);
        return new ConfigurationSources
        {
            Flags = flags,
            Environment = variables,
            WorkingFolder = Directory.GetCurrentDirectory(),
            HomeFolder = home,
        };
    }

    public string? Variable(string name) => Environment.GetValueOrDefault(name) is { Length: > 0 } value ? value : null;

    /// <summary>A path as a person writes it: <c>~</c> is the home folder, a relative one starts at the folder given.</summary>
    public string FullPath(string path, string relativeTo)
    {
        if (path == "~") return HomeFolder;
        if (path.StartsWith("~/", StringComparison.Ordinal)) return Path.GetFullPath(path[2..], HomeFolder);
        return Path.GetFullPath(path, Path.GetFullPath(relativeTo));
    }
}

/// <summary>One thing wrong, and where it was written: <c>file:line:column</c>, a variable's name or a flag.</summary>
internal sealed record ConfigFault(string Origin, string Message)
{
    public override string ToString() => $"{Origin}: {Message}";
}

/// <summary>
/// One value in force and where it came from: <c>default</c>, <c>file:line</c>, <c>environment NAME</c>, a flag, or <c>found</c> for a
/// credentials file.
/// </summary>
internal sealed record EffectiveValue(string Path, string Value, string Origin);

/// <summary>What loading gave. <see cref="Snapshot"/> is null exactly when there are faults.</summary>
internal sealed record ConfigurationResult
{
    public ProxySnapshot? Snapshot { get; init; }

    public IReadOnlyList<ConfigFault> Faults { get; init; } = [];

    public IReadOnlyList<EffectiveValue> Values { get; init; } = [];

    /// <summary>The configuration file in use; null when there is none.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>The files that decided this configuration, as they were when it was loaded.</summary>
    public WatchedInputs Inputs { get; init; } = new();
}
