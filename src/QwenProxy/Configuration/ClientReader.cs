using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Clients;

namespace QwenProxy.Configuration;

/// <summary>Reads the keys that clients must show: the list <c>clients</c> of the file and the variable QWEN_PROXY_KEYS, which add up.</summary>
internal sealed class ClientReader(LoadContext context)
{
    public const string Variable = "QWEN_PROXY_KEYS";

    public static readonly string[] Keys = ["name", "key", "admin", "models", "expires", "requestsPerMinute", "concurrent", "tokensPerDay", "usdPerMonth", "priority"];

    private readonly List<ClientSnapshot> _clients = [];

    /// <summary>True when a key was written anywhere, good or not: a fault in it must not read as an open door.</summary>
    public bool AnyWritten { get; private set; }

    public ImmutableArray<ClientSnapshot> Read(ConfigNode? node)
    {
        if (context.Expect(node, ConfigNodeKind.Array, "clients", "a list, [ { \"name\": …, \"key\": … } ]") is { } list)
        {
            for (int i = 0; i < list.Items.Count; i++) ReadOne(list.Items[i], i);
        }

        ReadVariable();
        return [.. _clients];
    }

    private void ReadOne(ConfigNode node, int index)
    {
        AnyWritten = true;
        string path = $"clients[{index}]";
        if (context.Expect(node, ConfigNodeKind.Object, path, "an object, { \"name\": …, \"key\": … }") is null) return;
        context.CheckKeys(node, " in " + path, Keys);
        foreach (string needed in ((string[])["name", "key"]).Where(k => node.Find(k) is null))
            context.Fault(node, $"{path} has no {needed}; a client needs a name and a key");
        string? name = context.Expect(node.Find("name"), ConfigNodeKind.Text, path + ".name", "a name")?.Text;
        if (name is not null && !AccountReader.IsName(name))
            context.Fault(node.Find("name")!, $"{path}.name is \"{name}\"; it must be a name of letters, digits, '-', '_' and '.'");
        bool isAdmin = context.Expect(node.Find("admin"), ConfigNodeKind.Boolean, path + ".admin", "true or false") is { Text: "true" };
        Secret? key = SecretReader.FromNode(context, node.Find("key"), name is null ? path + ".key" : $"clients.{name}.key");
        if (isAdmin) context.Value($"clients.{name}.admin", "true", context.LineOf(node.Find("admin")!));
        ClientLimits limits = ReadLimits(node, name is null ? path : "clients." + name);
        if (name is not null && key is not null)
            Add(new ClientSnapshot(name, key, isAdmin) { Limits = limits }, $"{context.File}:{node.Position.Line}:{node.Position.Column}");
    }

    private ClientLimits ReadLimits(ConfigNode node, string path) => new()
    {
        Models = ListReader.ReadModels(context, node.Find("models"), path + ".models"),
        Expires = ReadExpiry(node.Find("expires"), path + ".expires"),
        RequestsPerMinute = context.Number(node.Find("requestsPerMinute"), path + ".requestsPerMinute", LimitRules.RequestsPerMinute),
        Concurrent = context.Number(node.Find("concurrent"), path + ".concurrent", LimitRules.Concurrent),
        TokensPerDay = context.Number(node.Find("tokensPerDay"), path + ".tokensPerDay", LimitRules.TokensPerDay),
        UsdPerMonth = context.Number(node.Find("usdPerMonth"), path + ".usdPerMonth", LimitRules.UsdPerMonth),
        Priority = context.Number(node.Find("priority"), path + ".priority", LimitRules.Priority) ?? 0,
    };

    /// <summary>A moment, not a span: a file has no now from which to count.</summary>
    private DateTimeOffset? ReadExpiry(ConfigNode? node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Text, path, ExpiryText.AllowedTime) is not { } text) return null;
        context.Value(path, text.Text, context.LineOf(text));
        if (ExpiryText.TryReadTime(text.Text, TimeZoneInfo.Local, out DateTimeOffset expires)) return expires;
        context.Fault(text, $"{path} is \"{text.Text}\"; it must be {ExpiryText.AllowedTime}");
        return null;
    }

    private void ReadVariable()
    {
        if (context.Sources.Variable(Variable) is not { } text) return;
        AnyWritten = true;
        string[] keys = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (keys.Length == 0) context.Fault(Variable, "holds no key; it must be one or more keys with commas between them");
        for (int i = 0; i < keys.Length; i++)
        {
            string name = $"key{i + 1}";
            context.Value($"clients.{name}.key", "***", "environment " + Variable);
            if (SecretReader.FromVariable(context, Variable, keys[i]) is { } key) Add(new ClientSnapshot(name, key), Variable);
        }
    }

    /// <summary>Two clients of one name or one key could not be told apart in the ledger.</summary>
    private void Add(ClientSnapshot client, string origin)
    {
        if (_clients.Exists(c => c.Name == client.Name))
            context.Fault(origin, $"the client name \"{client.Name}\" is used twice; each client needs its own");
        else if (_clients.Find(c => c.Key.Equals(client.Key)) is { } other)
            context.Fault(origin, $"the key of client \"{client.Name}\" is also that of \"{other.Name}\"; each client needs its own");
        else
            _clients.Add(client);
    }
}
