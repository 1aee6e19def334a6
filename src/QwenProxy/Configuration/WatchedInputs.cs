using System.Collections.Immutable;
using System.Security.Cryptography;

namespace QwenProxy.Configuration;

/// <summary>
/// The files that decided a configuration, each with a mark of the content that was read, so that "has anything changed since?" is asked against
/// what was loaded and not against what a later look found.
/// </summary>
internal sealed record WatchedInputs
{
    private const string Absent = "absent";

    /// <summary>What is larger than this is no configuration; its size stands for its content.</summary>
    private const long LargestHashedBytes = 4 * 1024 * 1024;

    /// <summary>Marks by path; files that were looked for and not found are among them.</summary>
    public ImmutableSortedDictionary<string, string> Files { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>A folder in which a new credentials file would become an account; null when accounts are written in a file.</summary>
    public string? CredentialsFolder { get; init; }

    /// <summary>The names found there. Only names: what is inside is the business of whoever signs in, and changes with every refresh.</summary>
    public ImmutableArray<string> CredentialsFiles { get; init; } = [];

    public static string MarkOf(ReadOnlySpan<byte> content) => Convert.ToHexString(SHA256.HashData(content));

    /// <summary>The mark of a file as it is now.</summary>
    public static string MarkOf(string file)
    {
        try
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return stream.Length > LargestHashedBytes ? "size " + stream.Length : Convert.ToHexString(SHA256.HashData(stream));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e is FileNotFoundException or DirectoryNotFoundException ? Absent : "unreadable";
        }
    }

    /// <summary>Credentials files that count as accounts, in the order in which they do. A folder that may not be listed holds none for us.</summary>
    public static ImmutableArray<string> FindCredentials(string? folder)
    {
        if (folder is null || !Directory.Exists(folder)) return [];
        try
        {
            string[] named = [.. Directory.EnumerateFiles(folder, DiscoveredAccounts.NamedCredentialsPattern).Select(f => Path.GetFileName(f))];
            IEnumerable<string> all =
                [DiscoveredAccounts.OwnCredentials, .. named.Order(StringComparer.Ordinal), DiscoveredAccounts.QwenCodeCredentials];
            return [.. all.Where(name => File.Exists(Path.Combine(folder, name)))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The same inputs as they are at this moment.</summary>
    public WatchedInputs Look() => this with
    {
        Files = Files.Keys.ToImmutableSortedDictionary(f => f, MarkOf, StringComparer.Ordinal),
        CredentialsFiles = FindCredentials(CredentialsFolder),
    };

    /// <summary>These inputs and those of a failed attempt together: the attempt may name a file that is still to appear.</summary>
    public WatchedInputs And(WatchedInputs other) => this with
    {
        Files = Files.SetItems(other.Files),
        CredentialsFiles = CredentialsFolder == other.CredentialsFolder ? other.CredentialsFiles : CredentialsFiles,
    };

    public bool IsSameAs(WatchedInputs other) =>
        Files.SequenceEqual(other.Files) && CredentialsFolder == other.CredentialsFolder && CredentialsFiles.SequenceEqual(other.CredentialsFiles);
}
