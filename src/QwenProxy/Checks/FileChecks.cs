using System.Runtime.Versioning;

namespace QwenProxy.Checks;

/// <summary>Who can read and replace the file that holds a key or tokens. Reads modes, never the content.</summary>
internal static class FileChecks
{
    private const UnixFileMode OfOthers = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
    private const UnixFileMode WriteOfOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <param name="path">The file.</param>
    /// <param name="missingFix">What makes the file, where it may be missing.</param>
    public static Finding Check(string path, string missingFix)
    {
        if (!File.Exists(path)) return Finding.Fault(CheckName.File, $"there is no file {path}", missingFix);
        if (OperatingSystem.IsWindows()) return Finding.Skipped(CheckName.File, $"{path}: modes are not checked on Windows");
        try
        {
            return CheckMode(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return Finding.Fault(CheckName.File, $"{path} cannot be looked at: {fault.Message}", $"make {path} readable for the user that runs qwen-proxy");
        }
    }

    [UnsupportedOSPlatform("windows")]
    private static Finding CheckMode(string path)
    {
        // The mode of a link says nothing; what it points to is what is read.
        string target = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        UnixFileMode mode = File.GetUnixFileMode(target);
        if ((mode & OfOthers) != 0)
            return Finding.Fault(CheckName.File, $"{target} has the mode {Octal(mode)}: other users of this machine can get at the secret in it", $"chmod 600 {Quoted(target)}");
        string folder = Path.GetDirectoryName(Path.GetFullPath(target))!;
        UnixFileMode folderMode = File.GetUnixFileMode(folder);
        if ((folderMode & WriteOfOthers) != 0 && !folderMode.HasFlag(UnixFileMode.StickyBit))
            return Finding.Fault(CheckName.File, $"the folder {folder} has the mode {Octal(folderMode)}: other users can put another file in the place of {Path.GetFileName(target)}", $"chmod go-w {Quoted(folder)}");
        return Finding.Ok(CheckName.File, $"{target} has the mode {Octal(mode)}");
    }

    private static string Octal(UnixFileMode mode) => Convert.ToString((int)mode, 8).PadLeft(4, '0');

    /// <summary>For a shell: the line is meant to be copied.</summary>
    private static string Quoted(string path) =>
        path.All(c => char.IsAsciiLetterOrDigit(c) || "/._-+@%".Contains(c, StringComparison.Ordinal)) ? path : $"'{path.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
