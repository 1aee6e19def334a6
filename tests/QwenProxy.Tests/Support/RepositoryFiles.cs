namespace QwenProxy.Tests.Support;

/// <summary>Files of the repository that tests compare with the code.</summary>
internal static class RepositoryFiles
{
    public static string Read(string path) => File.ReadAllText(Locate(path));

    /// <summary>The full path of a file of the repository.</summary>
    public static string Locate(string path)
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "QwenProxy.slnx"))) folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? throw new InvalidOperationException("The tests do not run inside the repository."), path);
    }

    /// <summary>The cells of every table row of a document.</summary>
    public static IEnumerable<string[]> TableRows(string path) => Read(path).Split('\n')
        .Where(l => l.StartsWith('|')).Select(l => l.Trim().Trim('|').Split('|').Select(c => c.Trim()).ToArray());
}
