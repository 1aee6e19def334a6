namespace QwenProxy.Configuration;

/// <summary>What one load collects on its way: faults, values with their origin, and the files that decided.</summary>
internal sealed class LoadContext(ConfigurationSources sources)
{
    private readonly SortedSet<string> _watched = new(StringComparer.Ordinal);

    public ConfigurationSources Sources { get; } = sources;

    public List<ConfigFault> Faults { get; } = [];

    public List<EffectiveValue> Values { get; } = [];

    public IReadOnlyList<string> WatchedFiles => [.. _watched];

    /// <summary>The file's path; empty when there is none.</summary>
    public string File { get; set; } = "";

    /// <summary>Relative paths written in the file start at its own folder.</summary>
    public string FileFolder => File.Length == 0 ? Sources.WorkingFolder : Path.GetDirectoryName(File)!;

    public void Fault(string origin, string message) => Faults.Add(new ConfigFault(origin, message));

    public void Fault(string file, ConfigPosition place, string message) => Fault($"{file}:{place.Line}:{place.Column}", message);

    public void Fault(ConfigNode node, string message) => Fault(File, node.Position, message);

    public void Value(string path, string value, string origin) => Values.Add(new EffectiveValue(path, value, origin));

    public string LineOf(ConfigNode node) => $"{File}:{node.Position.Line}";

    /// <summary>Pipes and devices are left out: reading them again would take their content away, or wait for ever.</summary>
    public void Watch(string file)
    {
        if (file.StartsWith("/dev/", StringComparison.Ordinal) || file.StartsWith("/proc/", StringComparison.Ordinal)) return;
        _watched.Add(file);
    }

    /// <summary>Faults every key of an object that is not among the known ones.</summary>
    public void CheckKeys(ConfigNode node, string where, IReadOnlyCollection<string> known)
    {
        foreach (ConfigMember member in node.Members)
        {
            if (!known.Contains(member.Key))
                Fault(File, member.Position, $"unknown key \"{member.Key}\"{where}. {Spelling.Suggest(member.Key, known)}");
        }
    }

    /// <summary>The node if it has the kind wanted; null, with a fault, if it is another.</summary>
    public ConfigNode? Expect(ConfigNode? node, ConfigNodeKind kind, string path, string allowed)
    {
        if (node is null || node.Kind == kind) return node;
        Fault(node, $"{path} is {node.KindInWords}; it must be {allowed}");
        return null;
    }
}
