using System.Security.Cryptography;

namespace QwenProxy.Credentials;

/// <summary>What one broker is told at its start.</summary>
internal sealed record TokenBrokerOptions
{
    /// <summary>The account's name, for messages.</summary>
    public required string AccountName { get; init; }

    /// <summary>The file; empty with a <see cref="Store"/>.</summary>
    public string CredentialsPath { get; init; } = "";

    /// <summary>Where the sign-in is kept when that is no file.</summary>
    public ICredentialsStore? Store { get; init; }

    /// <summary>Used while <see cref="CredentialsPath"/> does not exist; a login that appears there takes over without restart.</summary>
    public string? FallbackPath { get; init; }

    /// <summary>The command that signs this account in again.</summary>
    public string LoginCommand { get; init; } = "qwen-proxy login";

    public Uri OAuthBaseUrl { get; init; } = new("https://chat.qwen.ai");

    /// <summary>Hosts besides the service's own that a <c>resource_url</c> may name.</summary>
    public IReadOnlyCollection<string> AllowedHosts { get; init; } = [];

    /// <summary>REQUEST_TIMEOUT_SECONDS: the longest a caller waits for a refresh. The refresh itself goes on.</summary>
    public TimeSpan RequestBound { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>True when the folder is the proxy's (or qwen-code's) own and may be narrowed to its owner.</summary>
    public bool FolderIsOurs { get; init; }

    public DurableFiles Files { get; init; } = new();

    /// <summary>Unique texts: lock bodies, names of temporary files, request ids.</summary>
    public Func<string> NewId { get; init; } = RandomId;

    /// <summary>A random id in the form other programs put into the lock file (a UUID).</summary>
    public static string RandomId() => new Guid(RandomNumberGenerator.GetBytes(16)).ToString();
}
