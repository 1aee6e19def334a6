using System.Collections.Immutable;

namespace QwenProxy.Configuration;

/// <summary>What one load collects on its way: faults, values with their origin, and the files that decided.</summary>
internal sealed class LoadContext(ConfigurationSources sources)
{
    private readonly ImmutableSortedDictionary<string, string>.Builder _watched =
        ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);

    public ConfigurationSources Sources { get; } = sources;

    public List<ConfigFault> Faults { get; } = [];

    public List<EffectiveValue> Values { get; } = [];

    public ImmutableSortedDictionary<string, string> WatchedFiles => _watched.ToImmutable();

    /// <summary>The credentials files that were found and taken as accounts.</summary>
    public ImmutableArray<string> CredentialsFiles { get; set; } = [];

    /// <summary>The file's path; empty when there is none.</summary>
    public string File { get; set; } = "";

    /// <summary>Relative paths written in the file start at its own folder.</summary>
    public string FileFolder => File.Length == 0 ? Sources.WorkingFolder : Path.GetDirectoryName(File)!;

    public void Fault(string origin, string message) => Faults.Add(new ConfigFault(origin, message));

    public void Fault(string file, ConfigPosition place, string message) => Fault($"{file}:{place.Line}:{place.Column}", message);

    public void Fault(ConfigNode node, string message) => Fault(File, node.Position, message);

    public void Value(string path, string value, string origin) => Values.Add(new EffectiveValue(path, value, origin));

    public string LineOf(ConfigNode node) => $"{File}:{node.Position.Line}";

    /// <summary>
    /// Notes what a file held when it was read. Pipes and devices are left out: a second read would find them empty, or wait for ever.
    /// </summary>
    public void Watch(string file, ReadOnlySpan<byte> content) => Watch(file, WatchedInputs.MarkOf(content));

    /// <summary>Notes a file that could not be read, or was not there.</summary>
    public void Watch(string file)
    {
        if (!IsDevice(file)) Watch(file, WatchedInputs.MarkOf(file));
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

    /// <summary>A number that keeps to the rule; null, after a fault, if it does not, and null when it is not there.</summary>
    public T? Number<T>(ConfigNode? node, string path, ValueRule<T> rule)
        where T : struct
    {
        if (node is null) return null;
        if (node.Kind != ConfigNodeKind.Number || !rule.Read(node.Text, out T value))
        {
            Fault(node, $"{path} is {(node.Kind == ConfigNodeKind.Number ? node.Text : node.KindInWords)}; it must be {rule.Allowed}");
            return null;
        }

        Value(path, node.Text, LineOf(node));
        return value;
    }

    private void Watch(string file, string mark)
    {
        if (!IsDevice(file)) _watched[file] = mark;
    }

    private static bool IsDevice(string file) =>
        file.StartsWith("/dev/", StringComparison.Ordinal) || file.StartsWith("/proc/", StringComparison.Ordinal);
}
