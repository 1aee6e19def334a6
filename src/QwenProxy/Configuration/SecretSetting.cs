using QwenProxy.Core.Accounts;

namespace QwenProxy.Configuration;

/// <summary>A plain setting that is never shown: literal, <c>env:NAME</c> or <c>file:PATH</c>, in the file and in its variable.</summary>
/// <param name="With">Puts the secret into the snapshot; null, with the reason, when it is not what is wanted. No reason holds the secret.</param>
internal sealed record SecretSetting(string Path, string What, Func<ProxySnapshot, Secret, (ProxySnapshot? Snapshot, string? Fault)> With) : Setting(Path)
{
    public override string Allowed => $"{What}, env:NAME or file:PATH";

    public override ProxySnapshot Resolve(LoadContext context, ConfigNode? root, ProxySnapshot snapshot)
    {
        string origin = "";
        Secret? secret = null;
        if (FindIn(root) is { } node)
        {
            origin = $"{context.File}:{node.Position.Line}:{node.Position.Column}";
            secret = SecretReader.FromNode(context, node, Path);
        }

        if (Variable is { } name && context.Sources.Variable(name) is { } text)
        {
            origin = name;
            secret = SecretReader.FromVariable(context, name, text, Path);
            context.Values.RemoveAll(v => v.Path == Path);
            context.Value(Path, "***", "environment " + name);
        }

        if (secret is null) return snapshot;
        (ProxySnapshot? changed, string? fault) = With(snapshot, secret);
        if (changed is null) context.Fault(origin, $"{Path} cannot be used: {fault}; it must be {Allowed}");
        return changed ?? snapshot;
    }
}
