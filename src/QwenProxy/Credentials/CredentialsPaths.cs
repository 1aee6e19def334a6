namespace QwenProxy.Credentials;

/// <summary>
/// Where sign-ins live: <c>qwenproxy_creds.json</c> and <c>qwenproxy_creds_NAME.json</c> in the Qwen folder, and qwen-code's own file beside
/// them.
/// </summary>
internal static class CredentialsPaths
{
    public const string OwnFile = "qwenproxy_creds.json";
    public const string SharedFile = "oauth_creds.json";

    private const string NamedPrefix = "qwenproxy_creds_";
    private const string Suffix = ".json";
    private const int LongestName = 64;

    /// <summary>The file that <c>login [NAME]</c> writes. <paramref name="name"/> must have passed <see cref="NameFault"/>.</summary>
    public static string For(string qwenHome, string? name) => Path.Combine(qwenHome, name is null ? OwnFile : NamedPrefix + name + Suffix);

    /// <summary>
    /// The file of the unnamed account when there is no own one: another program's login, adopted in place. Named accounts have none.
    /// </summary>
    public static string? FallbackFor(string qwenHome, string? name) => name is null ? Path.Combine(qwenHome, SharedFile) : null;

    /// <summary>The command that signs this account in.</summary>
    public static string LoginCommand(string? name) => name is null ? "qwen-proxy login" : $"qwen-proxy login {name}";

    /// <summary>Null when the name can be part of a file name; else what is wrong with it.</summary>
    public static string? NameFault(string name)
    {
        if (name.Length is 0 or > LongestName) return $"an account name has 1 to {LongestName} characters";
        bool plain = name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && name[0] != '.';
        return plain ? null : "an account name has only letters, digits, '-', '_' and '.', and does not begin with '.'";
    }

    /// <summary>The sign-ins found in the folder: the unnamed one first (if any file serves it), then the named ones by name.</summary>
    public static IReadOnlyList<(string? Name, string Path)> Find(string qwenHome)
    {
        List<(string? Name, string Path)> found = [];
        string own = Path.Combine(qwenHome, OwnFile);
        string shared = Path.Combine(qwenHome, SharedFile);
        if (File.Exists(own)) found.Add((null, own));
        else if (File.Exists(shared)) found.Add((null, shared));
        if (!Directory.Exists(qwenHome)) return found;
        found.AddRange(Directory.EnumerateFiles(qwenHome, NamedPrefix + "*" + Suffix)
            .Select(path => (Name: (string?)Path.GetFileName(path)[NamedPrefix.Length..^Suffix.Length], Path: path))
            .Where(f => NameFault(f.Name!) is null)
            .OrderBy(f => f.Name, StringComparer.Ordinal));
        return found;
    }
}
