using System.Globalization;
using System.Net;
using Npgsql;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Storage;

/// <summary>Where the database of a fleet is, read from a URL such as <c>postgres://user:password@host:5432/name?sslmode=verify-full</c>.</summary>
internal sealed class DatabaseAddress : IEquatable<DatabaseAddress>
{
    public const string Allowed = "a PostgreSQL URL, postgres://USER:PASSWORD@HOST:5432/NAME; a socket is named by ?host=/FOLDER";

    private static readonly string[] s_schemes = ["postgres://", "postgresql://"];
    private static readonly string[] s_parameters = ["host", "port", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"];

    private readonly Secret _url;

    private DatabaseAddress(Secret url, string shown, string connectionString)
    {
        _url = url;
        Shown = shown;
        ConnectionString = connectionString;
    }

    /// <summary>Host and name, without who asks: what a log line or a page may say.</summary>
    public string Shown { get; }

    /// <summary>For the driver; holds the password.</summary>
    internal string ConnectionString { get; }

    /// <summary>Null, with what is wrong with it, when the text is no such URL. The fault never holds the text: a password may stand in it.</summary>
    public static DatabaseAddress? Parse(Secret secret, out string? fault)
    {
        string text = secret.Reveal();
        string? scheme = Array.Find(s_schemes, s => text.StartsWith(s, StringComparison.OrdinalIgnoreCase));
        if (scheme is null)
        {
            fault = "it does not begin with postgres://";
            return null;
        }

        try
        {
            Dictionary<string, string> parts = Split(text[scheme.Length..]);
            string? unknown = parts.Keys.FirstOrDefault(k => k is not "dbname" && !s_parameters.Contains(k));
            fault = unknown is null ? null : $"its parameter {unknown} is not known here; known are {string.Join(", ", s_parameters)}";
            return unknown is null ? Of(secret, parts) : null;
        }
        catch (FormatException odd)
        {
            fault = odd.Message;
            return null;
        }
    }

    public bool Equals(DatabaseAddress? other) => other is not null && _url.Equals(other._url);

    public override bool Equals(object? obj) => Equals(obj as DatabaseAddress);

    public override int GetHashCode() => _url.GetHashCode();

    public override string ToString() => Shown;

    /// <summary>The members of the URL by libpq's names. Not read as a <see cref="Uri"/>, which knows no empty host and no escaped slash in one.</summary>
    private static Dictionary<string, string> Split(string rest)
    {
        Dictionary<string, string> parts = new(StringComparer.Ordinal);
        string query = Cut(ref rest, '?');
        string name = Cut(ref rest, '/');
        int at = rest.LastIndexOf('@');
        if (at >= 0)
        {
            string user = rest[..at];
            string password = Cut(ref user, ':');
            if (user.Length > 0) parts["user"] = Uri.UnescapeDataString(user);
            if (password.Length > 0) parts["password"] = Uri.UnescapeDataString(password);
        }

        string host = rest[(at + 1)..];
        int colon = host.LastIndexOf(':');
        if (colon > host.LastIndexOf(']'))
        {
            parts["port"] = host[(colon + 1)..];
            host = host[..colon];
        }

        if (host.Length > 0) parts["host"] = Uri.UnescapeDataString(host).Trim('[', ']');
        if (name.Length > 0) parts["dbname"] = Uri.UnescapeDataString(name);
        foreach (string pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string key = pair;
            string value = Cut(ref key, '=');
            parts[key] = Uri.UnescapeDataString(value);
        }

        return parts;
    }

    private static string Cut(ref string text, char at)
    {
        int index = text.IndexOf(at, StringComparison.Ordinal);
        if (index < 0) return "";
        string after = text[(index + 1)..];
        text = text[..index];
        return after;
    }

    private static DatabaseAddress Of(Secret secret, Dictionary<string, string> parts)
    {
        string host = parts.GetValueOrDefault("host") ?? throw new FormatException("it names no host");
        if (host.Contains(',', StringComparison.Ordinal)) throw new FormatException("it names several hosts; give the one name under which the server that writes is found");
        string name = parts.GetValueOrDefault("dbname") ?? throw new FormatException("it names no database after the host");
        NpgsqlConnectionStringBuilder settings = new()
        {
            Host = host,
            Port = PortOf(parts.GetValueOrDefault("port") ?? "5432"),
            Database = name,
            ApplicationName = parts.GetValueOrDefault("application_name") ?? "qwen-proxy",
            SslMode = ModeOf(parts.GetValueOrDefault("sslmode"), host),
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        // Setting null would write the word into the connection string.
        if (parts.GetValueOrDefault("user") is { } user) settings.Username = user;
        if (parts.GetValueOrDefault("password") is { } password) settings.Password = password;
        if (parts.GetValueOrDefault("sslrootcert") is { } root) settings.RootCertificate = root;
        if (parts.GetValueOrDefault("sslcert") is { } certificate) settings.SslCertificate = certificate;
        if (parts.GetValueOrDefault("sslkey") is { } key) settings.SslKey = key;
        return new DatabaseAddress(secret, $"{host}:{settings.Port}/{name}", settings.ConnectionString);
    }

    private static int PortOf(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and <= 65_535 ? port : throw new FormatException("its port is no number from 1 to 65535");

    /// <summary>
    /// What travels over a network is encrypted and the server's certificate checked, unless the URL says otherwise. What stays on this machine needs
    /// neither, and the certificate that a distribution makes for its server names no host.
    /// </summary>
    private static SslMode ModeOf(string? said, string host) => said switch
    {
        null => StaysHere(host) ? SslMode.Prefer : SslMode.VerifyFull,
        "disable" => SslMode.Disable,
        "allow" => SslMode.Allow,
        "prefer" => SslMode.Prefer,
        "require" => SslMode.Require,
        "verify-ca" => SslMode.VerifyCA,
        "verify-full" => SslMode.VerifyFull,
        _ => throw new FormatException("its sslmode is none of disable, allow, prefer, require, verify-ca, verify-full"),
    };

    private static bool StaysHere(string host) =>
        host.StartsWith('/') || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address));
}
