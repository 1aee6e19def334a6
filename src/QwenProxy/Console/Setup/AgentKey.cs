using QwenProxy.Configuration;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Console.Setup;

/// <summary>
/// Which client key an agent is given: the one that <c>--key</c> says, else <c>QWEN_PROXY_CLIENT_KEY</c>, else one of the configuration, else what a person
/// types. Of a key that <c>keys add</c> made only a hash is kept, so nobody but its owner can say it.
/// </summary>
internal sealed class AgentKey(Terminal terminal, ConfigurationSources sources)
{
    public const string Variable = "QWEN_PROXY_CLIENT_KEY";

    /// <summary>False, after saying why, when the proxy asks for a key and none is known. <paramref name="key"/> is null where it asks for none.</summary>
    public bool TryFind(ProxySnapshot snapshot, string agent, string? said, out string? key)
    {
        key = null;
        LoadContext context = new(sources);
        Secret? found = said is not null ? SecretReader.FromVariable(context, "--key", said)
            : sources.Variable(Variable) is { } variable ? SecretReader.FromVariable(context, Variable, variable)
            : null;
        if (context.Faults.Count > 0)
        {
            foreach (ConfigFault fault in context.Faults) terminal.Error.WriteLine(fault.ToString());
            return false;
        }

        key = found?.Reveal() ?? Configured(snapshot, agent);
        if (key is null && snapshot.AsksForKey && !TryAsk(out key)) return false;
        if (key is not null && snapshot.AsksForKey && !IsKnown(snapshot, key))
            terminal.Error.WriteLine("This key is none that the proxy of this configuration knows: it may answer 401.");
        return true;
    }

    /// <summary>A client named like the agent is meant for it. An admin's key opens more than an agent needs and comes last.</summary>
    private static string? Configured(ProxySnapshot snapshot, string agent) =>
        (snapshot.Clients.FirstOrDefault(c => c.Name == agent) ?? snapshot.Clients.OrderBy(c => c.IsAdmin).FirstOrDefault())?.Key.Reveal();

    private static bool IsKnown(ProxySnapshot snapshot, string key) =>
        snapshot.Clients.Any(c => c.Key.Matches(key)) || snapshot.Keys.Keys.Any(k => k.Hashes.Any(h => h.Matches(key)));

    private bool TryAsk(out string? key)
    {
        key = terminal.ReadSecret?.Invoke("Client key: ")?.Trim() is { Length: > 0 } typed ? typed : null;
        if (key is not null) return true;
        terminal.Error.WriteLine(
            $"The proxy asks for a client key, and this command knows none: of keys that `qwen-proxy keys add` made only a hash is kept. Set {Variable} to the key, "
            + "or say --key env:NAME, --key file:PATH or the key itself. Who has lost it makes a new one with `qwen-proxy keys rotate NAME`.");
        return false;
    }
}
