using System.Collections.Immutable;
using QwenProxy.Core.Accounts;
using QwenProxy.Core.Catalogue;
using QwenProxy.Storage;

namespace QwenProxy.Configuration;

/// <summary>Reads the list <c>accounts</c> of the file.</summary>
internal sealed class AccountReader(LoadContext context, StorageSnapshot storage)
{
    public static readonly string[] Keys =
        ["name", "kind", "baseUrl", "apiKey", "credentials", "profile", "models", "priority", "maxConcurrent", "quota", "headers", "native", "disabled"];

    /// <summary>Headers that frame the message or name its addressee; a wrong one would break the request or lead it astray.</summary>
    private static readonly string[] s_refusedHeaders =
        ["host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"];

    private static readonly ValueRule<int> s_priority = ValueRules.Integer(-1000, 1000);
    private static readonly ValueRule<int> s_maxConcurrent = ValueRules.Integer(1, 1_000_000);

    private readonly Dictionary<string, int> _lineOfName = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The accounts, and those written as disabled. A faulty account is left out, after its faults were told.</summary>
    public (ImmutableArray<AccountSnapshot> Active, ImmutableArray<AccountSnapshot> Disabled) Read(ConfigNode list)
    {
        List<AccountSnapshot> active = [];
        List<AccountSnapshot> disabled = [];
        for (int i = 0; i < list.Items.Count; i++)
        {
            ConfigNode node = list.Items[i];
            if (context.Expect(node, ConfigNodeKind.Object, $"accounts[{i}]", "an object, { \"name\": …, \"baseUrl\": … }") is null) continue;
            context.CheckKeys(node, $" in accounts[{i}]", Keys);
            bool isDisabled = ReadBoolean(node.Find("disabled"), $"accounts[{i}].disabled");
            if (ReadOne(node, i) is { } account) (isDisabled ? disabled : active).Add(account);
        }

        return ([.. active], [.. disabled]);
    }

    private AccountSnapshot? ReadOne(ConfigNode node, int index)
    {
        string? name = ReadName(node, index);
        string path = name is null ? $"accounts[{index}]" : "accounts." + name;
        AccountKind kind = ReadKind(node.Find("kind"), path);
        Uri? baseUrl = ReadUrl(node.Find("baseUrl"), path + ".baseUrl");
        UpstreamProfile? profile = ReadProfile(node.Find("profile"), path + ".profile");
        ImmutableArray<string> models = ListReader.ReadModels(context, node.Find("models"), path + ".models");
        int priority = context.Number(node.Find("priority"), path + ".priority", s_priority) ?? 0;
        int? maxConcurrent = context.Number(node.Find("maxConcurrent"), path + ".maxConcurrent", s_maxConcurrent);
        ImmutableArray<KeyValuePair<string, string>> headers = ReadHeaders(node.Find("headers"), path + ".headers");
        NativeMode native = ReadNative(node.Find("native"), path + ".native");
        Secret? key = kind == AccountKind.ApiKey ? SecretReader.FromNode(context, node.Find("apiKey"), path + ".apiKey") : null;
        string? credentials = kind == AccountKind.QwenOAuth ? ReadCredentials(node.Find("credentials"), name, path) : null;
        CheckKind(node, kind, path);
        if (name is null || (kind == AccountKind.ApiKey && baseUrl is null)) return null;
        profile ??= kind == AccountKind.QwenOAuth ? Profiles.QwenPortal : Profiles.FromBaseUrl(baseUrl!);
        if (node.Find("profile") is null) context.Value(path + ".profile", profile.Name, "default");
        Core.Quotas.QuotaSettings? quota = new QuotaReader(context).Read(node.Find("quota"), profile, path + ".quota");
        return new AccountSnapshot
        {
            Name = name,
            Kind = kind,
            BaseUrl = baseUrl,
            Profile = profile,
            ApiKey = key,
            KeyFile = key is null ? null : SecretReader.FileOfNode(context, node.Find("apiKey")),
            CredentialsPath = credentials,
            Models = models,
            Priority = priority,
            MaxConcurrent = maxConcurrent,
            Quota = quota,
            Headers = headers,
            Native = native,
        };
    }

    /// <summary>
    /// A name stands before the slash of <c>account/model</c>, in a header and in file names: it holds none of their special characters.
    /// </summary>
    private string? ReadName(ConfigNode account, int index)
    {
        const string allowed = "a name of letters, digits, '-', '_' and '.'";
        string path = $"accounts[{index}].name";
        if (account.Find("name") is not { } node)
        {
            context.Fault(account, $"accounts[{index}] has no name; it must have \"name\", {allowed}");
            return null;
        }

        if (context.Expect(node, ConfigNodeKind.Text, path, allowed) is null) return null;
        string name = node.Text;
        if (!IsName(name))
            context.Fault(node, $"{path} is \"{name}\"; it must be {allowed}");
        else if (!_lineOfName.TryAdd(name, node.Position.Line))
            context.Fault(node, $"{path} is \"{name}\", the name of the account in line {_lineOfName[name]}; each account needs its own");
        else
            return name;
        return null;
    }

    public static bool IsName(string name) => name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private AccountKind ReadKind(ConfigNode? node, string path)
    {
        const string allowed = "api-key or qwen-oauth";
        if (context.Expect(node, ConfigNodeKind.Text, path + ".kind", allowed) is not { } text) return AccountKind.ApiKey;
        context.Value(path + ".kind", text.Text, context.LineOf(text));
        if (text.Text == "qwen-oauth") return AccountKind.QwenOAuth;
        if (text.Text != "api-key") context.Fault(text, $"{path}.kind is \"{text.Text}\"; it must be {allowed}");
        return AccountKind.ApiKey;
    }

    private void CheckKind(ConfigNode account, AccountKind kind, string path)
    {
        if (kind == AccountKind.ApiKey && account.Find("baseUrl") is null)
            context.Fault(account, $"{path} has no baseUrl; an account with an API key needs {ValueRules.Url.Allowed}");
        if (kind == AccountKind.ApiKey && account.Find("credentials") is { } unused)
            context.Fault(unused, $"{path}.credentials is only for \"kind\": \"qwen-oauth\"");
        if (kind == AccountKind.QwenOAuth && account.Find("credentials") is null && storage is { Database: not null, SecretKeys: null })
            context.Fault(account, $"{path} signs in, and its tokens are kept in storage.database: that needs storage.secretKey, which must be {SealingKeys.Allowed}");
        if (kind == AccountKind.QwenOAuth && account.Find("apiKey") is { } key)
            context.Fault(key, $"{path}.apiKey is only for \"kind\": \"api-key\"; an OAuth account has credentials");
    }

    private Uri? ReadUrl(ConfigNode? node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Text, path, ValueRules.Url.Allowed) is not { } text) return null;
        if (!ValueRules.Url.Read(text.Text, out Uri url))
        {
            context.Fault(text, $"{path} is {ValueRules.ShowRefusedUrl(text.Text)}; it must be {ValueRules.Url.Allowed}");
            return null;
        }

        context.Value(path, ValueRules.Url.Format(url), context.LineOf(text));
        return url;
    }

    private UpstreamProfile? ReadProfile(ConfigNode? node, string path)
    {
        string[] names = [.. Profiles.All.Select(p => p.Name)];
        if (context.Expect(node, ConfigNodeKind.Text, path, "one of " + string.Join(", ", names)) is not { } text) return null;
        context.Value(path, text.Text, context.LineOf(text));
        UpstreamProfile? profile = Profiles.ByName(text.Text);
        if (profile is null) context.Fault(text, $"{path} is \"{text.Text}\", which is no profile. {Spelling.Suggest(text.Text, names)}");
        return profile;
    }

    private ImmutableArray<KeyValuePair<string, string>> ReadHeaders(ConfigNode? node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Object, path, "an object of header names and values") is not { } map) return [];
        List<KeyValuePair<string, string>> headers = [];
        foreach (ConfigMember member in map.Members)
        {
            if (!IsHeaderName(member.Key))
                context.Fault(context.File, member.Position, $"\"{member.Key}\" in {path} is no header name");
            else if (s_refusedHeaders.Contains(member.Key, StringComparer.OrdinalIgnoreCase))
                context.Fault(context.File, member.Position, $"\"{member.Key}\" in {path} is set by the proxy itself and cannot be overridden");
            else if (ReadHeaderValue(member, path) is { } value)
                headers.Add(new(member.Key, value));
        }

        return [.. headers];
    }

    /// <summary>
    /// A header may carry a key, so its value may be <c>env:</c> or <c>file:</c> and is never shown; unlike a key it may hold spaces.
    /// </summary>
    private string? ReadHeaderValue(ConfigMember member, string path)
    {
        string name = $"{path}.{member.Key}";
        ConfigNode value = member.Value;
        if (value.Kind == ConfigNodeKind.Text && !value.Text.StartsWith("env:", StringComparison.Ordinal)
            && !value.Text.StartsWith("file:", StringComparison.Ordinal))
        {
            context.Value(name, "***", context.LineOf(value));
            if (value.Text.All(c => c is >= ' ' and <= '~')) return value.Text;
            context.Fault(value, $"{name} holds a character that no header can carry");
            return null;
        }

        return SecretReader.FromNode(context, value, name)?.Reveal();
    }

    private static bool IsHeaderName(string name) =>
        name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));

    private string? ReadCredentials(ConfigNode? node, string? name, string path)
    {
        if (node is null)
        {
            // Where `login NAME` keeps it: with a database a row, whose path is null, else a file.
            if (name is null || storage.Database is not null) return null;
            string own = Path.Combine(storage.QwenHome, $"qwenproxy_creds_{name}.json");
            context.Value(path + ".credentials", own, "default");
            return own;
        }

        if (context.Expect(node, ConfigNodeKind.Text, path + ".credentials", "a path") is null) return null;
        string file = context.Sources.FullPath(node.Text, context.FileFolder);
        context.Value(path + ".credentials", file, context.LineOf(node));
        return file;
    }

    private NativeMode ReadNative(ConfigNode? node, string path)
    {
        const string allowed = "\"auto\", true or false";
        if (node is null) return NativeMode.Auto;
        NativeMode? mode = node.Kind switch
        {
            ConfigNodeKind.Boolean => node.Text == "true" ? NativeMode.Always : NativeMode.Never,
            ConfigNodeKind.Text when node.Text == "auto" => NativeMode.Auto,
            _ => null,
        };
        if (mode is null) context.Fault(node, $"{path} is {(node.Kind == ConfigNodeKind.Text ? $"\"{node.Text}\"" : node.KindInWords)}; it must be {allowed}");
        else context.Value(path, node.Text, context.LineOf(node));
        return mode ?? NativeMode.Auto;
    }

    private bool ReadBoolean(ConfigNode? node, string path) =>
        context.Expect(node, ConfigNodeKind.Boolean, path, "true or false") is { Text: "true" };
}
