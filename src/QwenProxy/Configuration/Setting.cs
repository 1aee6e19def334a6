namespace QwenProxy.Configuration;

/// <summary>One plain value of the configuration: its path in the file, and the variable and flag that override it.</summary>
internal abstract record Setting(string Path)
{
    /// <summary>The environment variable; null where there is none.</summary>
    public string? Variable { get; init; }

    /// <summary>The flag as written, e.g. <c>--port</c>; null where there is none.</summary>
    public string? Flag { get; init; }

    public Func<ConfigurationFlags, string?> FlagValue { get; init; } = _ => null;

    /// <summary>Completes the sentence "… must be".</summary>
    public abstract string Allowed { get; }

    /// <summary>Reads every source, faults what does not parse in any of them, and puts the strongest good value into the snapshot.</summary>
    public abstract ProxySnapshot Resolve(LoadContext context, ConfigNode? root, ProxySnapshot snapshot);

    /// <summary>The node of this setting in a file.</summary>
    protected ConfigNode? FindIn(ConfigNode? root)
    {
        ConfigNode? node = root;
        foreach (string key in Path.Split('.')) node = node?.Find(key);
        return node;
    }
}

internal sealed record Setting<T>(string Path, ValueRule<T> Rule, Func<ProxySnapshot, T> Get, Func<ProxySnapshot, T, ProxySnapshot> With)
    : Setting(Path)
{
    /// <summary>Makes a path of the words absolute; what a file says is relative to the file, what a variable says to the working folder.</summary>
    public Func<T, ConfigurationSources, string, T>? Anchor { get; init; }

    public override string Allowed => Rule.Allowed;

    public override ProxySnapshot Resolve(LoadContext context, ConfigNode? root, ProxySnapshot snapshot)
    {
        (T Value, string Origin) best = (Get(snapshot), "default");
        if (FindIn(root) is { } node && TryNode(context, node, out T written))
            best = (Anchored(written, context, context.FileFolder), context.LineOf(node));
        if (Variable is { } name && context.Sources.Variable(name) is { } text && TryText(context, name, text, out T exported))
            best = (Anchored(exported, context, context.Sources.WorkingFolder), "environment " + name);
        if (Flag is not null && FlagValue(context.Sources.Flags) is { } said && TryText(context, Flag, said, out T flagged))
            best = (Anchored(flagged, context, context.Sources.WorkingFolder), "flag " + Flag);
        context.Value(Path, Rule.Format(best.Value), best.Origin);
        return With(snapshot, best.Value);
    }

    private T Anchored(T value, LoadContext context, string folder) => Anchor is null ? value : Anchor(value, context.Sources, folder);

    private bool TryNode(LoadContext context, ConfigNode node, out T value)
    {
        if (Rule.Kinds.Contains(node.Kind) && Rule.Read(node.Text, out value)) return true;
        string said = node.Kind is ConfigNodeKind.Object or ConfigNodeKind.Array ? node.KindInWords : Quote(node);
        context.Fault(node, $"{Path} is {said}; it must be {Allowed}");
        value = default!;
        return false;
    }

    private bool TryText(LoadContext context, string origin, string text, out T value)
    {
        if (Rule.Read(text, out value)) return true;
        context.Fault(origin, $"is {Quote(text)}; it must be {Allowed}{OneOrZero}");
        return false;
    }

    private string OneOrZero => typeof(T) == typeof(bool) ? ", 1 or 0" : "";

    private static string Quote(ConfigNode node) => node.Kind == ConfigNodeKind.Text ? Quote(node.Text) : node.Text;

    private static string Quote(string text) => typeof(T) == typeof(Uri) ? ValueRules.ShowRefusedUrl(text) : $"\"{text}\"";
}
