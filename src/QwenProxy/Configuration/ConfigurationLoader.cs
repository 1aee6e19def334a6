using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Configuration;

/// <summary>
/// Puts the configuration together: flags over environment over file over defaults. It never stops at the first fault; a person who has
/// to mend three things reads of all three.
/// </summary>
internal sealed class ConfigurationLoader
{
    private static readonly string[] s_listKeys = ["$schema", "accounts", "models", "clients", "quirks", "allowedHosts", "allowedOrigins", "allowedOAuthHosts"];

    private readonly LoadContext _context;

    private ConfigurationLoader(LoadContext context) => _context = context;

    /// <summary>Every key the root of the file may have.</summary>
    public static ImmutableArray<string> RootKeys { get; } = [.. s_listKeys, .. SettingTable.RootKeys, .. SettingTable.Sections.Keys.Order()];

    public static ConfigurationResult Load(ConfigurationSources sources)
    {
        ArgumentNullException.ThrowIfNull(sources);
        LoadContext context = new(sources);
        return new ConfigurationLoader(context).Load();
    }

    private ConfigurationResult Load()
    {
        ConfigNode? root = new ConfigFileFinder(_context).Read();
        if (root is not null) CheckShape(root);
        ProxySnapshot snapshot = new() { Storage = Defaults() };
        foreach (Setting setting in SettingTable.All) snapshot = setting.Resolve(_context, root, snapshot);
        snapshot = ReadAccounts(root, snapshot);
        ClientReader clients = new(_context);
        snapshot = snapshot with
        {
            Models = new ModelsReader(_context).Read(root?.Find("models")),
            Clients = clients.Read(root?.Find("clients")),
            Keys = KeyFile.Read(snapshot.Storage, _context),
            Repair = snapshot.Repair with { DisabledQuirks = ReadQuirks(root?.Find("quirks")) },
            AllowedHosts = ReadNames(root, "allowedHosts", "a list of host names without a port, [\"proxy.example.com\"]", HostName),
            AllowedOrigins = ReadNames(root, "allowedOrigins", "a list of origins, [\"https://app.example.com\"]; a scheme, a host and a port if it is not the scheme's own", Origin),
            AllowedOAuthHosts = ReadNames(root, "allowedOAuthHosts", "a list of host names, [\"portal.example.com\"]", HostName),
        };

        // A file that could not be read may hold keys; to say that there are none would be a guess.
        if (root is not null || _context.File.Length == 0) CheckAddress(root, snapshot, clients.AnyWritten);
        snapshot = snapshot with { ConfigFile = _context.File.Length == 0 ? null : _context.File, Fingerprint = FingerprintOf(_context.Values) };
        return new ConfigurationResult
        {
            Snapshot = _context.Faults.Count == 0 ? snapshot : null,
            Faults = _context.Faults,
            Values = _context.Values,
            ConfigFile = _context.File.Length == 0 ? null : _context.File,
            Inputs = new WatchedInputs
            {
                Files = _context.WatchedFiles,
                CredentialsFolder = snapshot.AccountsWereDiscovered ? snapshot.Storage.QwenHome : null,
                CredentialsFiles = _context.CredentialsFiles,
            },
        };
    }

    /// <summary>Values are shown ones, with secrets as <c>***</c>.</summary>
    private static string FingerprintOf(IEnumerable<EffectiveValue> values)
    {
        string text = string.Join('\n', values.Where(v => v.Path is not ("host" or "port" or "debug")).Select(v => $"{v.Path}={v.Value}").Order(StringComparer.Ordinal));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
    }

    private StorageSnapshot Defaults()
    {
        ConfigurationSources sources = _context.Sources;
        string data = sources.Variable("XDG_DATA_HOME") is { } xdg && Path.IsPathRooted(xdg)
            ? xdg
            : Path.Combine(sources.HomeFolder, ".local", "share");
        return new StorageSnapshot
        {
            DataFolder = Path.Combine(data, "qwen-proxy"),
            QwenHome = Path.Combine(sources.HomeFolder, ".qwen"),
        };
    }

    private void CheckShape(ConfigNode root)
    {
        _context.CheckKeys(root, "", RootKeys);
        _context.Expect(root.Find("$schema"), ConfigNodeKind.Text, "$schema", "a text");
        foreach ((string section, ImmutableArray<string> keys) in SettingTable.Sections)
        {
            if (_context.Expect(root.Find(section), ConfigNodeKind.Object, section, "an object, { … }") is { } node)
                _context.CheckKeys(node, " in " + section, keys);
        }
    }

    private ProxySnapshot ReadAccounts(ConfigNode? root, ProxySnapshot snapshot)
    {
        string qwenHome = snapshot.Storage.QwenHome;
        ImmutableArray<AccountSnapshot> active = [];
        ImmutableArray<AccountSnapshot> disabled = [];
        ConfigNode? list = _context.Expect(root?.Find("accounts"), ConfigNodeKind.Array, "accounts", "a list, [ { \"name\": … } ]");
        if (list is not null) (active, disabled) = new AccountReader(_context, snapshot.Storage).Read(list);
        bool isDiscovered = list is null || list.Items.Count == 0;
        ImmutableArray<AccountSnapshot> found = new DiscoveredAccounts(_context, snapshot.Storage.Database is null ? qwenHome : null).Find(isDiscovered);
        return snapshot with
        {
            Accounts = isDiscovered ? found : active,
            DisabledAccounts = disabled,
            AccountsWereDiscovered = isDiscovered,
        };
    }

    private ImmutableHashSet<string> ReadQuirks(ConfigNode? node)
    {
        HashSet<string> off = [];
        if (_context.Expect(node, ConfigNodeKind.Object, "quirks", "an object, { \"rule-id\": \"off\" }") is not { } map) return [];
        if (_context.Sources.KnownQuirks is { } known) _context.CheckKeys(map, " in quirks", known);
        foreach (ConfigMember member in map.Members)
        {
            string path = "quirks." + member.Key;
            if (_context.Expect(member.Value, ConfigNodeKind.Text, path, "on or off") is not { } text) continue;
            if (text.Text is not ("on" or "off")) _context.Fault(text, $"{path} is \"{text.Text}\"; it must be on or off");
            if (text.Text == "off") off.Add(member.Key);
            _context.Value(path, text.Text, _context.LineOf(text));
        }

        return [.. off];
    }

    /// <param name="read">A name in the one form it is compared in; null when it is none.</param>
    private ImmutableArray<string> ReadNames(ConfigNode? root, string key, string allowed, Func<string, string?> read)
    {
        if (_context.Expect(root?.Find(key), ConfigNodeKind.Array, key, allowed) is not { } list) return [];
        List<string> names = [];
        foreach (ConfigNode item in list.Items)
        {
            string said = item.Kind == ConfigNodeKind.Text ? $"\"{item.Text}\"" : item.KindInWords;
            if (item.Kind == ConfigNodeKind.Text && read(item.Text) is { } name) names.Add(name);
            else _context.Fault(item, $"{key} holds {said}; it must be {allowed}");
        }

        _context.Value(key, string.Join(", ", names), _context.LineOf(list));
        return [.. names];
    }

    private static string? HostName(string text) => Uri.CheckHostName(text) == UriHostNameType.Unknown ? null : text.ToLowerInvariant();

    /// <summary>As a browser writes it: lower case, no path, no port that goes without saying. Applications have schemes of their own.</summary>
    private static string? Origin(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? url) || url.Host.Length == 0 || url.AbsolutePath is not ("/" or "") || url.Query.Length + url.Fragment.Length + url.UserInfo.Length > 0) return null;
        return $"{url.Scheme}://{url.Authority}".ToLowerInvariant();
    }

    /// <summary>An address that others can reach, without any key, would lend the accounts to the whole network.</summary>
    private void CheckAddress(ConfigNode? root, ProxySnapshot snapshot, bool anyKeyWritten)
    {
        // The keys of a fleet stand in its database; while there are none, a proxy that others can reach lets nobody in.
        if (!snapshot.IsReachable || anyKeyWritten || snapshot.AsksForKey || !_context.Sources.ChecksAddress) return;
        string message = $"host {snapshot.Host} can be reached from other machines, and no client key is set: " +
            "anybody there could use your accounts. " +
            $"Run `qwen-proxy keys add NAME`, set {ClientReader.Variable}, write \"clients\" in the configuration file, or listen on 127.0.0.1";
        string origin = _context.Values.First(v => v.Path == "host").Origin;
        if (origin.StartsWith("flag ", StringComparison.Ordinal)) _context.Fault("--host", message);
        else if (origin.StartsWith("environment ", StringComparison.Ordinal)) _context.Fault("HOST", message);
        else _context.Fault(root!.Find("host")!, message);
    }
}
