using QwenProxy.Core.Credentials;

namespace QwenProxy.Credentials;

/// <summary>One reading of the file: credentials, or why there are none. <see cref="Stamp"/> is null when the file is missing.</summary>
internal sealed record CredentialsReading(QwenCredentials? Credentials, string? Fault, FileStamp? Stamp)
{
    /// <summary>Whether there is a sign-in could not be found out yet: no reason to tell anybody that there is none.</summary>
    public bool IsUnknown { get; init; }
}

/// <summary>
/// The credentials file of one account. It is read whole and replaced whole (temporary file beside it, fsync, rename), and never deleted.
/// Where a fallback is given, the fallback is used while the file itself does not exist: that is how another program's login is adopted in place.
/// </summary>
internal sealed class CredentialsFile(string path, string? fallbackPath, bool folderIsOurs, DurableFiles files, Func<string> newId)
{
    private const string TemporarySuffix = ".qwen-proxy-tmp";

    /// <summary>The file in use now.</summary>
    public string Path => fallbackPath is not null && !File.Exists(path) && File.Exists(fallbackPath) ? fallbackPath : path;

    public string Folder => System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;

    /// <summary>Null when the file is missing, or when it cannot even be looked at.</summary>
    public FileStamp? Stamp()
    {
        try
        {
            return files.Stamp(Path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public CredentialsReading Read()
    {
        string current = Path;
        try
        {
            // The stamp is taken first: a write in between is then seen as a change at the next look, not missed.
            FileStamp? stamp = files.Stamp(current);
            byte[]? bytes = files.Read(current);
            if (stamp is null || bytes is null) return new CredentialsReading(null, $"there is no file {current}", null);
            QwenCredentials? credentials = CredentialsDocument.Parse(bytes, out string? fault);
            return new CredentialsReading(credentials, fault is null ? null : $"{fault} ({current})", stamp);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return new CredentialsReading(null, $"{current} cannot be read: {fault.Message}", null);
        }
    }

    /// <summary>
    /// Replaces the token values in the file and keeps its other bytes. Returns the stamp of the new file. Throws <see cref="IOException"/> or
    /// <see cref="UnauthorizedAccessException"/>, and the old file is then as it was. Call it under the lock.
    /// </summary>
    public FileStamp? Save(QwenCredentials credentials)
    {
        string target = FinalTarget(Path);
        string folder = System.IO.Path.GetDirectoryName(target)!;
        // A link leads out of the folder that is ours, into one that is somebody else's to open and close.
        files.EnsureFolder(folder, folderIsOurs && folder == Folder);
        byte[] original = files.Read(target) ?? [];
        if (original.Length > 0 && CredentialsDocument.Parse(original, out _) is null) KeepAside(target, original);
        WriteWhole(target, CredentialsDocument.Merge(original, credentials));
        RemoveLeftovers(target);
        return files.Stamp(Path);
    }

    /// <summary>
    /// Moves the file to <c>*.bak</c> and returns the new path; null when there was no file. An older backup keeps its content under another
    /// name.
    /// </summary>
    public string? MoveToBackup()
    {
        string current = Path;
        if (!File.Exists(current)) return null;
        string backup = BackupPath(current);
        if (File.Exists(backup)) File.Move(backup, $"{current}.{newId()}.bak");
        File.Move(current, backup);
        return backup;
    }

    /// <summary>True when the file is gone because these very credentials were signed out: a backup holds them.</summary>
    public bool WasSignedOut(QwenCredentials held)
    {
        try
        {
            return files.Read(BackupPath(path)) is { } own && IsSame(own, held)
                || (fallbackPath is not null && files.Read(BackupPath(fallbackPath)) is { } shared && IsSame(shared, held));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // A backup that cannot be read proves nothing; the token in memory goes on.
            return false;
        }
    }

    private static bool IsSame(byte[] backup, QwenCredentials held) =>
        CredentialsDocument.Parse(backup, out _) is { } kept && kept.AccessToken.Equals(held.AccessToken);

    private static string BackupPath(string path) => path + ".bak";

    /// <summary>A file that is a link stays a link: what it points to is replaced.</summary>
    private static string FinalTarget(string path) =>
        System.IO.Path.GetFullPath(File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path);

    /// <summary>A file nobody can parse is about to be replaced; what it held is kept for its owner.</summary>
    private void KeepAside(string target, byte[] original)
    {
        string aside = BackupPath(target);
        if (File.Exists(aside)) aside = $"{target}.{newId()}.bak";
        WriteWhole(aside, original);
    }

    private void WriteWhole(string target, ReadOnlySpan<byte> content)
    {
        string temporary = $"{target}.{newId()}{TemporarySuffix}";
        try
        {
            files.WriteNew(temporary, content);
            files.Replace(temporary, target);
        }
        catch
        {
            // Only what this call made; the target is untouched.
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Temporary files of a process that was killed hold tokens too. Young ones may be a neighbour's at work.</summary>
    private static void RemoveLeftovers(string target)
    {
        try
        {
            DateTime old = File.GetLastWriteTimeUtc(target).AddMinutes(-1);
            string folder = System.IO.Path.GetDirectoryName(target)!;
            foreach (string leftover in Directory.EnumerateFiles(folder, $"{System.IO.Path.GetFileName(target)}.*{TemporarySuffix}"))
            {
                if (File.GetLastWriteTimeUtc(leftover) < old) File.Delete(leftover);
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // The save itself succeeded; the next one tries again to tidy up.
        }
    }
}
