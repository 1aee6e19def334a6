using System.Runtime.Versioning;

namespace QwenProxy.Credentials;

/// <summary>What identifies one state of a sign-in without reading it.</summary>
/// <param name="Mark">A file's length, a row's version.</param>
internal sealed record FileStamp(string Path, DateTime ModifiedUtc, long Mark);

/// <summary>
/// The few file operations that sign-in needs, each whole or not at all. Not sealed: tests replace single operations by a full disk or a
/// read-only folder.
/// </summary>
internal class DurableFiles
{
    private const UnixFileMode OwnerOnlyFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerOnlyFolder = OwnerOnlyFile | UnixFileMode.UserExecute;

    /// <summary>Null when there is no such file. Other failures throw.</summary>
    public virtual FileStamp? Stamp(string path)
    {
        FileInfo link = new(path);
        FileInfo file = link.Exists && link.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target ? target : link;
        return file.Exists ? new FileStamp(path, file.LastWriteTimeUtc, file.Length) : null;
    }

    /// <summary>Null when there is no such file. Other failures throw.</summary>
    public virtual byte[]? Read(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Creates a file that only its owner can read, and returns when its bytes are on the disk. Fails if the file exists.</summary>
    public virtual void WriteNew(string path, ReadOnlySpan<byte> content)
    {
        FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.Read };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnerOnlyFile;
        using FileStream stream = new(path, options);
        try
        {
            stream.Write(content);
            stream.Flush(flushToDisk: true);
        }
        catch
        {
            // Half a file is worse than none; it is certainly ours, as it was created exclusively.
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Puts a file in another's place in one step, and returns when the folder knows it even after a power cut.</summary>
    public virtual void Replace(string from, string to)
    {
        File.Move(from, to, overwrite: true);
        if (!OperatingSystem.IsWindows()) FolderSync.Flush(Path.GetDirectoryName(to)!);
    }

    // Someone may point QWEN_HOME at their home, at /tmp or by a link at a shared folder; closing those to others would break more than it protects.
    [UnsupportedOSPlatform("windows")]
    private static bool IsPrivateByNature(string folder)
    {
        UnixFileMode mode = File.GetUnixFileMode(folder);
        bool isHome = Path.TrimEndingDirectorySeparator(folder) == Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        bool isElsewhere = new DirectoryInfo(folder).LinkTarget is not null;
        return mode != OwnerOnlyFolder && !mode.HasFlag(UnixFileMode.StickyBit) && !isHome && !isElsewhere;
    }

    /// <summary>
    /// Creates the folder for its owner alone. One that exists is narrowed only when <paramref name="ours"/>: a home folder is not.
    /// </summary>
    public virtual void EnsureFolder(string folder, bool ours)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
        }
        else if (!Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder, OwnerOnlyFolder);
            // A umask can take bits away, also the owner's own.
            File.SetUnixFileMode(folder, OwnerOnlyFolder);
        }
        else if (ours && IsPrivateByNature(folder)) File.SetUnixFileMode(folder, OwnerOnlyFolder);
    }
}
